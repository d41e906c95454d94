package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/apiclient"
)

// The defaults of SessionsOptions.
const (
	DefaultSessions     = 15_000
	DefaultRenewEvery   = 20 * time.Second
	DefaultSessionsTime = 2 * time.Minute
)

// SessionsOptions is what RunSessions measures.
type SessionsOptions struct {
	Address  string                // of a directory's port
	Memory   func() (int64, error) // what the directory's process uses, in bytes
	Sessions int
	Renew    time.Duration // between two renewals of a session
	Duration time.Duration // once all are there
	Progress func(string)
}

// A SessionsReport is what RunSessions measured.
type SessionsReport struct {
	Machine   Machine `json:"machine"`
	Sessions  int     `json:"sessions"`
	Renew     Seconds `json:"renew_every"`
	Duration  Seconds `json:"seconds"`
	Beginning Seconds `json:"beginning"` // how long all took to register and connect
	Before    int64   `json:"bytes_before"`
	After     int64   `json:"bytes_after"`
	Renewals  int64   `json:"renewals"`
	Late      int64   `json:"late"` // renewals that took more than a tenth of their period
	Lost      int64   `json:"lost"` // that failed
	Slowest   Seconds `json:"slowest_renewal"`
}

// sessionsAtOnce bounds the sessions that begin at once.
const sessionsAtOnce = 32

// RunSessions keeps many sessions at a directory, each of a key of its own over a
// connection of its own, renewed in time, and looks at what they cost.
func RunSessions(ctx context.Context, o SessionsOptions) (*SessionsReport, error) {
	if o.Sessions < 1 || o.Renew <= 0 || o.Duration < o.Renew {
		return nil, invalid("%d sessions that are renewed every %v, for %v, are nothing to measure", o.Sessions, o.Renew, o.Duration)
	}
	r := &SessionsReport{Machine: thisMachine(), Sessions: o.Sessions, Renew: Seconds(o.Renew), Duration: Seconds(o.Duration)}
	var err error
	if r.Before, err = o.Memory(); err != nil {
		return nil, err
	}
	began := time.Now()
	clients := make([]*apiclient.Client, o.Sessions)
	defer func() {
		for _, c := range clients {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	keeping, stop := context.WithCancel(ctx)
	defer stop()
	var keepers errgroup.Group
	begin, beginning := errgroup.WithContext(ctx)
	begin.SetLimit(sessionsAtOnce)
	for i := range clients {
		begin.Go(func() error {
			c, member, err := beginSession(beginning, o.Address, i)
			if clients[i] = c; err != nil {
				return err
			}
			keepers.Go(func() error { r.keep(keeping, c, member, o.Renew); return nil })
			return nil
		})
	}
	if err := begin.Wait(); err != nil {
		stop()
		_ = keepers.Wait()
		return nil, err
	}
	r.Beginning = Seconds(time.Since(began))
	o.Progress(fmt.Sprintf("%d sessions after %v", o.Sessions, time.Since(began).Round(time.Second)))
	pass(ctx, o.Duration)
	r.After, err = o.Memory()
	stop()
	_ = keepers.Wait()
	return r, err
}

// beginSession registers a name with a new key and connects.
func beginSession(ctx context.Context, address string, i int) (*apiclient.Client, lonja.Member, error) {
	cert, _, err := selfSigned()
	if err != nil {
		return nil, lonja.Member{}, err
	}
	c := apiclient.New(apiclient.Options{
		Addresses: []string{address}, Timeout: time.Minute, DialTimeout: time.Minute,
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true}, // it is measured, not trusted
	})
	member := lonja.Member{User: lonja.UserName(fmt.Sprintf("session%06d", i)), Key: c.Key()}
	if err := c.RegisterMember(ctx, member, ""); err != nil {
		return c, member, err
	}
	return c, member, c.ConnectMember(ctx, member, []lonja.Endpoint{apiclient.WayHere(4445)})
}

// keep renews a session until ctx ends.
func (r *SessionsReport) keep(ctx context.Context, c *apiclient.Client, member lonja.Member, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		began := time.Now()
		err := c.RenewMember(ctx, member, nil)
		if ctx.Err() != nil {
			return
		}
		took := time.Since(began)
		atomic.AddInt64(&r.Renewals, 1)
		if err != nil {
			atomic.AddInt64(&r.Lost, 1)
		}
		if took > every/10 {
			atomic.AddInt64(&r.Late, 1)
		}
		for {
			slowest := atomic.LoadInt64((*int64)(&r.Slowest))
			if int64(took) <= slowest || atomic.CompareAndSwapInt64((*int64)(&r.Slowest), slowest, int64(took)) {
				break
			}
		}
	}
}

// WriteTable writes the report for people to read.
func (r *SessionsReport) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `%s
%d sessions, each of a key of its own over a connection of its own, renewed every %v, for %v.

began within %v; the directory used %d MiB before and %d MiB at the end
%d renewals: %d failed, %d took more than a tenth of their period, the slowest %v
`, r.Machine, r.Sessions, time.Duration(r.Renew), time.Duration(r.Duration), time.Duration(r.Beginning).Round(time.Second),
		r.Before>>20, r.After>>20, r.Renewals, r.Lost, r.Late, time.Duration(r.Slowest).Round(time.Millisecond))
	_, err := w.Write(b.Bytes())
	return err
}
