package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/apiserver"
	"lonja/internal/authority"
	"lonja/internal/directory"
	"lonja/internal/dirserver"
	"lonja/internal/limits"
	"lonja/internal/oplog"
	"lonja/internal/probe"
	"lonja/internal/telemetry"
)

// logHostVariable names the machine of the operation log, as the protocol says.
const logHostVariable = "LOG_RPC_IP"

type serverOptions struct {
	host           string
	port           int
	store          storeOptions
	dialect        dialectOptions
	maxConns       int
	requestTimeout time.Duration
	probePeriod    time.Duration
	limits         limitOptions
	admin          string
	verbose        bool
}

func (o *serverOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.host, "host", "", "`address` to listen on (default all, IPv4 and IPv6)")
	f.IntVarP(&o.port, "port", "p", 4444, "`port` to listen on; 0 takes any free one")
	o.dialect.addFlags(f)
	o.store.addFlags(f)
	f.IntVar(&o.maxConns, "max-connections", dirserver.DefaultMaxConns,
		"connections served at once; further ones wait")
	f.DurationVar(&o.requestTimeout, "request-timeout", dirserver.DefaultRequestTimeout,
		"how long a client may take over its request")
	f.DurationVar(&o.probePeriod, "probe-period", probe.DefaultPeriod,
		"how often it is tried whether a connected user still listens; after three misses it is disconnected; 0 for never")
	o.limits.addFlags(f)
	addServerAdminFlag(f, &o.admin)
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
	cmd.AddCommand(newServerCACommand())
	return cmd
}

func (o *serverOptions) check() error {
	if o.maxConns < 1 || o.requestTimeout <= 0 || o.probePeriod < 0 {
		return usagef("--max-connections and --request-timeout must be above zero, --probe-period not below it")
	}
	return cmp.Or(o.limits.check(), o.store.check(), o.dialect.check())
}

func runServer(cmd *cobra.Command, opts serverOptions) error {
	if err := opts.check(); err != nil {
		return err
	}
	defer spareMemory(largeIndex)()
	log := telemetry.NewLog(os.Stderr, logLevel(slog.LevelInfo, opts.verbose))
	operations, err := oplog.NewClient(oplog.ClientOptions{Target: os.Getenv(logHostVariable), Log: log})
	if err != nil {
		return usagef("%s: %w", logHostVariable, err)
	}
	if err := mayListen(opts.host, opts.port); err != nil {
		return err
	}
	door, err := openDoor(cmd, opts.admin, log)
	if err != nil {
		return err
	}
	defer door.close()
	dataDir, err := opts.store.dataDir(opts.port)
	if err != nil {
		return err
	}
	authority, endAuthority, err := openAuthority(cmd.Context(), dataDir, log)
	if err != nil {
		return err
	}
	defer endAuthority()
	kept, err := opts.store.open(cmd.Context(), opts.port, log, door.waiting())
	if err != nil {
		return unlessStopped(cmd.Context(), err)
	}
	defer kept.Close()
	dir, err := directory.Open(cmd.Context(), directory.Options{
		Store: door.watchStore(kept), Log: log, MaxPublications: opts.limits.publications,
		Shared:       opts.store.cluster != "", // classic leases are ended by probing, which also knows when it is late itself
		Registration: registrations[opts.dialect.registration],
	})
	if err != nil {
		return unlessStopped(cmd.Context(), err)
	}
	defer dir.Close()
	secured, err := opts.dialect.shareAuthority(cmd.Context(), dir, authority, log)
	if err != nil {
		return unlessStopped(cmd.Context(), err)
	}
	debug.FreeOSMemory() // what the making of the index left behind
	ln, err := listen(opts.host, opts.port)
	if err != nil {
		return err
	}
	if !secured {
		authority = nil
	}
	server := opts.newServer(dir, authority, operations, door.metrics, log)
	door.found(ln, authority)
	defer door.open(cmd.Context(), dir)()
	if place := opts.store.place(opts.port); place != inMemory {
		log.Info("accounts and publications are kept", slog.String("in", place))
	}
	announceListener(os.Stdout, ln)

	// The operation log and the probing end after the server, so that the one
	// gets every record, and the other none of its users loses.
	background, stopBackground := contextUntilStopped()
	var others errgroup.Group
	others.Go(func() error { return operations.Run(background) })
	probing := opts.probing(dir, door.metrics, log)
	others.Go(func() error { return probe.Run(background, probing) })
	err = server.Serve(cmd.Context(), ln)
	stopBackground()
	if err := others.Wait(); err != nil {
		log.Warn("while stopping", slog.Any("error", err))
	}
	return err
}

// newServer returns what serves clients with dir, watched by metrics. Without an
// authority it speaks classic only.
func (o *serverOptions) newServer(dir *directory.Directory, a *authority.Authority, operations *oplog.Client, metrics *telemetry.Metrics, log *slog.Logger) *dirserver.Server {
	var server *dirserver.Server
	limiter := o.limits.limiter()
	var handOver func(context.Context, net.Conn, limits.Visit)
	if a != nil {
		secure := o.dialect.secure(a, apiserver.Options{
			Directory: metrics.InstrumentMembers(dir), Record: operations.Record, Log: log, Limits: limiter,
		}, func() *dirserver.Server { return server })
		metrics.WatchSessions(secure.Serving)
		handOver = secure.ServeConn
	}
	server = dirserver.New(dirserver.Options{
		Directory:      metrics.InstrumentMembers(dir),
		TLS:            handOver,
		ClassicOff:     o.dialect.classic == switchOff,
		Record:         operations.Record,
		Announce:       os.Stdout,
		Log:            log,
		Limits:         limiter,
		Limited:        metrics.Limited,
		MaxConns:       o.maxConns,
		RequestTimeout: o.requestTimeout,
	})
	metrics.WatchOperationLog(operations.Queued, operations.Dropped)
	metrics.WatchConnections(server.Serving)
	metrics.WatchPresence(dir.PresenceStats)
	return server
}

// probing says how the users of dir are probed, watched by metrics.
func (o *serverOptions) probing(dir *directory.Directory, metrics *telemetry.Metrics, log *slog.Logger) probe.Options {
	var names []string
	for _, outcome := range probe.Outcomes() {
		names = append(names, outcome.String())
	}
	ended := metrics.WatchProbes(names)
	return probe.Options{
		Leases: dir, Period: o.probePeriod, Log: log,
		Done: func(outcome probe.Outcome) { ended(outcome.String()) },
	}
}

// mayListen reports, before the index is made, which may take a while, what
// listen will.
func mayListen(host string, port int) error {
	ln, err := listen(host, port)
	if err != nil {
		return err
	}
	return ln.Close()
}

// unlessStopped is the error of something that was begun, but nil if that is
// because the server is to end before it could do anything.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, lonja.Canceled) {
		return nil
	}
	return err
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
	fmt.Fprintf(w, "s> init server %s\n", reachedAt(addr))
}

// reachedAt is where other machines of the network most likely find what listens
// at addr.
func reachedAt(addr *net.TCPAddr) string {
	ip := addr.IP
	if ip.IsUnspecified() {
		ip = ownAddress()
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(addr.Port))
}
