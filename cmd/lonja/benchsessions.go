package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/bench"
)

func newBenchSessionsCommand() *cobra.Command {
	opts := bench.SessionsOptions{}
	var pid int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "measure what idle sessions cost a directory",
		Long: `Keeps many sessions at a running directory, each of a new key and name over a
connection of its own, renews them, and shows how much memory the directory's
process takes. The names stay behind: use a directory made for it, with
its limits out of the way.

The report goes to standard output, progress to standard error.`,
		Example: `  lonja server -p 4999 --data :memory: & lonja bench sessions --address 127.0.0.1:4999 --pid $!`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Memory = func() (int64, error) { return resident(pid) }
			opts.Progress = noteBench(cmd)
			report, err := bench.RunSessions(cmd.Context(), opts)
			if err != nil {
				return err
			}
			return printBenchReport(cmd, report, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.Address, "address", "127.0.0.1:4444", "`host:port` of the directory")
	f.IntVar(&pid, "pid", 0, "the directory's process, on this machine")
	notSettings(f, "pid")
	f.IntVar(&opts.Sessions, "sessions", bench.DefaultSessions, "how many")
	f.DurationVar(&opts.Renew, "renew", bench.DefaultRenewEvery, "how often each is renewed")
	f.DurationVar(&opts.Duration, "duration", bench.DefaultSessionsTime, "how long, once all are there")
	addBenchJSONFlag(f, &asJSON)
	return cmd
}

// resident returns the memory that a process has, in bytes (proc_pid_status(5), VmRSS).
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, lonja.E(lonja.LocalFile, "measure a process", err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, lonja.E(lonja.Damaged, "measure a process", fmt.Errorf("process %d does not tell its memory", pid))
}
