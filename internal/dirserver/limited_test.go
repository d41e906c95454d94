package dirserver_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirserver"
	"lonja/internal/limits"
)

// limited are options with limits that loopback addresses have too, and what
// was refused for each.
func limited(t *testing.T, of limits.Options) (dirserver.Options, *refusals) {
	of.Loopback = true
	opts, seen := defaults(t), &refusals{counts: map[limits.Reason]int{}}
	opts.Limits = limits.New(of, time.Now())
	opts.Limited = seen.add
	return opts, seen
}

type refusals struct {
	mu     sync.Mutex
	counts map[limits.Reason]int
}

func (r *refusals) add(reason limits.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[reason]++
}

func (r *refusals) of(reason limits.Reason) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[reason]
}

// dialFrom is dial from an address of this machine.
func dialFrom(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// askFrom is ask from an address of this machine.
func askFrom(t *testing.T, from, addr, s string) string {
	t.Helper()
	conn := dialFrom(t, from, addr)
	defer conn.Close()
	if _, err := io.WriteString(conn, s); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// requests are one of each operation, and the status of a failure that has
// none of its own.
var requests = map[string]string{
	"REGISTER\x00t\x00ana\x00":              "\x02",
	"UNREGISTER\x00t\x00ana\x00":            "\x02",
	"CONNECT\x00t\x00ana\x004000\x00":       "\x03",
	"DISCONNECT\x00t\x00ana\x00":            "\x03",
	"PUBLISH\x00t\x00ana\x00/f\x00text\x00": "\x04",
	"DELETE\x00t\x00ana\x00/f\x00":          "\x04",
	"LIST_USERS\x00t\x00ana\x00":            "\x03",
	"LIST_CONTENT\x00t\x00ana\x00luis\x00":  "\x04",
	"GET_MULTIFILE\x00t\x00ana\x00f\x00":    "\x02",
	"NOTHING\x00t\x00ana\x00":               "\x02",
}

// TestOverOperations: over the limit each operation fails with its own "other"
// status, nothing is done, and another address is served.
func TestOverOperations(t *testing.T) {
	const burst, attempts = 5, 40
	opts, seen := limited(t, limits.Options{OperationsPerAddress: 1})
	var log syncBuffer
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	server := start(t, opts)
	done := 0
	for range attempts { // the clock goes on meanwhile: a token or two may come back
		if got := askFrom(t, "127.0.0.9", server.addr, "UNREGISTER\x00t\x00nobody\x00"); got == "\x01" {
			done++
		}
	}
	if done < burst || seen.of(limits.AddressOperations) != attempts-done {
		t.Errorf("%d were done and %d refused, want at least %d and the rest", done, seen.of(limits.AddressOperations), burst)
	}
	if got := askFrom(t, "127.0.0.2", server.addr, "UNREGISTER\x00t\x00nobody\x00"); got != "\x01" {
		t.Errorf("another address got %q, want status 1", got)
	}
	if n := strings.Count(log.String(), "requests over a limit are refused"); n != 1 {
		t.Errorf("the log tells of it %d times, want once:\n%s", n, log.String())
	}
}

// TestStatusesOverTheLimit: what each operation is answered, however the limit
// was reached.
func TestStatusesOverTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		of     limits.Options
		reason limits.Reason
		from   string
		use    func(t *testing.T, addr string, l *limits.Limiter)
	}{
		"operations of a user": {
			limits.Options{OperationsPerUser: 1},
			limits.UserOperations, "127.0.0.3",
			func(_ *testing.T, _ string, l *limits.Limiter) {
				// A user who is told to have used up all in an hour has
				// nothing left until then, however slow this test is.
				visit := l.Enter(netip.MustParseAddr("127.0.0.2"))
				for l.Operation(time.Now().Add(time.Hour), visit, "ana") == limits.None {
				}
			},
		},
		"connections of an address": {
			limits.Options{ConnectionsPerAddress: 1},
			limits.AddressConnections, "127.0.0.2",
			func(t *testing.T, addr string, _ *limits.Limiter) { dialFrom(t, "127.0.0.2", addr) },
		},
	} {
		for request, want := range requests {
			op, _, _ := strings.Cut(request, "\x00")
			if lonja.ParseOperation(op) == lonja.NoOperation && c.reason == limits.UserOperations {
				continue // it is of no user
			}
			t.Run(name+" "+op, func(t *testing.T) {
				opts, seen := limited(t, c.of)
				server := start(t, opts)
				c.use(t, server.addr, opts.Limits)
				if got := askFrom(t, c.from, server.addr, request); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				if seen.of(c.reason) == 0 {
					t.Errorf("not counted as %v: %v", c.reason, seen.counts)
				}
			})
		}
	}
}

