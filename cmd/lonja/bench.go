package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"lonja/internal/bench"
	"lonja/internal/telemetry"
)

type benchOptions struct {
	data          string
	clients       []int
	services      []string
	loggerClients int
	rounds        int
	duration      time.Duration
	warmup        time.Duration
	timeout       time.Duration
	seed          uint64
	csv           string
	plots         string
}

func (o *benchOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "data", "", "a `directory` on the disk where servers keep what they know, "+inMemory+
		" for those that keep nothing (default a temporary one on a disk)")
	f.IntSliceVar(&o.clients, "clients", bench.DefaultClients(), "`numbers` of clients at once, ascending")
	f.StringSliceVar(&o.services, "services", []string{"none", "both"},
		"what runs beside the directory, a `list` of none, logger, datetime, both")
	f.IntVar(&o.loggerClients, "logger-clients", bench.DefaultLoggerClients,
		"`number` of clients at which no, a running and a stopped logger are compared; 0 leaves that out")
	f.IntVar(&o.rounds, "rounds", bench.DefaultRounds, "measurements of each point")
	f.DurationVar(&o.duration, "duration", bench.DefaultDuration, "of one measurement")
	f.DurationVar(&o.warmup, "warmup", bench.DefaultWarmup, "load before each measurement, not counted")
	f.DurationVar(&o.timeout, "timeout", bench.DefaultTimeout, "an operation that takes longer has failed")
	f.Uint64Var(&o.seed, "seed", 1, "same seed, same requests")
	f.StringVar(&o.csv, "csv", "", "write each measurement to `FILE`")
	f.StringVar(&o.plots, "plots", "", "write plots, PNG and SVG, to `DIR`")
	notSettings(f, "csv", "plots")
}

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "measure under load",
		Long:  `Measures parts of lonja under load, on this machine.`,
		Args:  cobra.ArbitraryArgs,
		RunE:  runGroup,
	}
	cmd.AddCommand(newBenchDirectoryCommand(), newBenchStoreCommand(), newBenchIndexCommand(), newBenchPresenceCommand(), newBenchAPICommand(), newBenchTransferCommand(), newBenchMemberCommand(), newBenchSessionsCommand(), newBenchLimitCommand())
	return cmd
}

func newBenchDirectoryCommand() *cobra.Command {
	var opts benchOptions
	cmd := &cobra.Command{
		Use:   "directory",
		Short: "measure the directory with many clients at once",
		Long: `Measures the directory with many clients at once, each doing random operations,
valid and invalid, with one connection for each. Each answer is checked against
what the client did before.

The server, the operation log and the date-time service run as processes of
their own, started for each measurement and stopped after it. In turns with
them runs the limit: a bare server that accepts, reads the strings of a
request, answers one byte and closes. With the date-time service each client
asks it for the time before each operation, of the limit as well. The server
keeps what it knows on disk, in an empty directory for each measurement.

The report goes to standard output, progress to standard error.`,
		Example: `  lonja bench directory
  lonja bench directory --clients 30,300 --duration 1s --services both
  lonja bench directory --csv bench.csv --plots plots`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchDirectory(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runBenchDirectory(cmd *cobra.Command, opts benchOptions) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	o := bench.Options{
		Executable: program, Data: opts.data, Clients: opts.clients, LoggerClients: opts.loggerClients,
		Rounds: opts.rounds, Duration: opts.duration, Warmup: opts.warmup, Timeout: opts.timeout,
		Seed: opts.seed,
	}
	for _, name := range opts.services {
		services, err := bench.ParseServices(name)
		if err != nil {
			return usageError{err}
		}
		o.Services = append(o.Services, services)
	}
	files, err := openBenchFiles(opts)
	if err != nil {
		return err
	}
	progress, finish := benchProgress(cmd.ErrOrStderr())
	o.Progress = progress
	report, err := bench.Run(cmd.Context(), o)
	finish()
	if report != nil && len(report.Results) > 0 { // also what was measured before it was stopped
		err = errors.Join(err, report.WriteTable(cmd.OutOrStdout()), files.write(report))
	}
	return errors.Join(err, files.close())
}

// benchFiles are where a report goes besides standard output. They are opened
// before anything is measured: it takes minutes.
type benchFiles struct {
	csv   *os.File // nil: none
	plots string   // empty: none
}

func openBenchFiles(opts benchOptions) (*benchFiles, error) {
	files := &benchFiles{plots: opts.plots}
	if opts.plots != "" {
		if err := os.MkdirAll(opts.plots, 0o755); err != nil {
			return nil, fmt.Errorf("directory of the plots: %w", err)
		}
	}
	if opts.csv != "" {
		f, err := os.Create(opts.csv)
		if err != nil {
			return nil, fmt.Errorf("file of the measurements: %w", err)
		}
		files.csv = f
	}
	return files, nil
}

func (f *benchFiles) write(report *bench.Report) error {
	if f.csv != nil {
		if err := report.WriteCSV(f.csv); err != nil {
			return fmt.Errorf("write the measurements: %w", err)
		}
	}
	if f.plots != "" {
		if _, err := report.WritePlots(f.plots); err != nil {
			return fmt.Errorf("write the plots: %w", err)
		}
	}
	return nil
}

func (f *benchFiles) close() error {
	if f.csv == nil {
		return nil
	}
	return f.csv.Close()
}

// benchProgress returns what to tell the progress to, and what to call when
// there is no more. It shows a bar on a terminal, and nothing elsewhere.
func benchProgress(w io.Writer) (progress func(done, total int), finish func()) {
	if !telemetry.IsTerminal(w) {
		return nil, func() {}
	}
	container := mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))
	var bar *mpb.Bar
	progress = func(done, total int) {
		if bar == nil {
			bar = container.AddBar(int64(total),
				mpb.PrependDecorators(decor.CountersNoUnit("measurement %d of %d ")),
				mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_MMSS)))
		}
		bar.SetCurrent(int64(done))
	}
	finish = func() {
		if bar != nil && !bar.Completed() {
			bar.Abort(false)
		}
		container.Wait()
	}
	return progress, finish
}

func newBenchLimitCommand() *cobra.Command {
	return &cobra.Command{
		Use:    bench.LimitCommand,
		Short:  "run the server that bench directory compares with",
		Long:   `Runs a server that does nothing but answer. "lonja bench directory" starts it.`,
		Hidden: true,
		RunE:   func(cmd *cobra.Command, _ []string) error { return runBenchLimit(cmd.Context()) },
	}
}

func runBenchLimit(ctx context.Context) error {
	ln, err := bench.ListenLimit(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	announceListener(os.Stdout, ln)
	return bench.ServeLimit(ctx, ln)
}
