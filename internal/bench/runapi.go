package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

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
		rate, err := o.measure(ctx, stage, t.of)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.of, err)
		}
		report.Results = append(report.Results, APIResult{t.of, t.round, rate})
	}
	if o.Progress != nil {
		o.Progress(len(plan), len(plan))
	}
	for _, l := range loads {
		var rates []float64
		for _, r := range report.Results {
			if r.Load == l {
				rates = append(rates, r.Rate)
			}
		}
		report.Points = append(report.Points, APIResult{Load: l, Rate: median(rates)})
	}
	return report, nil
}

// handshakers is how many clients shake hands at once.
const handshakers = 16

// measure has all clients do one load for a while, and returns how often a
// second.
func (o *APIOptions) measure(ctx context.Context, stage *apiStage, l APILoad) (float64, error) {
	clients := o.Nodes
	if l == BareHandshakes || l == Handshakes {
		clients = handshakers
	}
	ask, end, err := stage.clients(l, clients)
	if err != nil {
		return 0, err
	}
	defer end()
	runtime.GC()
	begin := time.Now().Add(o.Warmup)
	until := begin.Add(o.Duration)
	counts := make([]int, clients)
	group, ctx := errgroup.WithContext(ctx)
	for i := range clients {
		group.Go(func() error {
			for {
				if err := ask(ctx, i); err != nil {
					return err
				}
				now := time.Now()
				if now.After(until) {
					return nil
				}
				if now.After(begin) {
					counts[i]++
				}
			}
		})
	}
	err = group.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / o.Duration.Seconds(), err
}
