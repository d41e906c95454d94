package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"lonja"
	"lonja/internal/natsstore"
)

// DefaultWriters are the numbers of clients that wait for their writes.
func DefaultWriters() []int { return []int{1, 16, 256} }

// StoreOptions is what RunStore measures.
type StoreOptions struct {
	// Data is an existing directory on the disk to measure, or empty for the
	// one of DiskDir. Nothing is left there.
	Data string
	// Cluster, unless nil, is measured instead: Servers and how to get at them.
	// Streams with names of their own are made on it, and removed.
	Cluster *natsstore.Options
	Writers []int // clients that wait at once, ascending

	Rounds   int           // measurements of each path
	Duration time.Duration // of one measurement
	Warmup   time.Duration // load before each measurement, not counted

	// Progress, if set, is told before each measurement and once at the end.
	Progress func(done, total int)
}

func (o *StoreOptions) check() error {
	if len(o.Writers) == 0 || slices.Min(o.Writers) < 1 {
		return invalid("%v are not numbers of clients", o.Writers)
	}
	return checkRounds(o.Rounds, o.Duration, o.Warmup)
}

// checkRounds returns an error of kind Invalid if nothing can be measured so.
func checkRounds(rounds int, duration, warmup time.Duration) error {
	switch {
	case rounds < 1:
		return invalid("%d rounds are too few", rounds)
	case duration <= 0 || warmup < 0:
		return invalid("durations must be above zero")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return lonja.E(lonja.Invalid, "bench", fmt.Errorf(format, args...))
}

// A StoreResult is one measurement.
type StoreResult struct {
	Path    WritePath `json:"path"`
	Writers int       `json:"clients"`
	Round   int       `json:"round"`
	Rate    float64   `json:"writes_per_s"` // acknowledged
	Latency Latency   `json:"latency"`
	Others  float64   `json:"others"` // share of the processors that other programs took
}

// A StoreReport is what RunStore measured.
type StoreReport struct {
	Conditions
	Engine  string        `json:"engine"`
	Points  []StorePoint  `json:"points"`
	Results []StoreResult `json:"results"` // in the order of measurement
}

// A StorePoint is the medians of one path with so many clients.
type StorePoint struct {
	Writers int       `json:"clients"`
	Path    WritePath `json:"path"`
	Rate    float64   `json:"writes_per_s"`
	// OfBare is the median over the rounds of the rate divided by that of the
	// bare engine in the same round.
	OfBare  float64 `json:"of_bare"`
	Latency Latency `json:"latency"`
}

// RunStore measures durable writes: each client writes one new record after the
// other and waits until it is kept, by four paths in turns, each into an empty
// store. When ctx ends it returns an error.
func RunStore(ctx context.Context, o StoreOptions) (*StoreReport, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	report := &StoreReport{Engine: "SQLite", Conditions: Conditions{
		Machine: thisMachine(), Started: time.Now(), Rounds: o.Rounds, Duration: Seconds(o.Duration),
	}}
	if o.Cluster != nil {
		report.Engine = "NATS cluster"
	}
	var trials []StoreResult
	for _, writers := range o.Writers {
		for _, t := range turns(o.Rounds, []WritePath{BarePath, StorePath, PublishPath, SignedPath}) {
			trials = append(trials, StoreResult{Path: t.of, Writers: writers, Round: t.round})
		}
	}
	for i, t := range trials {
		if o.Progress != nil {
			o.Progress(i, len(trials))
		}
		if err := t.measure(ctx, o); err != nil {
			return nil, fmt.Errorf("%s with %d clients: %w", t.Path, t.Writers, err)
		}
		report.Results = append(report.Results, t)
	}
	if o.Progress != nil {
		o.Progress(len(trials), len(trials))
	}
	report.summarise(o.Writers)
	return report, nil
}

func (r *StoreResult) measure(ctx context.Context, o StoreOptions) (err error) {
	e, err := place{o.Data, o.Cluster}.openEngine(ctx, r.Path, r.Writers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	runtime.GC() // each begins with the same heap
	begin := time.Now().Add(o.Warmup)
	seen, err := keepWriting(ctx, r.Writers, window{begin, begin.Add(o.Duration)}, e.write)
	if err != nil {
		return err
	}
	r.Rate, r.Others = float64(seen.done)/o.Duration.Seconds(), seen.others
	r.Latency = latencyOf(seen.latencies)
	return nil
}

// summarise makes the points of the results.
func (r *StoreReport) summarise(writers []int) {
	for _, n := range writers {
		for path := range pathCount {
			r.Points = append(r.Points, r.point(n, path))
		}
	}
}

func (r *StoreReport) point(writers int, path WritePath) StorePoint {
	p := StorePoint{Writers: writers, Path: path}
	bare := make(map[int]float64)
	for _, x := range r.Results {
		if x.Writers == writers && x.Path == BarePath {
			bare[x.Round] = x.Rate
		}
	}
	var rates, ratios []float64
	var latencies []Latency
	for _, x := range r.Results {
		if x.Writers == writers && x.Path == path {
			rates, latencies = append(rates, x.Rate), append(latencies, x.Latency)
			ratios = append(ratios, ratio(x.Rate, bare[x.Round]))
		}
	}
	p.Rate, p.OfBare, p.Latency = median(rates), median(ratios), medianLatency(latencies)
	return p
}
