package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
)

// A renewer begins a user's lease anew.
type renewer interface {
	Renew(user lonja.UserName) error
}

// A bareLeases is the limit of renewals: the time of each under one lock, and
// nothing that ends, orders or spreads leases.
type bareLeases struct {
	mu    sync.Mutex
	until map[lonja.UserName]time.Time
}

func newBareLeases(users []lonja.UserName) *bareLeases {
	b := &bareLeases{until: make(map[lonja.UserName]time.Time, len(users))}
	for _, u := range users {
		b.until[u] = time.Time{}
	}
	return b
}

// Renew implements renewer.
func (b *bareLeases) Renew(user lonja.UserName) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until[user] = time.Now()
	return nil
}

// renewalsAtOnce are the goroutines that renew leases, each those of its users.
const renewalsAtOnce = 4

// renewalTick is how often paced renewals are done that are due by then.
const renewalTick = time.Millisecond

// keepRenewing renews leases until the window ends, one user after the other
// and again from the first, at a rate a second, or as fast as it goes with 0. It
// returns how many it did within the window.
func keepRenewing(ctx context.Context, r renewer, users []lonja.UserName, rate float64, w window) (int, error) {
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for i := range renewalsAtOnce {
		mine := users[i*len(users)/renewalsAtOnce : (i+1)*len(users)/renewalsAtOnce]
		group.Go(func() error {
			n, err := renewSome(ctx, r, mine, rate/renewalsAtOnce, w)
			done.Add(int64(n))
			return err
		})
	}
	err := group.Wait()
	return int(done.Load()), err
}

// renewBurst is how many renewals are done between two looks at the clock where
// nothing paces them.
const renewBurst = 64

func renewSome(ctx context.Context, r renewer, users []lonja.UserName, rate float64, w window) (within int, err error) {
	began, done := time.Now(), 0
	for now := began; now.Before(w.to); now = time.Now() {
		due := renewBurst
		if rate > 0 {
			due = int(now.Sub(began).Seconds()*rate) - done
		}
		for range due {
			if err := r.Renew(users[done%len(users)]); err != nil {
				return within, err
			}
			done++
		}
		if w.has(now) {
			within += due
		}
		if ctx.Err() != nil {
			return within, ctx.Err()
		}
		if rate > 0 {
			time.Sleep(renewalTick)
		}
	}
	return within, nil
}
