package directory

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"lonja/internal/memstore"
	"lonja/internal/store"
)

// A lateEar is a store whose subscriptions miss the first messages of other
// nodes, as those of a cluster do while its servers tell each other of them.
type lateEar struct {
	store.Store
	misses int64
}

func (s lateEar) Subscribe(ctx context.Context, subject string, ready func(), tell func([]byte)) error {
	var missed atomic.Int64
	return s.Store.Subscribe(ctx, subject, ready, func(m []byte) {
		if missed.Add(1) > s.misses {
			tell(m)
		}
	})
}

// TestFirstMessagesMissed: a node that does not hear what others say at first
// learns of who is connected with a later beat. What is missed while the
// servers of a cluster tell each other is milliseconds, less than one beat, and
// a node listens for two before it answers anybody.
func TestFirstMessagesMissed(t *testing.T) {
	s := memstore.New()
	defer s.Close()
	ctx := t.Context()
	first := openNodes(t, s, 1)[0]
	for _, err := range []error{first.Register(ctx, "ana"), first.Connect(ctx, "ana", somewhere)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for misses := range int64(8) { // its own beats, the other's answers, and some more
		late := openNodes(t, lateEar{s, misses}, 1)[0]
		patient, cancel := context.WithTimeout(ctx, 30*time.Second)
		if err := late.listen(patient, func() bool {
			lease, connected := late.leases.Lookup("ana")
			return connected && lease.At == somewhere
		}); err != nil {
			t.Errorf("%d missed: it does not learn who is connected: %v", misses, err)
		}
		cancel()
		if err := late.Close(); err != nil {
			t.Error(err)
		}
	}
}
