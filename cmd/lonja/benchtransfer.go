package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/bench"
	"lonja/internal/shell"
)

type benchTransferOptions struct {
	dir         string
	shapes      []string
	size        string
	holders     int
	downloaders int
	rate        string
	throttled   time.Duration
	rounds      int
	seed        uint64
	plots       string
	json        bool
}

func (o *benchTransferOptions) addFlags(f *pflag.FlagSet) {
	var all []string
	for _, s := range bench.TransferShapes() {
		all = append(all, s.String())
	}
	f.StringVar(&o.dir, "dir", "", "a `directory` for the files, which are removed again (default a temporary one in memory, if there is a tmpfs)")
	f.StringSliceVar(&o.shapes, "shapes", all, "what is measured, a `list`")
	f.StringVar(&o.size, "size", "1GiB", "of the file where nobody is throttled, in `bytes` or as 64MiB")
	f.IntVar(&o.holders, "holders", bench.DefaultHolders, "of the shapes with several")
	f.IntVar(&o.downloaders, "downloaders", bench.DefaultDownloaders, "of the crowd")
	f.StringVar(&o.rate, "rate", shell.FormatSize(bench.DefaultRate), "what a throttled node sends in a second, in `bytes` or as 8MB")
	f.DurationVar(&o.throttled, "throttled", bench.DefaultThrottled, "how long a transfer from throttled nodes takes at best, which says how long its file is")
	f.IntVar(&o.rounds, "rounds", bench.DefaultRounds, "measurements of each shape")
	f.Uint64Var(&o.seed, "seed", 1, "same seed, same files")
	f.StringVar(&o.plots, "plots", "", "write plots, PNG and SVG, to `DIR`")
	addBenchJSONFlag(f, &o.json)
	notSettings(f, "plots")
}

func newBenchTransferCommand() *cobra.Command {
	var opts benchTransferOptions
	cmd := &cobra.Command{
		Use:   "transfer",
		Short: "measure how fast files come",
		Long: `Measures how fast a node fetches a file, each piece checked: from one holder, from
several (--holders), from several that send --rate bytes a second at most, from
such of which one sends a tenth of it, and how long a crowd of --downloaders
takes that want all at once what one holder has, when each of all sends --rate
at most and passes on what it has.

In turns with them runs the limit of the first two: one TLS connection to which
a file is copied, and from which it is copied into a file, unchecked. Nodes,
directory and limit are in this one process, and speak over the loopback address.

The report goes to standard output, progress to standard error.`,
		Example: `  lonja bench transfer
  lonja bench transfer --shapes bare,one,several --size 256MiB --rounds 7
  lonja bench transfer --shapes crowd --downloaders 50 --rate 4MB --plots plots`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchTransfer(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// plan reads the options.
func (o *benchTransferOptions) plan() (p bench.TransferOptions, err error) {
	p = bench.TransferOptions{
		Dir: o.dir, Holders: o.holders, Downloaders: o.downloaders, Throttled: o.throttled, Rounds: o.rounds, Seed: o.seed,
	}
	for _, name := range o.shapes {
		shape, err := bench.ParseTransferShape(name)
		if err != nil {
			return p, usageError{err}
		}
		p.Shapes = append(p.Shapes, shape)
	}
	if p.Size, err = shell.ParseSize(o.size); err != nil {
		return p, usagef("--size %q: %w", o.size, err)
	}
	if p.Rate, err = shell.ParseSize(o.rate); err != nil {
		return p, usagef("--rate %q: %w", o.rate, err)
	}
	return p, nil
}

func runBenchTransfer(cmd *cobra.Command, opts benchTransferOptions) error {
	plan, err := opts.plan()
	if err != nil {
		return err
	}
	if opts.plots != "" { // before anything is measured, which takes minutes
		if err := os.MkdirAll(opts.plots, 0o755); err != nil {
			return fmt.Errorf("directory of the plots: %w", err)
		}
	}
	progress, finish := benchProgress(cmd.ErrOrStderr())
	plan.Progress = progress
	report, err := bench.RunTransfer(cmd.Context(), plan)
	finish()
	if err != nil {
		return err
	}
	if opts.plots != "" {
		if _, err := report.WritePlots(opts.plots); err != nil {
			return fmt.Errorf("write the plots: %w", err)
		}
	}
	return printBenchReport(cmd, report, opts.json)
}
