package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/oplog"
	"lonja/internal/telemetry"
)

// unregisterTime bounds the last words with rpcbind.
const unregisterTime = 2 * time.Second

type loggerOptions struct {
	host    string
	port    int
	rpcbind bool
}

func (o *loggerOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.host, "host", "", "`address` to listen on (default all, IPv4 and IPv6)")
	f.IntVar(&o.port, "port", 0, "`port` to listen on, TCP and UDP; 0 takes any free one")
	f.BoolVar(&o.rpcbind, "rpcbind", true, "register with the rpcbind of this machine")
}

func newLoggerCommand() *cobra.Command {
	var opts loggerOptions
	cmd := &cobra.Command{
		Use:   "logger",
		Short: "run the operation log",
		Long: `Runs the operation log: an ONC-RPC service, over TCP and UDP, that prints a line
for each operation of the directories that report to it:

  [<date-time>] <user>: <operation> <file>

It registers with the rpcbind of this machine, in place of an operation log that
was registered before, and directories find it by the name of the machine. It
works without rpcbind too; then directories need its port. Only those lines go
to standard output. SIGINT and SIGTERM end it.`,
		Example: `  lonja logger                   directories: ` + logHostVariable + `=HOST
  lonja logger --port 5000       directories: ` + logHostVariable + `=HOST:5000, if there is no rpcbind`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runLogger(cmd.Context(), opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// runLogger serves until ctx ends. Lines go to stdout, all else to stderr.
func runLogger(ctx context.Context, opts loggerOptions, stdout, stderr io.Writer) error {
	if opts.port < 0 || opts.port > 65535 {
		return usagef("port %d is not between 0 and 65535", opts.port)
	}
	service, err := oplog.Listen(oplog.ServiceOptions{
		Host: opts.host, Port: uint16(opts.port),
		Out: stdout, Log: telemetry.NewLog(stderr, slog.LevelInfo),
	})
	if err != nil {
		return listenError(opts.host, opts.port, err)
	}
	port := service.Addr().Port()
	if !opts.rpcbind {
		fmt.Fprintf(stderr, "operation log listening on port %d (tcp, udp)\n", port)
		return service.Run(ctx)
	}
	registration, err := oplog.Register(ctx, service)
	if err != nil {
		fmt.Fprintf(stderr, `operation log listening on port %d (tcp, udp), not registered: %v
start rpcbind and then the operation log again, or start directories with %s=HOST:%d
`, port, err, logHostVariable, port)
		return service.Run(ctx)
	}
	fmt.Fprintf(stderr, "operation log listening on port %d (tcp, udp), registered with rpcbind\n", port)
	return errors.Join(service.Run(ctx), unregister(ctx, registration))
}

// unregister takes the registration back, after ctx has ended.
func unregister(ctx context.Context, registration *oplog.Registration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unregisterTime)
	defer cancel()
	return registration.Remove(ctx)
}
