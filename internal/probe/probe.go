// Package probe finds out which users of the classic protocol are still there.
// They have no session with the directory: somebody whose machine is switched
// off without DISCONNECT would stay connected for ever. So the directory tries
// the port on which each of them listens, now and then, and takes a user for
// gone who could not be reached several times in a row.
//
// The leases are the directory's; this package walks over them at an even pace
// and says which to renew and which to end. It speaks the protocol between
// peers as far as a peer needs to be left in peace: see ask.go. It never takes
// its own network's failure for the users': see network.go.
package probe

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"lonja"
)

// Leases are the presences that a node of the directory keeps alive by
// probing: those of classic users that connected at this node, or that it took
// over. A stamp tells a lease from every other of the same user. All methods
// are called by many goroutines at once and must not wait.
type Leases interface {
	// ProbedCount returns how many leases there are.
	ProbedCount() int
	// Probed tells some of them, at most the given number, in any fixed order,
	// and returns where the next call goes on. A pass over all begins with 0,
	// and has ended when next is 0. Whatever is there during the whole pass is
	// told once in it.
	Probed(from uint64, most int, tell func(peer lonja.Peer, stamp uint64)) (next uint64)
	// RenewLease says that the user is there, or is to be taken for it. A lease
	// that is over stays so.
	RenewLease(user lonja.UserName, stamp uint64)
	// EndLease says that the user is gone. It ends the lease of that stamp and
	// never a later one.
	EndLease(user lonja.UserName, stamp uint64)
}

// The defaults of Options.
const (
	DefaultPeriod   = time.Minute
	DefaultMisses   = 3
	DefaultMaxDials = 256
	DefaultTimeout  = 5 * time.Second
)

// Options say what Run works with. Leases must be set; what else is zero gets
// its default, but for Period.
type Options struct {
	Leases Leases

	// Period is the time between two probes of a user. 0: nobody is probed.
	Period time.Duration
	// Misses is how many probes in a row must fail to end a lease.
	Misses int
	// MaxDials bounds the probes under way. When they are not enough, because
	// many users do not answer, the period becomes longer.
	MaxDials int
	// Timeout bounds one attempt.
	Timeout time.Duration

	// Dial opens a connection to a user. Nil: over TCP.
	Dial func(ctx context.Context, at lonja.Endpoint) (net.Conn, error)
	// Done is told how each probe ended, from many goroutines. It must not
	// block. Nil: nobody is told.
	Done func(Outcome)
	Log  *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Misses <= 0 {
		o.Misses = DefaultMisses
	}
	if o.MaxDials <= 0 {
		o.MaxDials = DefaultMaxDials
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Dial == nil {
		dialer := net.Dialer{KeepAlive: -1}
		o.Dial = func(ctx context.Context, at lonja.Endpoint) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", at.String())
		}
	}
	if o.Done == nil {
		o.Done = func(Outcome) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// A lease is one user's turn.
type lease struct {
	lonja.Peer
	stamp uint64
}

// A prober is one call of Run.
type prober struct {
	opts    Options
	misses  misses
	network network

	asking sync.WaitGroup
	places chan struct{} // one token for each probe under way
}

// Run probes until ctx ends. It returns nil, at once if Period is 0, and
// otherwise when nothing of it is left; probes that ctx cuts short count for
// nothing.
func Run(ctx context.Context, opts Options) error {
	if opts.Period <= 0 {
		return nil
	}
	opts = opts.withDefaults()
	p := &prober{
		opts:   opts,
		misses: misses{byLease: make(map[leaseKey]missed)},
		places: make(chan struct{}, opts.MaxDials),
	}
	defer p.asking.Wait()
	p.walk(ctx)
	return nil
}

// judge draws the conclusion from one probe.
func (p *prober) judge(l lease, outcome Outcome) {
	key := leaseKey{l.User, l.stamp}
	counts, news := p.network.counts(outcome, p.opts.Leases.ProbedCount())
	if news {
		p.tellNews(counts, outcome)
	}
	switch {
	case outcome == Reached:
		p.misses.forget(key)
		p.opts.Leases.RenewLease(l.User, l.stamp)
	case !counts:
		// The lease must not run out by itself either.
		p.misses.keep(key)
		p.opts.Leases.RenewLease(l.User, l.stamp)
	case p.misses.add(key) >= p.opts.Misses:
		p.misses.forget(key)
		p.opts.Log.Debug("a user cannot be reached and is disconnected",
			slog.String("user", lonja.Printable(string(l.User))), slog.Any("at", l.At), slog.Any("last", outcome))
		p.opts.Leases.EndLease(l.User, l.stamp)
	}
	p.opts.Done(outcome)
}

func (p *prober) tellNews(counts bool, outcome Outcome) {
	if counts {
		p.opts.Log.Info("users can be reached again")
		return
	}
	p.opts.Log.Warn("users cannot be reached for a reason that seems to be ours; they stay connected meanwhile",
		slog.Any("last", outcome))
}
