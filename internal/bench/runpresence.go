package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/directory"
)

// The defaults of PresenceOptions.
const (
	DefaultConnected  = 100_000
	DefaultRenewals   = 100_000
	DefaultOperations = 1000
	DefaultRenewing   = 10 * time.Second
)

// PresenceOptions is what RunPresence measures.
type PresenceOptions struct {
	// Data is an existing directory on the disk for what the operations write,
	// or empty for the one of DiskDir. Nothing is left there.
	Data       string
	Users      int     // connected ones
	Renewals   float64 // of leases, a second
	Operations float64 // of the mix beside them, a second
	Clients    int     // that do these

	Rounds   int
	Duration time.Duration // of one measurement
	Warmup   time.Duration // load before each measurement, not counted
	Seed     uint64

	// Progress, if set, is told before each measurement and once at the end.
	Progress func(done, total int)
}

func (o *PresenceOptions) check() error {
	if o.Users < renewalsAtOnce || o.Clients < 1 || o.Renewals <= 0 || o.Operations <= 0 {
		return invalid("%d users, %d clients, %g renewals and %g operations a second are nothing to measure",
			o.Users, o.Clients, o.Renewals, o.Operations)
	}
	return checkRounds(o.Rounds, o.Duration, o.Warmup)
}

// A PresenceLoad is what a measurement of presence does.
type PresenceLoad uint8

// The loads. All but the first and the last have the mix of operations beside
// the renewals.
const (
	BareRenewals  PresenceLoad = iota // a table of times, as fast as it goes
	NoRenewals                        // the mix alone
	PacedRenewals                     // at the wanted rate
	AllRenewals                       // as fast as it goes, with the mix
	OnlyRenewals                      // likewise without
	presenceLoads
)

// String returns the load in words.
func (l PresenceLoad) String() string {
	return [...]string{
		BareRenewals: "bare table, unpaced", NoRenewals: "no renewals, operations",
		PacedRenewals: "paced, operations", AllRenewals: "unpaced, operations", OnlyRenewals: "unpaced",
	}[l]
}

// MarshalText makes JSON write the words.
func (l PresenceLoad) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (l PresenceLoad) operates() bool { return l != BareRenewals && l != OnlyRenewals }

// A PresenceResult is one measurement.
type PresenceResult struct {
	Load       PresenceLoad       `json:"load"`
	Round      int                `json:"round"`
	Renewals   float64            `json:"renewals_per_s"`
	Operations float64            `json:"operations_per_s"`
	Latency    Latency            `json:"latency"` // of all operations
	Each       []OperationLatency `json:"each,omitempty"`
}

// An OperationLatency is that of one operation.
type OperationLatency struct {
	Operation string  `json:"operation"`
	Latency   Latency `json:"latency"`
}

// A PresenceReport is what RunPresence measured.
type PresenceReport struct {
	Conditions
	Users   int              `json:"users"`
	Points  []PresenceResult `json:"points"`  // medians over the rounds, by load
	Results []PresenceResult `json:"results"` // in the order of measurement
}

