package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"lonja/internal/identity"
	"lonja/internal/link"
	"lonja/internal/localnet"
	"lonja/internal/telemetry"
)

// The ports that "lonja up" takes if they are free.
const (
	upDirectoryPort = 4444
	upDatetimePort  = 8000
)

func newUpCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "run everything on this machine, for a first look",
		Long: `Starts a directory, its operation log, the date-time service and two peers with
a sample file, all on this machine; a third peer fetches the file, first from
one of them, then from whoever has it. Then it stays up for you to try. All keys
are made for it, and forgotten at its end.`,
		Example: `  lonja up
  lonja up --once`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runUp(cmd.Context(), cmd.OutOrStdout(), once)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end when the file has been fetched")
	notSettings(cmd.Flags(), "once")
	return cmd
}

func runUp(ctx context.Context, out io.Writer, once bool) (err error) {
	dir, err := os.MkdirTemp("", "lonja-up-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	lines := &stepWriter{out: out}
	network, err := localnet.Start(localnet.Options{
		Dir: dir, DirectoryPort: upDirectoryPort, DatetimePort: upDatetimePort,
		Operations:   lines.named("directory"),
		OperationLog: lines.named("operation log"),
		Log:          telemetry.NewLog(os.Stderr, slog.LevelWarn),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	lines.step("directory", "listens on "+network.Directory.String())
	lines.step("directory", "is known by "+identity.Words(network.Fingerprint))
	lines.step("operation log", "listens on "+network.OperationLog.String())
	lines.step("date-time", "answers at "+network.DatetimeURL+"/?wsdl")

	tour := localnet.NewTour(network, dir, lines.step)
	defer tour.Close()
	if err := tour.Run(ctx); err != nil {
		return err
	}
	if once {
		return nil
	}
	invite(out, network, filepath.Join(dir, "you"))
	<-ctx.Done()
	fmt.Fprintln(out)
	return nil
}

// invite shows how to take part, with a key that is kept in dir: that of the
// person at the keyboard is not needed, and this directory not to be remembered.
func invite(out io.Writer, network *localnet.Network, dir string) {
	to := link.Invitation{Address: network.Address(), Fingerprint: network.Fingerprint}
	command := fmt.Sprintf("%s client --config-dir %s --listen 127.0.0.1:0 -s %s", os.Args[0], dir, to)
	fmt.Fprintf(out, `
Everything is up. In another terminal:

  %s

and there, for instance:

  register me
  connect me
  list_users
  get_multifile ozymandias.txt poem.txt

Ctrl-C here ends it all.
`, command)
}
