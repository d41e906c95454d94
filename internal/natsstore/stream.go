package natsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"lonja"
)

// replicas is how many nodes hold each record.
const replicas = 3

// tombstoneLife is how long a deletion is kept. Without an end the stream would
// grow with every key that ever was; a feed that was away for longer than that
// would miss deletions, so it ends and has to begin anew (see feed.go). Two
// hours of ten deletions a second are 72,000 tombstones, some 25 MB on disk.
//
// They end by a time to live in each message, not by a clean-up of ours: that
// needs no node to be there. The servers' own delete markers are not asked for:
// they would only tell once more what the tombstone has told.
const tombstoneLife = 2 * time.Hour

// streamConfig is how the stream is made. Nothing but a tombstone's time to
// live, a newer message of the same subject and Purge take a message away:
// a full cluster refuses writes.
func streamConfig(name string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               name,
		Description:        "records of a lonja directory; written by lonja server only",
		Subjects:           []string{name + recordSubject + ">", name + markSubject},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew,
		Storage:            jetstream.FileStorage,
		Replicas:           replicas,
		MaxMsgsPerSubject:  1,
		MaxMsgs:            -1,
		MaxBytes:           -1,
		MaxMsgSize:         -1,
		MaxConsumers:       -1,
		AllowMsgTTL:        true,
		AllowAtomicPublish: true,
		// Every message once more as it is stored, before a newer one of its
		// subject can take its place: for feeds that are up to date.
		RePublish: &jetstream.RePublish{Source: ">", Destination: name + liveSubject + ">"},
		// A direct get is answered by any replica, however far behind.
		AllowDirect: false,
	}
}

// checkConfig says what keeps a stream that exists from being ours.
func checkConfig(name string, got jetstream.StreamConfig) error {
	want := streamConfig(name)
	for what, right := range map[string]bool{
		"subjects":                  slices.Equal(got.Subjects, want.Subjects),
		"retention":                 got.Retention == want.Retention,
		"discard policy":            got.Discard == want.Discard && !got.DiscardNewPerSubject,
		"messages for each subject": got.MaxMsgsPerSubject == want.MaxMsgsPerSubject,
		"age limit":                 got.MaxAge == 0,
		"message limit":             got.MaxMsgs <= 0,
		"time to live":              got.AllowMsgTTL,
		"delete markers":            got.SubjectDeleteMarkerTTL == 0,
		"atomic batches":            got.AllowAtomicPublish,
		"sources":                   got.Mirror == nil && len(got.Sources) == 0 && got.SubjectTransform == nil,
		"acknowledgements":          !got.NoAck,
		"republishing":              got.RePublish != nil && *got.RePublish == *want.RePublish,
		"seal":                      !got.Sealed && !got.DenyPurge,
	} {
		if !right {
			return lonja.E(lonja.Invalid, "open store", fmt.Errorf("stream %s exists, but its configuration (%s) is not a directory's", name, what))
		}
	}
	return nil
}

// errNotClustered is the number of the error for more than one replica on a
// server that is alone.
const errNotClustered = 10074

// again is how often a cluster is asked that cannot answer yet.
const again = 200 * time.Millisecond

// absence is for how long a stream must be missing before it counts as gone: a
// cluster that has just started may not know all of its streams.
const absence = 10 * time.Second

// openStream finds the stream or makes it, and makes sure that it is the one
// that this node knows. It tries until ctx ends.
func (s *Store) openStream(ctx context.Context) error {
	before, err := s.loadSeen()
	if err != nil {
		return err
	}
	var missing time.Time
	for {
		stream, err := s.findStream(ctx, !before.created.IsZero())
		if err == nil {
			return s.takeStream(stream.CachedInfo(), before)
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if missing.IsZero() {
				missing = time.Now()
			}
			if time.Since(missing) > absence {
				return s.damaged(s.lost(fmt.Sprintf("the cluster has no stream %s any more", s.name)))
			}
		} else if e, ok := errors.AsType[*lonja.Error](err); ok {
			return e
		}
		s.wait(err)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return s.failure(context.Background(), "open stream", fmt.Errorf("stream %s: %w", s.name, err))
		}
	}
}

// takeStream keeps what is to be known of the stream, unless it is another one
// than before.
func (s *Store) takeStream(info *jetstream.StreamInfo, before seen) error {
	if err := checkConfig(s.name, info.Config); err != nil {
		return err
	}
	if !before.created.IsZero() && !before.created.Equal(info.Created) {
		return s.damaged(s.lost(fmt.Sprintf("stream %s is not the one that this node knows, but was made anew", s.name)))
	}
	// A directory that was named with a cluster that never answered, or is
	// nobody's, stays free for another store.
	if err := s.dir.Mark(); err != nil {
		return lonja.E(lonja.LocalFile, "open data directory", err)
	}
	s.created = info.Created
	s.raise(before.rev)
	return nil
}

// findStream looks the stream up. If there is none it makes one, unless there
// was one before.
func (s *Store) findStream(ctx context.Context, known bool) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.name)
	if known || !errors.Is(err, jetstream.ErrStreamNotFound) {
		return stream, err
	}
	config := streamConfig(s.name)
	stream, err = s.js.CreateStream(ctx, config)
	if e, ok := errors.AsType[*jetstream.APIError](err); !ok || e.ErrorCode != errNotClustered {
		return stream, err
	}
	if !s.allowUnsafe {
		return nil, lonja.E(lonja.Invalid, "open store", fmt.Errorf("the server is alone: a directory needs a cluster with %d of them", replicas))
	}
	config.Replicas = 1
	return s.js.CreateStream(ctx, config)
}

// leaderInfo asks the leader of the stream how it stands.
func (s *Store) leaderInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, end := s.under(ctx, patience)
	defer end()
	wait := backoff{}
	for {
		info, err := s.askInfo(ctx)
		if err == nil || !wait.next(ctx) {
			return info, err
		}
	}
}

func (s *Store) askInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}
