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

// A meter is what the processes of a site used during a window, and the
// clients, which are this process.
type meter struct {
	cpu     [meterCount]time.Duration
	elapsed time.Duration // between the readings
	peak    int64         // the most memory that the server held until the end
	err     error
}

// runMeter reads at the beginning and at the end of the window. The result has
// an error when ctx ends before.
func runMeter(ctx context.Context, s *site, w window) *meter {
	m := &meter{}
	before, err := readCPUAt(ctx, s, w.from)
	if err != nil {
		m.err = err
		return m
	}
	start := time.Now()
	after, err := readCPUAt(ctx, s, w.to)
	if err != nil {
		m.err = err
		return m
	}
	m.elapsed = time.Since(start)
	for i := range m.cpu {
		m.cpu[i] = after[i] - before[i]
	}
	m.peak, m.err = peakMemory(s.server.pid())
	return m
}

// perOperation returns the processor time that whose took for an operation, at
// the throughput of r. The readings may come a little late, so it is a matter
// of rates and not of counts.
func (m *meter) perOperation(whose int, r *Result) time.Duration {
	operations := r.Throughput * m.elapsed.Seconds()
	if operations == 0 {
		return 0
	}
	return time.Duration(float64(m.cpu[whose]) / operations)
}

// readCPUAt waits for the time t and reads everybody's processor time so far.
func readCPUAt(ctx context.Context, s *site, t time.Time) (cpu [meterCount]time.Duration, err error) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return cpu, ctx.Err()
	}
	for i, p := range []*process{meterServer: s.server, meterLogger: s.logger, meterDatetime: s.datetime} {
		if p == nil {
			continue
		}
		if cpu[i], err = cpuTime(p.pid()); err != nil {
			return cpu, err
		}
	}
	cpu[meterClients], err = ownCPUTime()
	return cpu, err
}
