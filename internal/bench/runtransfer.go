package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"lonja"
	"lonja/internal/fairshare"
)

// The defaults of TransferOptions.
const (
	DefaultTransferSize = 1 << 30
	DefaultHolders      = 3
	DefaultDownloaders  = 20
	DefaultRate         = 8_000_000
	DefaultThrottled    = 10 * time.Second
)

// TransferOptions is what RunTransfer measures.
type TransferOptions struct {
	// Dir is an existing directory for the files, empty for memory where there is a
	// tmpfs, so that no disk is measured. Nothing is left there.
	Dir    string
	Shapes []TransferShape // in the order in which they are reported

	Size        int64 // of the file where nobody is throttled, in bytes
	Holders     int   // of the shapes with several
	Downloaders int   // of the flash crowd
	Rate        int64 // of a throttled node, in bytes a second
	// Throttled is how long a transfer from throttled holders takes if nothing is
	// lost; its file is as long as that.
	Throttled time.Duration
	Rounds    int
	Seed      uint64

	// Progress, if set, is told before each measurement and once at the end.
	Progress func(done, total int)
}

// The bounds of what takes memory, disk or time.
const (
	mostHolders     = 64
	mostDownloaders = 256
)

func (o *TransferOptions) check() error {
	switch {
	case len(o.Shapes) == 0:
		return invalid("no shapes of transfers are nothing to measure")
	case o.Size < 1 || o.Rate < leastTransferRate || o.Throttled <= 0 || o.Rounds < 1:
		return invalid("files of %d bytes, %d bytes a second (at least %d), throttled for %v, and %d rounds are too few to measure",
			o.Size, o.Rate, leastTransferRate, o.Throttled, o.Rounds)
	case o.Holders < 2 || o.Holders > mostHolders || o.Downloaders < 1 || o.Downloaders > mostDownloaders:
		return invalid("%d holders and %d downloaders: 2 to %d, and 1 to %d can be measured", o.Holders, o.Downloaders, mostHolders, mostDownloaders)
	}
	return nil
}

// A TransferShape is who sends to whom, and how fast.
type TransferShape uint8

// The shapes.
const (
	BareTransfer   TransferShape = iota // one TLS connection, nothing checked: the limit of the next two
	OneHolder                           // one node fetches from another
	SeveralHolders                      // one node fetches from several
	Throttled                           // likewise, each of which sends at Rate
	Uneven                              // likewise, but the first of them sends at a tenth of it
	FlashCrowd                          // many fetch from one, and each of all sends at Rate
	transferShapes
)

var shapeNames = [...]string{
	BareTransfer: "bare", OneHolder: "one", SeveralHolders: "several", Throttled: "throttled", Uneven: "uneven", FlashCrowd: "crowd",
}

// String returns the name that ParseTransferShape takes.
func (s TransferShape) String() string { return shapeNames[s] }

// MarshalText makes JSON write the name.
func (s TransferShape) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// TransferShapes returns all of them.
func TransferShapes() (all []TransferShape) {
	for s := range transferShapes {
		all = append(all, s)
	}
	return all
}

// ParseTransferShape is the reverse of String.
func ParseTransferShape(name string) (TransferShape, error) {
	if i := slices.Index(shapeNames[:], name); i >= 0 {
		return TransferShape(i), nil
	}
	return 0, invalid("no shape of transfers is called %q: there are %v", name, shapeNames)
}

// ideal is how many bytes a second come to one downloader if nothing is lost, or
// 0 where that is to be measured. In a flash crowd it is what the seed sends: all
// of it has to leave there once, and those who have it pass it on as fast.
func (o *TransferOptions) ideal(s TransferShape) int64 {
	switch s {
	case Throttled:
		return int64(o.Holders) * o.Rate
	case Uneven:
		return int64(o.Holders-1)*o.Rate + o.Rate/slowShare
	case FlashCrowd:
		return o.Rate
	}
	return 0
}

// slowShare is how much slower the slow holder is.
const slowShare = 10

