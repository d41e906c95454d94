package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/bench"
)

type benchStoreOptions struct {
	data     string
	cluster  clusterOptions
	clients  []int
	rounds   int
	duration time.Duration
	warmup   time.Duration
	json     bool
}

func (o *benchStoreOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "data", "", "a `directory` on the disk to measure (default a temporary one on a disk)")
	o.cluster.addFlags(f)
	f.IntSliceVar(&o.clients, "clients", bench.DefaultWriters(), "`numbers` of clients that wait at once for their writes")
	f.IntVar(&o.rounds, "rounds", bench.DefaultRounds, "measurements of each path")
	f.DurationVar(&o.duration, "duration", bench.DefaultDuration, "of one measurement")
	f.DurationVar(&o.warmup, "warmup", bench.DefaultWarmup, "load before each measurement, not counted")
	addBenchJSONFlag(f, &o.json)
}

func newBenchStoreCommand() *cobra.Command {
	var opts benchStoreOptions
	cmd := &cobra.Command{
		Use:   "store",
		Short: "measure durable writes",
		Long: `Measures how many writes a second become durable, by clients that each wait for
theirs: through lonja's store, and through a directory, whose index holds the
write when it is answered. In turns with them runs the limit: rows of the same
size into bare SQLite on the same disk, those that wait in one transaction, or
messages of the same size into a bare stream on the same cluster.

The report goes to standard output, progress to standard error.`,
		Example: `  lonja bench store
  lonja bench store --data /srv --clients 256 --rounds 5
  lonja bench store --store nats://lonja:PASSWORD@n1,n2,n3 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchStore(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runBenchStore(cmd *cobra.Command, opts benchStoreOptions) error {
	cluster, err := opts.cluster.cluster()
	if err != nil {
		return err
	}
	progress, finish := benchProgress(cmd.ErrOrStderr())
	report, err := bench.RunStore(cmd.Context(), bench.StoreOptions{
		Data: opts.data, Cluster: cluster, Writers: opts.clients,
		Rounds: opts.rounds, Duration: opts.duration, Warmup: opts.warmup, Progress: progress,
	})
	finish()
	if err != nil {
		return err
	}
	return printBenchReport(cmd, report, opts.json)
}
