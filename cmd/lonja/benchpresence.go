package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/bench"
)

type benchPresenceOptions struct {
	data       string
	users      int
	renewals   float64
	operations float64
	clients    int
	rounds     int
	duration   time.Duration
	warmup     time.Duration
	seed       uint64
	json       bool
}

func (o *benchPresenceOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "data", "", "a `directory` on the disk that operations write to (default a temporary one on a disk)")
	f.IntVar(&o.users, "users", bench.DefaultConnected, "how many are connected")
	f.Float64Var(&o.renewals, "renewals", bench.DefaultRenewals, "leases renewed a second")
	f.Float64Var(&o.operations, "operations", bench.DefaultOperations, "operations a second beside them")
	f.IntVar(&o.clients, "clients", 16, "clients that do these")
	f.IntVar(&o.rounds, "rounds", bench.DefaultRounds, "measurements of each load")
	f.DurationVar(&o.duration, "duration", bench.DefaultRenewing, "of one measurement")
	f.DurationVar(&o.warmup, "warmup", bench.DefaultWarmup, "load before each measurement, not counted")
	f.Uint64Var(&o.seed, "seed", 1, "same seed, same operations")
	addBenchJSONFlag(f, &o.json)
}

func newBenchPresenceCommand() *cobra.Command {
	var opts benchPresenceOptions
	cmd := &cobra.Command{
		Use:   "presence",
		Short: "measure renewals of leases",
		Long: `Measures how many leases of connected users a directory renews a second, and how
long the other operations take meanwhile, inside the process, with the directory
on SQLite. Beside it runs the limit: a table of times under one lock.

The report goes to standard output, progress to standard error.`,
		Example: `  lonja bench presence
  lonja bench presence --users 10000 --duration 2s --rounds 1
  lonja bench presence --renewals 200000 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchPresence(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runBenchPresence(cmd *cobra.Command, opts benchPresenceOptions) error {
	progress, finish := benchProgress(cmd.ErrOrStderr())
	report, err := bench.RunPresence(cmd.Context(), bench.PresenceOptions{
		Data: opts.data, Users: opts.users, Renewals: opts.renewals, Operations: opts.operations, Clients: opts.clients,
		Rounds: opts.rounds, Duration: opts.duration, Warmup: opts.warmup, Seed: opts.seed, Progress: progress,
	})
	finish()
	if err != nil {
		return err
	}
	return printBenchReport(cmd, report, opts.json)
}