// leastTransferRate is the lowest Rate of which the slow holder's share is one that a
// node can have, in bytes a second.
const leastTransferRate = slowShare * int64(fairshare.LeastRate)

// size is that of the file of a shape.
func (o *TransferOptions) size(s TransferShape) int64 {
	if ideal := o.ideal(s); ideal > 0 {
		return max(int64(float64(ideal)*o.Throttled.Seconds()), 1)
	}
	return o.Size
}

// patience is how long a transfer may take: a slow machine should still come to
// the end, also with a crowd of which none helps another, and who is stuck should
// not keep anybody.
func (o *TransferOptions) patience(s TransferShape) time.Duration {
	const least, slower = 20e6, 8 // bytes a second, where nobody is throttled
	ideal := float64(o.size(s)) / float64(cmp.Or(o.ideal(s), least))
	times := slower
	if s == FlashCrowd {
		times = max(times, 2*o.Downloaders)
	}
	return time.Minute + time.Duration(ideal*float64(times)*float64(time.Second))
}

// RunTransfer measures how fast nodes fetch, each piece checked, from one holder
// and from several, from such that send slowly, and what a crowd makes of one
// holder that does. In turns with it runs the limit, the same TLS without lonja.
//
// The nodes, and a directory for them, are the real ones and speak over the loopback address,
// but are all in this process: so they and the limit share one runtime and the
// same cores, and a crowd costs no process for each. What a program takes from
// its start to its end is another question, which scripts/compare-transfer asks.
func RunTransfer(ctx context.Context, o TransferOptions) (_ *TransferReport, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	dir, err := memoryDir(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stage, err := newTransferStage(ctx, &o, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stage.close()) }()
	report := &TransferReport{
		Machine: thisMachine(), Started: time.Now(), Rounds: o.Rounds, InMemory: inMemory(dir),
		Size: o.Size, Holders: o.Holders, Downloaders: o.Downloaders, Rate: o.Rate,
	}
	plan := turns(o.Rounds, o.Shapes)
	for i, t := range plan {
		if o.Progress != nil {
			o.Progress(i, len(plan))
		}
		result, err := stage.measure(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.of, err)
		}
		report.Results = append(report.Results, *result)
	}
	if o.Progress != nil {
		o.Progress(len(plan), len(plan))
	}
	report.sum(&o)
	return report, nil
}

// sharedMemory is a tmpfs on every Linux system (shm_overview(7)).
const sharedMemory = "/dev/shm"

// memoryDir returns a new directory below base, or, if that is empty, where a
// file costs no disk. The caller removes it.
func memoryDir(base string) (string, error) {
	if base == "" {
		base = os.TempDir()
		if !inMemory(base) && inMemory(sharedMemory) {
			base = sharedMemory
		}
	}
	dir, err := os.MkdirTemp(base, "lonja-bench-")
	if err != nil {
		return "", lonja.E(lonja.LocalFile, "bench", fmt.Errorf("directory of the measurements: %w", err))
	}
	return dir, nil
}

// measure brings the file of a shape to those who want it, once.
func (s *transferStage) measure(ctx context.Context, t turn[TransferShape]) (*TransferResult, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.patience(t.of))
	defer cancel()
	run, end, err := s.prepare(ctx, t.of)
	if err != nil {
		return nil, err
	}
	defer end()
	runtime.GC()
	busy, all, err := machineTime()
	if err != nil {
		return nil, err
	}
	began, spent := time.Now(), ownCPU()
	r := &TransferResult{Shape: t.of, Round: t.round, Bytes: s.opts.size(t.of)}
	if err := run(ctx, r); err != nil {
		return nil, err
	}
	r.Seconds, r.CPU = Seconds(time.Since(began)), Seconds(ownCPU()-spent)
	busyAfter, allAfter, err := machineTime()
	r.Others = max(0, ratio(float64(busyAfter-busy-time.Duration(r.CPU)), float64(allAfter-all)))
	return r, err
}
