package dirserver

import (
	"context"
	"net"
	"sync"
	"time"
)

// openConns are the connections being served, so that stopping can end their
// patience.
type openConns struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	last  time.Time // no reading goes on later; zero while serving
}

// lastAnswers is how long after the last reading answers are still written.
const lastAnswers = time.Second

func newOpenConns() *openConns {
	return &openConns{conns: make(map[net.Conn]struct{})}
}

// add takes conn in and lets it be read until t, or until the server stops.
func (o *openConns) add(conn net.Conn, t time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conns[conn] = struct{}{}
	o.limitReading(conn, t)
}

func (o *openConns) remove(conn net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.conns, conn)
}

// readUntil lets conn be read until t, or until the server stops.
func (o *openConns) readUntil(conn net.Conn, t time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limitReading(conn, t)
}

func (o *openConns) limitReading(conn net.Conn, t time.Time) {
	if !o.last.IsZero() && t.After(o.last) {
		t = o.last
	}
	_ = conn.SetReadDeadline(t) // fails only on a closed connection
}

// writeUntil lets conn be written until t, or shortly after the server stops.
func (o *openConns) writeUntil(conn net.Conn, t time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if end := o.last.Add(lastAnswers); !o.last.IsZero() && t.After(end) {
		t = end
	}
	_ = conn.SetWriteDeadline(t)
}

// expire lets all connections, also those to come, be read until t at the
// latest, and be answered a little longer.
func (o *openConns) expire(t time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = t
	for conn := range o.conns {
		_ = conn.SetReadDeadline(t)
		_ = conn.SetWriteDeadline(t.Add(lastAnswers))
	}
}

// A pause grows while accepting keeps failing.
type pause struct{ next time.Duration }

const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

func newPause() *pause { return &pause{next: minPause} }

func (p *pause) reset() { p.next = minPause }

// wait returns early when ctx ends.
func (p *pause) wait(ctx context.Context) {
	timer := time.NewTimer(p.next)
	defer timer.Stop()
	p.next = min(2*p.next, maxPause)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