// RunPresence measures how many leases a directory renews, and what that costs
// the operations beside it, with many users connected.
func RunPresence(ctx context.Context, o PresenceOptions) (_ *PresenceReport, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	dir, err := DiskDir(o.Data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kept, err := place{}.open(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	// No lease ends while it is measured.
	d, err := directory.Open(ctx, directory.Options{Store: kept, Lease: time.Hour})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	c := Corpus{Users: o.Users, PerUser: 1, Seed: o.Seed}
	if err := importCorpus(ctx, d, c); err != nil {
		return nil, err
	}
	if err := connectCorpus(ctx, d, c, 1); err != nil {
		return nil, err
	}
	return o.run(ctx, d)
}

func (o *PresenceOptions) run(ctx context.Context, d *directory.Directory) (*PresenceReport, error) {
	report := &PresenceReport{Users: o.Users, Conditions: Conditions{
		Machine: thisMachine(), Started: time.Now(), Rounds: o.Rounds, Duration: Seconds(o.Duration),
	}}
	users := make([]lonja.UserName, o.Users)
	for i := range users {
		users[i] = corpusUser(i)
	}
	// As renewals come: in no order that the memory of the leases knows.
	rng := newScribe(o.Seed).rng
	rng.Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
	insiders := make([]*insider, o.Clients)
	for i := range insiders {
		every := time.Duration(float64(o.Clients) / o.Operations * float64(time.Second))
		insiders[i] = newInsider(d, o.Seed, i, o.Clients, every)
	}
	loads := make([]PresenceLoad, presenceLoads)
	for i := range loads {
		loads[i] = PresenceLoad(i)
	}
	plan := turns(o.Rounds, loads)
	for i, t := range plan {
		if o.Progress != nil {
			o.Progress(i, len(plan))
		}
		result, err := o.measure(ctx, t, d, users, insiders)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.of, err)
		}
		report.Results = append(report.Results, *result)
	}
	if o.Progress != nil {
		o.Progress(len(plan), len(plan))
	}
	for _, l := range loads {
		report.Points = append(report.Points, report.point(l))
	}
	return report, nil
}

// measure performs one measurement.
func (o *PresenceOptions) measure(ctx context.Context, t turn[PresenceLoad], d *directory.Directory, users []lonja.UserName, insiders []*insider) (*PresenceResult, error) {
	var target renewer = d
	if t.of == BareRenewals {
		target = newBareLeases(users)
	}
	runtime.GC()
	begin := time.Now().Add(o.Warmup)
	w := window{begin, begin.Add(o.Duration)}
	group, ctx := errgroup.WithContext(ctx)
	result := &PresenceResult{Load: t.of, Round: t.round}
	if t.of != NoRenewals {
		rate := 0.0
		if t.of == PacedRenewals {
			rate = o.Renewals
		}
		group.Go(func() error {
			n, err := keepRenewing(ctx, target, users, rate, w)
			result.Renewals = float64(n) / o.Duration.Seconds()
			return err
		})
	}
	if t.of.operates() {
		for _, c := range insiders {
			clear(c.latencies)
			group.Go(func() error { return c.run(ctx, w) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if t.of.operates() {
		result.take(insiders, o.Duration)
	}
	return result, nil
}

// take adds up what insiders saw.
func (r *PresenceResult) take(insiders []*insider, length time.Duration) {
	var all []time.Duration
	for _, op := range operations {
		var some []time.Duration
		for _, c := range insiders {
			some = append(some, c.latencies[op]...)
		}
		all = append(all, some...)
		r.Each = append(r.Each, OperationLatency{op.String(), latencyOf(some)})
	}
	r.Operations = float64(len(all)) / length.Seconds()
	r.Latency = latencyOf(all)
}

// point returns the medians of one load.
func (r *PresenceReport) point(load PresenceLoad) PresenceResult {
	mine := slices.DeleteFunc(slices.Clone(r.Results), func(x PresenceResult) bool { return x.Load != load })
	p := PresenceResult{
		Load:       load,
		Renewals:   medianOver(mine, func(x PresenceResult) float64 { return x.Renewals }),
		Operations: medianOver(mine, func(x PresenceResult) float64 { return x.Operations }),
		Latency:    medianLatency(latenciesOf(mine, func(x PresenceResult) Latency { return x.Latency })),
	}
	for i := range mine[0].Each {
		p.Each = append(p.Each, OperationLatency{
			mine[0].Each[i].Operation,
			medianLatency(latenciesOf(mine, func(x PresenceResult) Latency { return x.Each[i].Latency })),
		})
	}
	return p
}

func latenciesOf[T any](things []T, latency func(T) Latency) []Latency {
	all := make([]Latency, len(things))
	for i, t := range things {
		all[i] = latency(t)
	}
	return all
}
