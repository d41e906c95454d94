package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/bench"
)

type benchAPIOptions struct {
	nodes    int
	rounds   int
	duration time.Duration
	warmup   time.Duration
	seed     uint64
	json     bool
}

func (o *benchAPIOptions) addFlags(f *pflag.FlagSet) {
	f.IntVar(&o.nodes, "nodes", bench.DefaultNodes, "nodes that ask, with a connection each")
	f.IntVar(&o.rounds, "rounds", bench.DefaultRounds, "measurements of each load")
	f.DurationVar(&o.duration, "duration", bench.DefaultAPILasting, "of one measurement")
	f.DurationVar(&o.warmup, "warmup", bench.DefaultWarmup, "load before each measurement, not counted")
	f.Uint64Var(&o.seed, "seed", 1, "same seed, same listings")
	addBenchJSONFlag(f, &o.json)
}

func newBenchAPICommand() *cobra.Command {
	var opts benchAPIOptions
	cmd := &cobra.Command{
		Use:   "api",
		Short: "measure the secure dialect",
		Long: `Measures reads and handshakes of the secure dialect, in frames and over Connect,
beside the limit of each (the same carrier and bytes, and nothing done for them)
and beside the same read in the classic dialect, all inside one process.

The report goes to standard output, progress to standard error.`,
		Example: `  lonja bench api
  lonja bench api --nodes 50 --duration 1s --rounds 1
  lonja bench api --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchAPI(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runBenchAPI(cmd *cobra.Command, opts benchAPIOptions) error {
	progress, finish := benchProgress(cmd.ErrOrStderr())
	report, err := bench.RunAPI(cmd.Context(), bench.APIOptions{
		Nodes: opts.nodes, Rounds: opts.rounds, Duration: opts.duration, Warmup: opts.warmup, Seed: opts.seed, Progress: progress,
	})
	finish()
	if err != nil {
		return err
	}
	return printBenchReport(cmd, report, opts.json)
}
