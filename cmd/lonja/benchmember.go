package main

import (
	"os"

	"github.com/spf13/cobra"

	"lonja/internal/bench"
)

func newBenchMemberCommand() *cobra.Command {
	var opts bench.MemberOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "member",
		Short: "measure a member who shares many files",
		Long: `Measures "lonja share" of a member who has published many small files, when it is
started again: how long it takes until it serves, and until it has looked at all of
them, what it costs, how much memory it takes, and how "lonja ls" lists them. In
turns with the start runs its limit: looking at all files.

Directory and member run as processes of their own. The report goes to standard
output, progress to standard error.`,
		Example: `  lonja bench member
  lonja bench member --files 10000 --rounds 1 --json`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opts.Executable, err = os.Executable(); err != nil {
				return err
			}
			opts.Tell = noteBench(cmd)
			report, err := bench.RunMember(cmd.Context(), opts)
			if err != nil {
				return err
			}
			return printBenchReport(cmd, report, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.Dir, "dir", "", "a `directory` for the files, which are removed again (default a temporary one in memory, if there is a tmpfs)")
	f.IntVar(&opts.Files, "files", bench.DefaultMemberFiles, "how many")
	f.IntVar(&opts.Rounds, "rounds", bench.DefaultRounds, "starts")
	addBenchJSONFlag(f, &asJSON)
	return cmd
}
