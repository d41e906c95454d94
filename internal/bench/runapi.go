package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"lonja/internal/directory"
	"lonja/internal/memstore"
)

// The defaults of APIOptions.
const (
	DefaultNodes      = 300
	DefaultAPILasting = 5 * time.Second
)

// APIOptions is what RunAPI measures.
type APIOptions struct {
	Nodes int // that ask, with a connection each

	Rounds   int
	Duration time.Duration // of one measurement
	Warmup   time.Duration // load before each measurement, not counted
	Seed     uint64

	// Progress, if set, is told before each measurement and once at the end.
	Progress func(done, total int)
}

func (o *APIOptions) check() error {
	if o.Nodes < 1 {
		return invalid("%d nodes are nothing to measure", o.Nodes)
	}
	return checkRounds(o.Rounds, o.Duration, o.Warmup)
}

// An APILoad is one of the things that RunAPI measures.
type APILoad uint8

// The loads. Each bare one is the limit of the one after it: the same carrier
// and the same bytes, and nothing done for them.
const (
	BareFrames APILoad = iota
	FrameReads
	ClassicReads // a connection each
	BareConnect
	ConnectReads
	BareHandshakes
	Handshakes
	apiLoads
)

// String returns the load in words.
func (l APILoad) String() string {
	return [...]string{
		BareFrames: "bare echo in frames", FrameReads: "reads in frames", ClassicReads: "reads in classic",
		BareConnect: "bare echo over Connect", ConnectReads: "reads over Connect",
		BareHandshakes: "handshakes of crypto/tls", Handshakes: "handshakes",
	}[l]
}

// MarshalText makes JSON write the words.
func (l APILoad) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// An APIResult is one measurement.
type APIResult struct {
	Load  APILoad `json:"load"`
	Round int     `json:"round"`
	Rate  float64 `json:"per_s"`
	CPU   Seconds `json:"cpu_seconds"` // of clients and server, for one
}

// An APIReport is what RunAPI measured.
type APIReport struct {
	Conditions
	Nodes   int         `json:"nodes"`
	Points  []APIResult `json:"points"`  // medians over the rounds, by load
	Results []APIResult `json:"results"` // in the order of measurement
}

// rate returns the median of a load.
func (r *APIReport) rate(l APILoad) float64 { return r.Points[l].Rate }

// The accounts and listings that reads look at.
const (
	apiUsers   = 1000
	apiPerUser = 20
)

// RunAPI measures what the secure dialect costs: the same read in frames, over
// Connect and in classic, beside the limit of each, and handshakes with client
// certificates. Clients and server are in this one process, on the loopback
// address.
func RunAPI(ctx context.Context, o APIOptions) (_ *APIReport, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	d, err := directory.Open(ctx, directory.Options{Store: memstore.New()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	c := Corpus{Users: apiUsers, PerUser: apiPerUser, Seed: o.Seed}
	if err := importCorpus(ctx, d, c); err != nil {
		return nil, err
	}
	if err := connectCorpus(ctx, d, c, 1); err != nil {
		return nil, err
	}
	stage, err := newAPIStage(ctx, d, o.Nodes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stage.close()) }()
	return o.run(ctx, stage)
}

func (o *APIOptions) run(ctx context.Context, stage *apiStage) (*APIReport, error) {
	report := &APIReport{Nodes: o.Nodes, Conditions: Conditions{
		Machine: thisMachine(), Started: time.Now(), Rounds: o.Rounds, Duration: Seconds(o.Duration),
	}}
	loads := make([]APILoad, apiLoads)
	for i := range loads {
		loads[i] = APILoad(i)
	}
	plan := turns(o.Rounds, loads)
	for i, t := range plan {
		if o.Progress != nil {
			o.Progress(i, len(plan))
		}
		result, err := o.measure(ctx, stage, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.of, err)
		}
		report.Results = append(report.Results, *result)
	}
	if o.Progress != nil {
		o.Progress(len(plan), len(plan))
	}
	for _, l := range loads {
		var of []APIResult
		for _, r := range report.Results {
			if r.Load == l {
				of = append(of, r)
			}
		}
		report.Points = append(report.Points, APIResult{
			Load: l,
			Rate: medianOver(of, func(r APIResult) float64 { return r.Rate }),
			CPU:  Seconds(medianOver(of, func(r APIResult) float64 { return float64(r.CPU) })),
		})
	}
	return report, nil
}

// handshakers is how many clients shake hands at once.
const handshakers = 16

// measure has all clients do one load for a while, and counts what is done
// after the warmup.
func (o *APIOptions) measure(ctx context.Context, stage *apiStage, t turn[APILoad]) (*APIResult, error) {
	clients := o.Nodes
	if t.of == BareHandshakes || t.of == Handshakes {
		clients = handshakers
	}
	ask, end, err := stage.clients(t.of, clients)
	if err != nil {
		return nil, err
	}
	defer end()
	var first errgroup.Group // connects
	for i := range clients {
		first.Go(func() error { return ask(ctx, i) })
	}
	if err := first.Wait(); err != nil {
		return nil, err
	}
	runtime.GC()
	var count atomic.Int64
	working, stop := context.WithCancel(ctx)
	defer stop()
	group, working := errgroup.WithContext(working)
	var ended atomic.Bool
	for i := range clients {
		group.Go(func() error {
			for !ended.Load() {
				if err := ask(working, i); err != nil {
					return err
				}
				count.Add(1)
			}
			return nil
		})
	}
	pass(working, o.Warmup)
	began, done, spent := time.Now(), count.Load(), ownCPU()
	pass(working, o.Duration)
	took, n, cpu := time.Since(began), count.Load()-done, ownCPU()-spent
	ended.Store(true)
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, invalid("%s: nothing was done in %v", t.of, took)
	}
	return &APIResult{t.of, t.round, float64(n) / took.Seconds(), Seconds(cpu / time.Duration(n))}, nil
}

// ownCPU is the time that this process has spent on processors.
func ownCPU() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// pass lets a time pass, or less if ctx ends.
func pass(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
