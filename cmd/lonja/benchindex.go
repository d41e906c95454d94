package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/bench"
)

type benchIndexOptions struct {
	data     string
	cluster  clusterOptions
	users    int
	perUser  int
	shapes   []string
	asked    time.Duration
	writers  int
	rounds   int
	duration time.Duration
	seed     uint64
	json     bool
}

func (o *benchIndexOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "data", "", "keep the listings in this `directory` for the next run (default: they are removed)")
	o.cluster.addFlags(f)
	f.IntVar(&o.users, "users", bench.DefaultUsers, "how many have an account")
	f.IntVar(&o.perUser, "listings-per-user", bench.DefaultPerUser, "what each has published")
	f.StringSliceVar(&o.shapes, "names", []string{"shared", "unique"}, "whether users share base names, a `list` of shared, unique")
	f.DurationVar(&o.asked, "asked", bench.DefaultAsked, "how long a server is asked before its memory is read again")
	f.IntVar(&o.writers, "writers", 16, "clients that publish and delete beside the questions")
	f.IntVar(&o.rounds, "rounds", bench.DefaultRounds, "measurements of each start and question")
	f.DurationVar(&o.duration, "duration", bench.DefaultDuration, "of one measurement of a question")
	f.Uint64Var(&o.seed, "seed", 1, "same seed, same listings")
	addBenchJSONFlag(f, &o.json)
}

func newBenchIndexCommand() *cobra.Command {
	var opts benchIndexOptions
	cmd := &cobra.Command{
		Use:   "index",
		Short: "measure a directory with a million listings",
		Long: `Measures a directory with a million listings: how long "lonja server" takes to
start on them, its memory then and after questions over the network; and how
long it takes inside the process to list a user's content, to find the holders
of a file, and to search two words, alone and beside clients that write.

In turns with the start runs its limit: reading all records without lonja. Both
begin with an empty page cache if this is run as root, which the report says.
The limit of the questions is a short loop: what it shows is the machine.

The report goes to standard output, progress to standard error.`,
		Example: `  lonja bench index --data /srv/bench
  lonja bench index --users 5000 --names unique --rounds 1
  lonja bench index --store nats://lonja:PASSWORD@n1,n2,n3 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchIndex(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runBenchIndex(cmd *cobra.Command, opts benchIndexOptions) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cluster, err := opts.cluster.cluster()
	if err != nil {
		return err
	}
	o := bench.IndexOptions{
		Executable: program, Data: opts.data, Cluster: cluster,
		Users: opts.users, PerUser: opts.perUser, Seed: opts.seed, Asked: opts.asked, Writers: opts.writers,
		Rounds: opts.rounds, Duration: opts.duration, Tell: noteBench(cmd),
	}
	for _, shape := range opts.shapes {
		if shape != "shared" && shape != "unique" {
			return usagef("--names %q is neither shared nor unique", shape)
		}
		o.Unique = append(o.Unique, shape == "unique")
	}
	report, err := bench.RunIndex(cmd.Context(), o)
	if err != nil {
		return err
	}
	return printBenchReport(cmd, report, opts.json)
}
