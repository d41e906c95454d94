package dirserver

import (
	"log/slog"
	"sync"
	"time"

	"lonja"
)

// A digest keeps events that come by the thousand from filling the log: the
// first is told of at once, what follows in a count once a minute at most.
type digest struct {
	mu    sync.Mutex
	count int       // of those not told of
	next  time.Time // when they may be
}

const digestEvery = time.Minute

// add counts one and returns how many there are to tell of now, or 0.
func (d *digest) add(now time.Time) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if now.Before(d.next) {
		return 0
	}
	count := d.count
	d.count, d.next = 0, now.Add(digestEvery)
	return count
}

// rest returns how many are not told of, and forgets them.
func (d *digest) rest() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	count := d.count
	d.count = 0
	return count
}

// A failureLog tells operators of requests that failed through no fault of
// their clients: a store that cannot write, stored data that is damaged. The
// clients themselves learn only that it failed.
type failureLog struct {
	log   *slog.Logger
	kinds []digest // by kind
}

func newFailureLog(log *slog.Logger) *failureLog {
	return &failureLog{log, make([]digest, len(lonja.Kinds()))}
}

// add tells of a failure of an operation, unless it is an answer like others.
func (f *failureLog) add(now time.Time, operation string, err error) {
	kind := lonja.KindOf(err)
	if isAnswer(kind) {
		return
	}
	if count := f.kinds[kind].add(now); count > 0 {
		f.log.Error("operations fail", slog.Int("since the last line", count),
			slog.String("last", operation), slog.Any("error", err))
	}
}

// end tells of the failures that were only counted.
func (f *failureLog) end() {
	for kind := range f.kinds {
		if count := f.kinds[kind].rest(); count > 0 {
			f.log.Error("operations failed", slog.Int("since the last line", count),
				slog.String("kind", lonja.Kind(kind).Error()))
		}
	}
}

// isAnswer reports whether failures of that kind say something of the request:
// they break a rule of the directory or are over a limit. All others are news
// for the operator.
func isAnswer(kind lonja.Kind) bool {
	switch kind {
	case lonja.Invalid, lonja.NoSuchUser, lonja.NameInUse, lonja.AlreadyConnected, lonja.NotConnected,
		lonja.AlreadyPublished, lonja.NotPublished, lonja.NoSuchOwner, lonja.NoHolder, lonja.Limited,
		lonja.OtherKey, lonja.Forbidden, lonja.Untrusted, lonja.TakenOver:
		return true
	}
	return false
}
