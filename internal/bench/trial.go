package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// A Trial is one measurement: processes started for it alone, one load.
type Trial struct {
	Services Services
	Clients  int
	Target   Target
	Round    int  // from 1
	Paired   bool // belongs to the comparison of loggers, not to the sweep
}

// A Result is what one trial measured.
type Result struct {
	Trial
	Throughput  float64                            // right answers per second
	Latency     Latency                            // of the operations
	Wait        Latency                            // the same with asking for the time before
	Statuses    [operationCount][maxStatus + 1]int // by operation and status
	Failures    [failureCount]int
	Causes      [failureCount]error // the first of each kind, if there was one
	Undated     int                 // operations without the time, though there is a service
	AnswerBytes float64             // length of the mean answer

	// Processor time per operation of the server, of its two services and of
	// the clients, and the most memory that the server held, in bytes.
	ServerCPU   time.Duration
	LoggerCPU   time.Duration
	DatetimeCPU time.Duration
	ClientCPU   time.Duration
	PeakMemory  int64
	// Disturbance is the share of the machine's processors, from 0 to 1, that
	// other programs took meanwhile.
	Disturbance float64
}

// A Latency is the quantiles of what something took, as the clients saw it.
type Latency struct {
	P50, P90, P99, Max time.Duration
}

// Failed returns the number of operations that failed.
func (r *Result) Failed() int {
	sum := 0
	for _, n := range r.Failures {
		sum += n
	}
	return sum
}

// runTrial performs one measurement. It leaves no process behind.
func runTrial(ctx context.Context, opts Options, t Trial) (_ *Result, err error) {
	s, err := openSite(ctx, opts, t)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	// Clients wait for their answers, not for ctx.
	defer context.AfterFunc(ctx, s.terminate)()

	l := load{
		directory: s.address, clients: t.Clients, seed: opts.Seed, timeout: opts.Timeout,
		limit: t.Target == Limit,
	}
	if t.Services.Datetime {
		l.newClock = s.newClock
	}
	clients, err := l.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer closeClocks(clients)

	runtime.GC() // the clients of each trial begin with the same heap
	begin := time.Now().Add(opts.Warmup)
	w := window{begin, begin.Add(opts.Duration)}
	metered := make(chan *meter, 1)
	go func() { metered <- runMeter(ctx, s, w) }()
	tally := work(ctx, clients, w)
	used := <-metered
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if used.err != nil {
		return nil, fmt.Errorf("measure the processes: %w", used.err)
	}
	return newResult(t, opts.Duration, tally, used), nil
}

func newResult(t Trial, length time.Duration, tally *Tally, used *meter) *Result {
	r := &Result{
		Trial:      t,
		Throughput: float64(tally.Done) / length.Seconds(),
		Latency:    latencyOf(tally.Latencies),
		Wait:       latencyOf(tally.Waits),
		Statuses:   tally.Statuses, Failures: tally.Failures, Causes: tally.Causes, Undated: tally.Undated,
		PeakMemory: used.peak, Disturbance: used.disturbance(),
	}
	if n := len(tally.Latencies); n > 0 {
		r.AnswerBytes = float64(tally.AnswerBytes) / float64(n)
	}
	r.ServerCPU = used.perOperation(meterServer, r.Throughput)
	r.LoggerCPU = used.perOperation(meterLogger, r.Throughput)
	r.DatetimeCPU = used.perOperation(meterDatetime, r.Throughput)
	r.ClientCPU = used.perOperation(meterClients, r.Throughput)
	return r
}

// latencyOf summarises samples, which it sorts.
func latencyOf(samples []time.Duration) Latency {
	slices.Sort(samples)
	return Latency{
		P50: quantile(samples, 0.50), P90: quantile(samples, 0.90),
		P99: quantile(samples, 0.99), Max: quantile(samples, 1),
	}
}
