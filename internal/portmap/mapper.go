package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"lonja"
)

const (
	// lookEvery is how often this machine's network is looked at.
	lookEvery = 10 * time.Second
	// checkEvery is how often the router is asked whether it still has the
	// mapping and the same outside address.
	checkEvery = time.Minute
	// firstRetry and lastRetry bound the time until what failed is tried again,
	// which doubles each time.
	firstRetry = 15 * time.Second
	lastRetry  = 30 * time.Minute
	// leastLease and mostLease bound what is asked for. UPnP counts in seconds,
	// where 0 is something else, and knows nothing above a week.
	leastLease = 10 * time.Second
	mostLease  = 7 * 24 * time.Hour
	// leastRenewal is the least time between renewals, however short a lease a
	// router gives.
	leastRenewal = 5 * time.Second
	// attemptPatience bounds an attempt with all routers and protocols.
	attemptPatience = 30 * time.Second
	// removePatience bounds a removal.
	removePatience = 5 * time.Second
)

// A mapper keeps one port mapped. All of it belongs to the goroutine of run.
// Times are the wall's, as a machine that slept must notice that a lease ended.
type mapper struct {
	Options
	look func() network
	find func(context.Context, network, uint16) ([]router, error)

	at       network
	state    State
	failures int       // attempts since there was a mapping
	retryAt  time.Time // without a mapping: when to try again
	renewAt  time.Time // with one
	checkAt  time.Time // with one
	stepped  time.Time // when it was looked at last

	// Who mapped the port last, and its port outside. It stays when the router
	// does not answer any more: the mapping may still be there.
	router  router
	outside uint16
}

func newMapper(o Options) *mapper {
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	o.Lease = min(max(o.Lease, leastLease), mostLease)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &mapper{Options: o, state: State{Problem: Starting}}
}

func (m *mapper) run(ctx context.Context) error {
	for ctx.Err() == nil {
		m.step(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(m.pause(wall())):
		}
	}
	return m.drop(ctx)
}

// wall returns the time without the monotonic clock, which stands still while a
// machine sleeps.
func wall() time.Time { return time.Now().Round(0) }

// pause returns how long nothing is due.
func (m *mapper) pause(now time.Time) time.Duration {
	pause := lookEvery
	for _, due := range m.due() {
		pause = min(pause, due.Sub(now))
	}
	return max(pause, 0)
}

func (m *mapper) due() []time.Time {
	switch m.state.Problem {
	case None:
		return []time.Time{m.renewAt, m.checkAt}
	case NoRouter, Direct:
		return nil // until the network changes
	}
	return []time.Time{m.retryAt}
}

// step does what is due.
func (m *mapper) step(ctx context.Context) {
	if at := m.look(); at != m.at || m.state.Problem == Starting {
		if err := m.drop(ctx); err != nil {
			m.Log.Info("the mapping at the last router is left to its end", "error", err)
		}
		m.at, m.failures, m.retryAt = at, 0, time.Time{}
		switch {
		case !at.gateway.IsValid():
			m.set(ctx, State{Problem: NoRouter})
			return
		case public(at.local):
			m.set(ctx, State{Problem: Direct})
			return
		}
		m.attempt(ctx)
		return
	}
	now := wall()
	if now.Before(m.stepped) { // the clock was set back: nobody knows what is due
		m.renewAt, m.checkAt, m.retryAt = now, now, now
	}
	m.stepped = now
	switch m.state.Problem {
	case NoRouter, Direct:
	case None:
		if !now.Before(m.renewAt) {
			m.renew(ctx)
		} else if !now.Before(m.checkAt) {
			m.check(ctx)
		}
	default:
		if !now.Before(m.retryAt) {
			m.attempt(ctx)
		}
	}
}