// TestHeldConnectionsCostTheHolder: an address that holds connections open
// keeps its share of the server and no more, and everybody else is served.
// With no limit this server would be full for an hour.
func TestHeldConnectionsCostTheHolder(t *testing.T) {
	const share, places = 8, 16
	opts, seen := limited(t, limits.Options{ConnectionsPerAddress: share})
	opts.MaxConns = places
	opts.RequestTimeout = time.Hour
	opts.StopTimeout = 10 * time.Millisecond
	server := start(t, opts)
	var held []net.Conn
	for range 10 * places {
		held = append(held, dialFrom(t, "127.0.0.9", server.addr))
	}
	for i := range 100 {
		from := fmt.Sprintf("127.0.0.%d", 20+i%5)
		if got := askFrom(t, from, server.addr, fmt.Sprintf("REGISTER\x00t\x00user%d\x00", i)); got != "\x00" {
			t.Fatalf("%s got %q, want status 0", from, got)
		}
	}
	for _, conn := range held[share:] {
		// A reset or a failure, never silence: it would be taken for success.
		got, err := io.ReadAll(conn)
		if string(got) != "\x02" && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a connection over the limit got %q, %v; want status 2", got, err)
		}
	}
	if got, want := seen.of(limits.AddressConnections), len(held)-share; got != want {
		t.Errorf("%d connections were counted, want %d", got, want)
	}
	if _, err := io.WriteString(held[0], "REGISTER\x00t\x00ana\x00"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(held[0]); string(got) != "\x00" || err != nil {
		t.Errorf("a connection within the limit got %q, %v; want status 0", got, err)
	}
}

// TestFloodCostsTheFlooder: one address that asks as fast as it can is refused
// most of it, and others who ask meanwhile are refused nothing.
func TestFloodCostsTheFlooder(t *testing.T) {
	opts, _ := limited(t, limits.Options{ConnectionsPerAddress: 4, OperationsPerAddress: 200, OperationsPerUser: 400})
	server := start(t, opts)
	stop := make(chan struct{})
	var flood sync.WaitGroup
	for range 8 {
		flood.Go(func() {
			d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}
			for {
				select {
				case <-stop:
					return
				default:
				}
				if conn, err := d.Dial("tcp", server.addr); err == nil {
					_, _ = io.WriteString(conn, "UNREGISTER\x00t\x00nobody\x00")
					_, _ = io.Copy(io.Discard, conn)
					_ = conn.Close()
				}
			}
		})
	}
	for i := range 200 {
		from := fmt.Sprintf("127.0.0.%d", 20+i%5)
		if got := askFrom(t, from, server.addr, fmt.Sprintf("REGISTER\x00t\x00user%d\x00", i)); got != "\x00" {
			t.Errorf("%s got %q, want status 0", from, got)
		}
	}
	close(stop)
	flood.Wait()
}

// TestNobodyNoticesTheDefaults: what the functional tests and the benchmark
// do, thousands of clients of this machine at once, is no abuse.
func TestNobodyNoticesTheDefaults(t *testing.T) {
	const clients, each = 3000, 2
	opts := defaults(t)
	seen := &refusals{counts: map[limits.Reason]int{}}
	opts.Limited = seen.add
	opts.Limits = limits.New(limits.Options{
		ConnectionsPerAddress: limits.DefaultConnectionsPerAddress,
		OperationsPerAddress:  limits.DefaultOperationsPerAddress,
		OperationsPerUser:     limits.DefaultOperationsPerUser,
	}, time.Now())
	server := start(t, opts)
	conns := make([]*net.TCPConn, clients)
	for round := range each {
		for i := range conns {
			conns[i] = dial(t, server.addr)
		}
		for i, conn := range conns { // all are open by now
			if _, err := fmt.Fprintf(conn, "REGISTER\x00t\x00user%d-%d\x00", round, i); err != nil {
				t.Fatal(err)
			}
		}
		for _, conn := range conns {
			if got, err := io.ReadAll(conn); string(got) != "\x00" || err != nil {
				t.Fatalf("got %q, %v; want status 0", got, err)
			}
			_ = conn.Close()
		}
	}
	if len(seen.counts) > 0 {
		t.Errorf("refused: %v", seen.counts)
	}
}

// TestRefusedRequestsAreAnnounced: they get their line and their record like
// every request that could be read.
func TestRefusedRequestsAreAnnounced(t *testing.T) {
	opts, _ := limited(t, limits.Options{ConnectionsPerAddress: 1})
	var out syncBuffer
	records := make(chan lonja.OperationRecord, 1)
	opts.Announce = &out
	opts.StopTimeout = 10 * time.Millisecond
	opts.Record = func(r lonja.OperationRecord) { records <- r }
	server := start(t, opts)
	dialFrom(t, "127.0.0.9", server.addr)
	askFrom(t, "127.0.0.9", server.addr, "REGISTER\x00t1\x00ana\x00")
	if got, want := <-records, (lonja.OperationRecord{User: "ana", Operation: "REGISTER", Timestamp: "t1"}); got != want {
		t.Errorf("recorded %q, want %q", got, want)
	}
	server.stop()
	<-server.done
	if got, want := out.String(), "s> OPERATION REGISTER FROM ana AT t1\n"; got != want {
		t.Errorf("announced %q, want %q", got, want)
	}
}
