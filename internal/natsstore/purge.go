package natsstore

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"lonja/internal/store"
)

// Purge implements store.Store. A prefix that ends in '/', or is empty, is one
// request; for any other the keys that may begin with it are listed.
func (s *Store) Purge(ctx context.Context, prefix store.Key) error {
	if err := s.usable(ctx, "purge"); err != nil {
		return err
	}
	limited, end := s.under(ctx, patience)
	defer end()
	if err := s.purge(limited, prefix); err != nil {
		return s.failure(ctx, "purge", err)
	}
	return nil
}

func (s *Store) purge(ctx context.Context, prefix store.Key) error {
	stream, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return err
	}
	folder, begun := "", string(prefix)
	if i := strings.LastIndexByte(begun, '/'); i >= 0 {
		folder, begun = tokens(store.Key(begun[:i]))+".", begun[i+1:]
		if i == 0 {
			folder = "~."
		}
	}
	filter := s.name + recordSubject + folder + ">"
	if begun == "" {
		return stream.Purge(ctx, jetstream.WithPurgeSubject(filter))
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		key, err := s.key(subject)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(key), string(prefix)) {
			continue
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return err
		}
	}
	return nil
}
