// Package localnet runs the whole system on this machine, in one process: the
// directory, the operation log, the date-time service, and any number of
// nodes. `lonja up` shows it to people, and tests start it.
//
// The parts are the real ones and speak to each other over loopback: the nodes in
// the secure dialect, and whoever comes along in either.
package localnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/datetime"
	"lonja/internal/directory"
	"lonja/internal/memstore"
	"lonja/internal/oplog"
)

// Options says where the parts listen and write.
type Options struct {
	// Dir is where the directory and the nodes keep their keys and their state. It
	// must exist.
	Dir string
	// Ports that are wished for. A port that is taken, or 0, becomes any free
	// one.
	DirectoryPort, DatetimePort uint16
	// Operations gets the directory's lines, OperationLog those of the
	// operation log; nil: nobody does.
	Operations, OperationLog io.Writer
	Log                      *slog.Logger
}

// A Network is a running system. Close ends it.
type Network struct {
	Directory    netip.AddrPort // where the directory listens
	Fingerprint  lonja.PeerID   // by which the directory is known
	OperationLog netip.AddrPort // where the operation log listens
	DatetimeURL  string

	opts   Options
	stop   context.CancelFunc
	parts  errgroup.Group
	closed []func() // in the order in which they are to be called
}

// Start starts the three services. When it returns they take requests.
func Start(opts Options) (*Network, error) {
	if opts.OperationLog == nil {
		opts.OperationLog = io.Discard
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Network{opts: opts, stop: stop}
	for _, start := range []func(context.Context) error{n.startDatetime, n.startLog, n.startDirectory} {
		if err := start(ctx); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

func (n *Network) startDatetime(ctx context.Context) error {
	ln, err := listen(n.opts.DatetimePort)
	if err != nil {
		return fmt.Errorf("date-time service: %w", err)
	}
	n.DatetimeURL = "http://" + ln.Addr().String()
	service := datetime.NewService(datetime.ServiceOptions{Log: n.opts.Log})
	n.parts.Go(func() error { return service.Serve(ctx, ln) })
	return nil
}

func (n *Network) startLog(ctx context.Context) error {
	service, err := oplog.Listen(oplog.ServiceOptions{
		Host: loopback, Out: n.opts.OperationLog, Log: n.opts.Log,
	})
	if err != nil {
		return fmt.Errorf("operation log: %w", err)
	}
	n.OperationLog = service.Addr()
	n.parts.Go(func() error { return service.Run(ctx) })
	return nil
}

// startDirectory also starts the directory's client of the operation log,
// which ends after the directory, and before the log does.
func (n *Network) startDirectory(ctx context.Context) error {
	records, err := oplog.NewClient(oplog.ClientOptions{Target: n.OperationLog.String(), Log: n.opts.Log})
	if err != nil {
		return err
	}
	ln, err := listen(n.opts.DirectoryPort)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	n.Directory = ln.Addr().(*net.TCPAddr).AddrPort()
	dir, err := directory.Open(ctx, directory.Options{Store: memstore.New(), Log: n.opts.Log})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	server, err := n.newServer(dir, records)
	if err != nil {
		return errors.Join(err, dir.Close(), ln.Close())
	}
	n.run(func(ctx context.Context) error { return errors.Join(server.Serve(ctx, ln), dir.Close()) })
	n.run(records.Run)
	return nil
}

// run starts a part that Close ends, and waits for, before the parts that
// were started earlier without run.
func (n *Network) run(part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	n.parts.Go(func() error {
		defer close(ended)
		return part(ctx)
	})
	n.closed = append(n.closed, func() {
		cancel()
		<-ended
	})
}

// Close ends the directory, then what it needs, and waits for all of it. The
// error is that of a part that broke meanwhile.
func (n *Network) Close() error {
	for _, end := range n.closed {
		end()
	}
	n.stop()
	return n.parts.Wait()
}

const loopback = "127.0.0.1"

// listen opens a port on loopback: the one that is wished for, if it is free.
func listen(wish uint16) (net.Listener, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(int(wish))))
	if err != nil && wish != 0 {
		return net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	}
	return ln, err
}
