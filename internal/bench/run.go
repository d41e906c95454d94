package bench

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"lonja"
)

// check returns an error of kind Invalid that names what is wrong.
func (o Options) check() error {
	invalid := func(format string, args ...any) error {
		return lonja.E(lonja.Invalid, "bench", fmt.Errorf(format, args...))
	}
	for _, n := range append([]int{max(o.LoggerClients, 1)}, o.Clients...) {
		if n < 1 {
			return invalid("%d clients are too few", n)
		}
		if err := checkDescriptors(n); err != nil {
			return lonja.E(lonja.Invalid, "bench", err)
		}
	}
	switch {
	case !slices.IsSorted(o.Clients):
		return invalid("the numbers of clients %v do not ascend", o.Clients)
	case o.LoggerClients < 0:
		return invalid("%d clients are too few", o.LoggerClients)
	case o.Rounds < 1:
		return invalid("%d rounds are too few", o.Rounds)
	case o.Duration <= 0 || o.Timeout <= 0 || o.Warmup < 0:
		return invalid("durations must be above zero")
	case len(o.plan()) == 0:
		return invalid("there is nothing to measure")
	}
	return nil
}

// plan returns the trials in their order. What is compared with each other
// stands side by side, and each round reverses the order of the one before, so
// that a machine that slows down or speeds up favours nobody.
func (o Options) plan() []Trial {
	var trials []Trial
	for _, services := range o.Services {
		for _, clients := range o.Clients {
			for round := 1; round <= o.Rounds; round++ {
				turn := []Trial{
					{services, clients, Limit, round, false},
					{services, clients, Lonja, round, false},
				}
				trials = append(trials, reversed(turn, round)...)
			}
		}
	}
	if o.LoggerClients == 0 {
		return trials
	}
	for round := 1; round <= o.Rounds; round++ {
		var turn []Trial
		for _, logger := range []LoggerState{NoLogger, LoggerRunning, LoggerStopped} {
			turn = append(turn, Trial{Services{logger, true}, o.LoggerClients, Lonja, round, true})
		}
		trials = append(trials, reversed(turn, round)...)
	}
	return trials
}

// reversed returns trials, which it may change, in reverse in even rounds.
func reversed(trials []Trial, round int) []Trial {
	if round%2 == 0 {
		slices.Reverse(trials)
	}
	return trials
}

// clientsGCPercent makes the clients collect their garbage seldom: it is not
// their pauses that are measured. It is no use to collect never: the heap of
// thousands of clients would take the memory of what is measured.
const clientsGCPercent = 400

// Run measures what opts ask for, one trial after the other. When ctx ends it
// returns what was measured so far together with the error. No process that it
// started outlives it.
func Run(ctx context.Context, opts Options) (*Report, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(clientsGCPercent))
	report := &Report{
		Machine: thisMachine(), Started: time.Now(),
		Rounds: opts.Rounds, Duration: opts.Duration, Seed: opts.Seed,
	}
	trials := opts.plan()
	for i, t := range trials {
		if opts.Progress != nil {
			opts.Progress(i, len(trials))
		}
		result, err := runTrial(ctx, opts, t)
		if ctx.Err() != nil {
			return report, fmt.Errorf("stopped after %d of %d measurements: %w", i, len(trials), context.Cause(ctx))
		}
		if err != nil {
			return report, fmt.Errorf("%s with %d clients, services %s: %w", t.Target, t.Clients, t.Services, err)
		}
		report.Results = append(report.Results, *result)
	}
	if opts.Progress != nil {
		opts.Progress(len(trials), len(trials))
	}
	return report, nil
}
