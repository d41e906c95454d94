package bench

import (
	"context"
	"time"
)

// Whose processor time a meter reads.
const (
	meterServer = iota
	meterLogger
	meterDatetime
	meterClients
	meterCount
)

// A reading is the processor time that everybody had used at one moment.
type reading struct {
	at        time.Time
	cpu       [meterCount]time.Duration
	busy, all time.Duration // of the machine
}

// A meter is what the processes of a site used during a window, and the
// clients, which are this process.
type meter struct {
	from, to reading
	peak     int64 // the most memory that the server held until the end, bytes
	err      error
}

// runMeter reads at the beginning and at the end of the window. The result has
// an error when ctx ends before.
func runMeter(ctx context.Context, s *site, w window) *meter {
	m := &meter{}
	if m.from, m.err = readAt(ctx, s, w.from); m.err != nil {
		return m
	}
	if m.to, m.err = readAt(ctx, s, w.to); m.err != nil {
		return m
	}
	m.peak, m.err = peakMemory(s.server.pid())
	return m
}

// used returns the processor time that whose used.
func (m *meter) used(whose int) time.Duration { return m.to.cpu[whose] - m.from.cpu[whose] }

// perOperation returns the processor time that whose took for an operation, of
// which there were so many per second. The readings may come a little late, so
// it is a matter of rates and not of counts.
func (m *meter) perOperation(whose int, throughput float64) time.Duration {
	operations := throughput * m.to.at.Sub(m.from.at).Seconds()
	if operations == 0 {
		return 0
	}
	return time.Duration(float64(m.used(whose)) / operations)
}

// disturbance returns the share of the machine's processors, from 0 to 1, that
// went to anything but the site and its clients.
func (m *meter) disturbance() float64 {
	others := m.to.busy - m.from.busy
	for whose := range meterCount {
		others -= m.used(whose)
	}
	return max(ratio(float64(others), float64(m.to.all-m.from.all)), 0)
}

// readAt waits for the time t and reads everybody's processor time so far.
func readAt(ctx context.Context, s *site, t time.Time) (r reading, err error) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return r, ctx.Err()
	}
	r.at = time.Now()
	if r.busy, r.all, err = machineTime(); err != nil {
		return r, err
	}
	for i, p := range []*process{meterServer: s.server, meterLogger: s.logger, meterDatetime: s.datetime} {
		if p == nil {
			continue
		}
		if r.cpu[i], err = cpuTime(p.pid()); err != nil {
			return r, err
		}
	}
	r.cpu[meterClients], err = ownCPUTime()
	return r, err
}
