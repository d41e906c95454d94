package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"lonja/internal/directory"
	"lonja/internal/dirserver"
	"lonja/internal/memstore"
	"lonja/internal/oplog"
	"lonja/internal/sqlitestore"
	"lonja/internal/store"
	"lonja/internal/telemetry"
)

// logHostVariable names the machine of the operation log, as the protocol says.
const logHostVariable = "LOG_RPC_IP"

type serverOptions struct {
	host           string
	port           int
	data           string
	maxConns       int
	requestTimeout time.Duration
	verbose        bool
}

func (o *serverOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.host, "host", "", "`address` to listen on (default all, IPv4 and IPv6)")
	f.IntVarP(&o.port, "port", "p", 4444, "`port` to listen on; 0 takes any free one")
	f.StringVar(&o.data, "data", inMemory, "`directory` in which accounts and publications are kept; "+inMemory+" forgets them at the end")
	f.IntVar(&o.maxConns, "max-connections", dirserver.DefaultMaxConns,
		"connections served at once; further ones wait")
	f.DurationVar(&o.requestTimeout, "request-timeout", dirserver.DefaultRequestTimeout,
		"how long a client may take over its request")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log also what concerns single clients")
}

func newServerCommand() *cobra.Command {
	var opts serverOptions
	cmd := &cobra.Command{
		Use:   "server",
		Short: "run the directory",
		Long: `Runs the directory: it knows who is connected and what each one publishes.

A line for each request goes to standard output, diagnostics to standard error.
With ` + logHostVariable + ` set to the host of an operation log (see "lonja logger"), each
operation is recorded there too; host:port needs no rpcbind. SIGINT and SIGTERM
finish what was accepted, then end.`,
		Example: `  lonja server -p 4444
  ` + logHostVariable + `=127.0.0.1 lonja server -p 4444`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runServer(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runServer(cmd *cobra.Command, opts serverOptions) error {
	if opts.maxConns < 1 || opts.requestTimeout <= 0 {
		return usagef("--max-connections and --request-timeout must be above zero")
	}
	signal.Ignore(syscall.SIGPIPE) // whoever reads our lines may go; the directory stays
	log := telemetry.NewLog(os.Stderr, logLevel(slog.LevelInfo, opts.verbose))
	operations, err := oplog.NewClient(oplog.ClientOptions{Target: os.Getenv(logHostVariable), Log: log})
	if err != nil {
		return usagef("%s: %w", logHostVariable, err)
	}
	kept, err := openStore(cmd.Context(), opts.data)
	if err != nil {
		return err
	}
	defer kept.Close()
	dir, err := directory.Open(cmd.Context(), directory.Options{Store: kept, Log: log})
	if err != nil {
		return err
	}
	defer dir.Close()
	ln, err := listen(opts.host, opts.port)
	if err != nil {
		return err
	}
	server := dirserver.New(dirserver.Options{
		Directory:      dir,
		Record:         operations.Record,
		Announce:       os.Stdout,
		Log:            log,
		MaxConns:       opts.maxConns,
		RequestTimeout: opts.requestTimeout,
	})
	announceListener(os.Stdout, ln)

	// The operation log ends after the server, so that it gets every record.
	logCtx, stopLog := contextUntilStopped()
	var logs errgroup.Group
	logs.Go(func() error { return operations.Run(logCtx) })
	err = server.Serve(cmd.Context(), ln)
	stopLog()
	if logErr := logs.Wait(); logErr != nil {
		log.Warn("operation log", slog.Any("error", logErr))
	}
	return err
}

// inMemory is the --data of a directory that keeps nothing.
const inMemory = ":memory:"

func openStore(ctx context.Context, data string) (store.Store, error) {
	if data == inMemory {
		return memstore.New(), nil
	}
	return sqlitestore.Open(ctx, data)
}

// listen opens a TCP port. Its errors say what to type differently.
func listen(host string, port int) (net.Listener, error) {
	if port < 0 || port > 65535 {
		return nil, usagef("port %d is not between 0 and 65535", port)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, listenError(host, port, err)
	}
	return ln, nil
}

// announceListener says, as the protocol wants, where the directory listens:
// the address that other machines would use, where it listens on all.
func announceListener(w io.Writer, ln net.Listener) {
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return
	}
	ip := addr.IP
	if ip.IsUnspecified() {
		ip = ownAddress()
	}
	fmt.Fprintf(w, "s> init server %s\n", net.JoinHostPort(ip.String(), strconv.Itoa(addr.Port)))
}
