package probe

import (
	"context"
	"time"

	"lonja"
)

// The walk looks at the clock this often, less often when there is nothing to
// do so soon. What is due in between is probed together.
const (
	minPause = 20 * time.Millisecond
	maxPause = time.Second
)

// maxArrears is how much of what is overdue is made up for at once, when
// probes had to wait for their place: what is older makes the period longer.
const maxArrears = 2 * maxPause

// walk goes over all leases again and again, each time in one period, until
// ctx ends. It keeps no timer for each: an even pace through the order in which
// they are told spreads them by itself, however they came, and a lease costs
// nothing between its turns.
func (p *prober) walk(ctx context.Context) {
	var due float64 // leases, also parts of one
	var from uint64
	last := time.Now()
	for {
		count := p.opts.Leases.ProbedCount()
		if !sleep(ctx, p.pause(count)) {
			return
		}
		now := time.Now()
		perSecond := float64(count) / p.opts.Period.Seconds()
		due = min(due+perSecond*now.Sub(last).Seconds(), max(1, perSecond*maxArrears.Seconds()), float64(count))
		last = now
		var turn []lease
		turn, from = p.next(from, int(due))
		due -= float64(len(turn))
		for _, l := range turn {
			if !p.start(ctx, l) {
				return
			}
		}
	}
}

// pause returns the time until the next lease is due.
func (p *prober) pause(count int) time.Duration {
	if count == 0 {
		return maxPause
	}
	return min(max(p.opts.Period/time.Duration(count), minPause), maxPause)
}

// next returns the leases whose turn it is, and where to go on. It begins a new
// pass when one ends, but not a second one.
func (p *prober) next(from uint64, most int) ([]lease, uint64) {
	var turn []lease
	for passes := 0; len(turn) < most; {
		from = p.opts.Leases.Probed(from, most-len(turn), func(peer lonja.Peer, stamp uint64) {
			turn = append(turn, lease{peer, stamp})
		})
		if from != 0 {
			continue
		}
		p.misses.turn()
		if passes++; passes == 2 {
			break
		}
	}
	return turn, from
}

// start probes a lease as soon as there is a place. It is false if ctx ended.
func (p *prober) start(ctx context.Context, l lease) bool {
	select {
	case p.places <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	p.asking.Go(func() {
		defer func() { <-p.places }()
		p.ask(ctx, l)
	})
	return true
}

// sleep is false if ctx ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