// attempt looks for routers and has the first that does so map the port.
func (m *mapper) attempt(ctx context.Context) {
	trying, cancel := context.WithTimeout(ctx, attemptPatience)
	defer cancel()
	found, err := m.find(trying, m.at, m.Port)
	errs := make([]error, 0, len(found)+1)
	if err != nil {
		errs = append(errs, err)
	}
	for _, r := range found {
		err := m.obtain(trying, r)
		if err == nil {
			return
		}
		m.Log.Debug("the router does not map the port", "by", r.by(), "error", err)
		errs = append(errs, err)
	}
	m.retryAt = wall().Add(retryAfter(m.failures))
	m.failures++
	if len(errs) == 0 { // find found nothing and said nothing
		errs = append(errs, lonja.E(lonja.Unavailable, "look for a router", nil))
	}
	m.set(ctx, problemOf(worst(errs...)))
}

// retryAfter returns the time to wait after a failure that comes after so many.
func retryAfter(failures int) time.Duration {
	return min(firstRetry<<min(failures, 16), lastRetry)
}

// obtain has the router map the port, the same outside as before if it may be,
// and takes it on.
func (m *mapper) obtain(ctx context.Context, r router) error {
	want := m.Port
	if m.outside != 0 {
		want = m.outside
	}
	mapping, given, err := obtain(ctx, r, want, m.Lease)
	if err != nil {
		if ctx.Err() != nil { // it may have been about to
			_ = m.remove(ctx, r, want)
		}
		return err
	}
	if m.router != nil && m.outside != given.port {
		_ = m.remove(ctx, m.router, m.outside) // it is no use any more, and ends by itself
	}
	now := wall()
	m.router, m.outside, m.failures = r, given.port, 0
	half := m.Lease / 2
	if given.lease > 0 {
		half = min(half, given.lease/2)
		mapping.Until = now.Add(given.lease)
	}
	m.renewAt = now.Add(max(half, leastRenewal))
	m.checkAt = now.Add(checkEvery)
	m.set(ctx, State{Mapping: mapping})
	return nil
}

// renew renews the mapping with the router that gave it, or else begins anew.
func (m *mapper) renew(ctx context.Context) {
	trying, cancel := context.WithTimeout(ctx, attemptPatience)
	defer cancel()
	if err := m.obtain(trying, m.router); err != nil {
		m.Log.Info("the mapping is not renewed", "error", err)
		m.attempt(ctx)
	}
}

// check asks the router whether all is as it was, or else begins anew.
func (m *mapper) check(ctx context.Context) {
	trying, cancel := context.WithTimeout(ctx, attemptPatience)
	defer cancel()
	err := m.router.check(trying, m.outside)
	if err == nil {
		address, errOutside := m.router.outside(trying)
		if err = errOutside; err == nil && address != m.state.Mapping.Endpoint.Addr() {
			err = fmt.Errorf("the router's outside address is %v now", address)
		}
	}
	m.checkAt = wall().Add(checkEvery)
	if err != nil && ctx.Err() == nil {
		m.Log.Info("the mapping is gone", "error", err)
		m.attempt(ctx)
	}
}

// drop removes the mapping, if there is one, also when the context has ended.
func (m *mapper) drop(ctx context.Context) error {
	if m.router == nil {
		return nil
	}
	err := m.remove(ctx, m.router, m.outside)
	lost := m.state.Problem != None
	m.router, m.outside = nil, 0
	if err == nil || lost && errors.Is(err, lonja.Unavailable) {
		return nil // what a router has that was gone before, nobody knows
	}
	return err
}

func (m *mapper) remove(ctx context.Context, r router, outside uint16) error {
	removing, cancel := context.WithTimeout(context.WithoutCancel(ctx), removePatience)
	defer cancel()
	return r.remove(removing, outside)
}

func (m *mapper) set(ctx context.Context, s State) {
	if s == m.state || ctx.Err() != nil {
		return
	}
	level := slog.LevelInfo
	if s.Problem == m.state.Problem && s.Mapping.Endpoint == m.state.Mapping.Endpoint {
		level = slog.LevelDebug // a renewal
	}
	m.state = s
	m.Log.Log(ctx, level, "port mapping", "port", m.Port, "state", s.String())
	if m.Changed != nil {
		m.Changed(s)
	}
}
