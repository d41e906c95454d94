package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/admin"
	"lonja/internal/authority"
	"lonja/internal/operator"
	"lonja/internal/store"
	"lonja/internal/telemetry"
)

// Where operators find a running directory.
const (
	adminFlag     = "admin"
	adminVariable = "LONJA_ADMIN" // sets another default for --admin
	adminDefault  = "127.0.0.1:4480"
	adminOff      = "off"
)

// addServerAdminFlag adds the --admin of a server.
func addServerAdminFlag(f *pflag.FlagSet, address *string) {
	f.StringVar(address, adminFlag, cmp.Or(os.Getenv(adminVariable), adminDefault),
		"`address` of health, metrics and \"lonja admin\": HOST:PORT, on loopback for the last, or "+unixScheme+"PATH; "+adminOff+" for none")
	if os.Getenv(adminVariable) != "" {
		defaultIsFrom(f, adminFlag, adminVariable)
	}
}

// An operatorDoor is where operators reach a directory that runs in this
// process: its health, its metrics and the operations of lonja admin. It is
// open from before the store is until after it is closed.
type operatorDoor struct {
	metrics *telemetry.Metrics
	server  *admin.Server
	place   atomic.Pointer[func() admin.Place] // nil before anybody is served

	log     *slog.Logger
	stop    context.CancelFunc
	serving sync.WaitGroup
}

// openDoor opens the door at the address of --admin. That it cannot be opened
// is an error only if somebody asked for that address.
func openDoor(cmd *cobra.Command, address string, log *slog.Logger) (*operatorDoor, error) {
	metrics := telemetry.NewMetrics(version)
	ctx, stop := contextUntilStopped()
	door := &operatorDoor{metrics: metrics, log: log, stop: stop}
	door.server = admin.New(admin.Options{Metrics: metrics.Handler(), Version: version, Place: door.where, Log: log})
	if address == adminOff {
		return door, nil
	}
	asked := cmd.Flags().Changed(adminFlag) || os.Getenv(adminVariable) != ""
	ln, remove, err := listenAdmin(address)
	switch {
	case err == nil:
		door.serving.Go(func() { door.serve(ctx, ln, remove) })
	case asked:
		stop()
		return nil, err
	default:
		log.Warn("operators are not served", slog.Any("error", err))
		return door, nil
	}
	if asked {
		log.Info("operators are served", slog.String("at", adminAddress(ln)))
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		log.Warn("others can reach --admin: health and metrics are served, operations are not")
	}
	return door, nil
}

// where is where the directory is found, once it is.
func (d *operatorDoor) where() admin.Place {
	if place := d.place.Load(); place != nil {
		return (*place)()
	}
	return admin.Place{}
}

// found says where the directory is found, and by whose key it is known.
func (d *operatorDoor) found(ln net.Listener, a *authority.Authority) {
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return
	}
	place := func() admin.Place {
		return admin.Place{Address: reachedAt(addr), Fingerprint: a.Fingerprint().String()}
	}
	d.place.Store(&place)
}

func (d *operatorDoor) serve(ctx context.Context, ln net.Listener, remove func()) {
	defer remove()
	if err := d.server.Serve(ctx, ln); err != nil {
		d.log.Error("operators are not served any more", slog.Any("error", err))
	}
}

// waitingEvery is how often at most the log says that the cluster is away.
const waitingEvery = 10 * time.Second

// waiting returns what is told why the store cannot be opened yet. Operators
// see it at once; the log has the first reason, and now and then a new one.
func (d *operatorDoor) waiting() func(reason error) {
	var last string
	var logged time.Time
	return func(reason error) {
		why := reason.Error()
		d.server.Shut(func() string { return "waiting for the cluster: " + why })
		if why != last && time.Since(logged) >= waitingEvery {
			d.log.Warn("waiting for the cluster", slog.String("because", why))
			last, logged = why, time.Now()
		}
	}
}

// watchStore counts what kept does, and tells operators of the index that is
// being built from it.
func (d *operatorDoor) watchStore(kept store.Store) store.Store {
	watched := d.metrics.InstrumentStore(kept)
	d.server.Shut(func() string { return fmt.Sprintf("building the index: %d records", watched.Told()) })
	return watched
}

// open lets operators at dir, until ctx ends or the returned function is
// called, which waits until none of them uses it any more.
func (d *operatorDoor) open(ctx context.Context, dir operator.Directory) (shut func()) {
	d.metrics.WatchDirectory(dir)
	d.server.Open(dir)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		d.server.Shut(func() string { return "stopping" })
	}()
	return func() {
		cancel()
		<-done
	}
}

// close closes the door and waits for who is still being answered.
func (d *operatorDoor) close() {
	d.stop()
	d.serving.Wait()
}
