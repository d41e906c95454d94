package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/directory"
	"lonja/internal/natsstore"
)

// The defaults of IndexOptions.
const (
	DefaultUsers   = 50_000
	DefaultPerUser = 20
	DefaultAsked   = time.Minute
)

// IndexOptions is what RunIndex measures. Executable must be set.
type IndexOptions struct {
	// Executable is the lonja program, whose server is started.
	Executable string
	// Data is where the listings are kept from one run to the next, below a
	// directory for each shape; empty: they are removed again.
	Data string
	// Cluster, unless nil, holds them instead, in streams with names of their
	// own; Data then holds what a node remembers.
	Cluster *natsstore.Options
	Users   int
	PerUser int // listings of each user
	Unique  []bool
	Seed    uint64
	// Asked is for how long a server is asked over the network before its
	// memory is read again.
	Asked time.Duration
	// Writers are the clients that publish and delete beside some of the
	// questions.
	Writers int

	Rounds   int           // measurements of each start and each question
	Duration time.Duration // of one measurement of a question
	// Tell is told what goes on, in words.
	Tell func(string)
}

func (o *IndexOptions) check() error {
	if o.Users <= connectedOneIn*o.Writers || o.PerUser < 1 || o.Writers < 1 || len(o.Unique) == 0 {
		return invalid("%d users with %d listings each and %d writers are nothing to measure", o.Users, o.PerUser, o.Writers)
	}
	return checkRounds(o.Rounds, o.Duration, o.Asked)
}

// An IndexReport is what RunIndex measured.
type IndexReport struct {
	Conditions
	Engine string        `json:"engine"`
	Shapes []ShapeReport `json:"shapes"`
}

// A ShapeReport is about one corpus.
type ShapeReport struct {
	Corpus
	Starts []StartResult `json:"starts"`
	Reads  []ReadPoint   `json:"reads"`
}

// A ReadPoint is the medians of one question, inside a directory.
type ReadPoint struct {
	Question Question `json:"question"`
	Writing  bool     `json:"beside_writers"`
	Rate     float64  `json:"answers_per_s"`
	Latency  Latency  `json:"latency"`
	Writes   float64  `json:"writes_per_s"` // of the writers beside it
}

// RunIndex measures a directory with many listings: how long the server takes
// to start on them and what memory, and how long it takes to answer, inside the
// process.
func RunIndex(ctx context.Context, o IndexOptions) (_ *IndexReport, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	if o.Data != "" {
		if o.Data, err = filepath.Abs(o.Data); err != nil {
			return nil, err
		}
	}
	report := &IndexReport{Engine: "SQLite", Conditions: Conditions{
		Machine: thisMachine(), Started: time.Now(), Rounds: o.Rounds, Duration: Seconds(o.Duration),
	}}
	if o.Cluster != nil {
		report.Engine = "NATS cluster"
	}
	for _, unique := range o.Unique {
		c := Corpus{o.Users, o.PerUser, unique, o.Seed}
		shape, err := o.shape(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("base names %s: %w", c.Shape(), err)
		}
		report.Shapes = append(report.Shapes, *shape)
	}
	return report, nil
}

func (o *IndexOptions) shape(ctx context.Context, c Corpus) (_ *ShapeReport, err error) {
	l, err := openLoaded(ctx, c, o.Data, o.Cluster, o.Tell)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.discard()) }()
	report := &ShapeReport{Corpus: c}
	runtime.GC() // what wrote the corpus is not to be in the way
	for round := 1; round <= o.Rounds; round++ {
		o.Tell(fmt.Sprintf("start %d of %d, base names %s", round, o.Rounds, c.Shape()))
		asked := time.Duration(0)
		if round == o.Rounds {
			asked = o.Asked
		}
		start, err := measureStart(ctx, o.Executable, l, round, asked)
		if err != nil {
			return nil, fmt.Errorf("start: %w", err)
		}
		report.Starts = append(report.Starts, start)
	}
	o.Tell("questions, base names " + c.Shape())
	report.Reads, err = o.reads(ctx, l)
	return report, err
}

// reads asks a directory in this process.
func (o *IndexOptions) reads(ctx context.Context, l *loaded) (_ []ReadPoint, err error) {
	kept, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	d, err := directory.Open(ctx, directory.Options{Store: kept})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := connectCorpus(ctx, d, l.Corpus, connectedOneIn); err != nil {
		return nil, err
	}
	q, err := makeQuestions(ctx, d, l.Corpus)
	if err != nil {
		return nil, err
	}
	var cases []ReadPoint
	for _, writing := range []bool{false, true} {
		for kind := range questionCount {
			cases = append(cases, ReadPoint{Question: kind, Writing: writing})
		}
	}
	measured := make(map[ReadPoint][]ReadPoint)
	for _, t := range turns(o.Rounds, cases) {
		got, err := o.read(ctx, d, q, t.of)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.of.Question, err)
		}
		measured[t.of] = append(measured[t.of], got)
	}
	for i, c := range cases {
		all := measured[c]
		cases[i].Rate = medianOver(all, func(p ReadPoint) float64 { return p.Rate })
		cases[i].Writes = medianOver(all, func(p ReadPoint) float64 { return p.Writes })
		latencies := make([]Latency, len(all))
		for j, p := range all {
			latencies[j] = p.Latency
		}
		cases[i].Latency = medianLatency(latencies)
	}
	return cases, nil
}

// readWarmup passes before each measurement of a question.
const readWarmup = 200 * time.Millisecond

// read is one measurement of a question.
func (o *IndexOptions) read(ctx context.Context, d *directory.Directory, q *questions, p ReadPoint) (ReadPoint, error) {
	runtime.GC()
	begin := time.Now().Add(readWarmup)
	w := window{begin, begin.Add(o.Duration)}
	group, ctx := errgroup.WithContext(ctx)
	if p.Writing {
		group.Go(func() error {
			seen, err := keepWriting(ctx, o.Writers, w, publishAndDelete(d))
			if err != nil {
				return err
			}
			p.Writes = float64(seen.done) / o.Duration.Seconds()
			return o.tidy(ctx, d)
		})
	}
	var latencies []time.Duration
	group.Go(func() (err error) {
		latencies, err = q.keepAsking(ctx, d, p.Question, w)
		return err
	})
	if err := group.Wait(); err != nil {
		return p, err
	}
	p.Rate = float64(len(latencies)) / o.Duration.Seconds()
	p.Latency = latencyOf(latencies)
	return p, nil
}

// extraListing is what a writer publishes and deletes again.
func extraListing(writer int) (lonja.UserName, lonja.Listing) {
	listing := writtenListing(writer, 0)
	return corpusUser(writer * connectedOneIn), listing
}

// publishAndDelete has each writer publish and delete one listing by turns.
func publishAndDelete(d *directory.Directory) writeFunc {
	return func(ctx context.Context, writer, n int) error {
		user, listing := extraListing(writer)
		if n%2 == 0 {
			return d.Publish(ctx, user, listing)
		}
		return d.Delete(ctx, user, listing.Name)
	}
}

// tidy deletes what writers have left.
func (o *IndexOptions) tidy(ctx context.Context, d *directory.Directory) error {
	for i := range o.Writers {
		user, listing := extraListing(i)
		if err := d.Delete(ctx, user, listing.Name); err != nil && !errors.Is(err, lonja.NotPublished) {
			return err
		}
	}
	return nil
}
