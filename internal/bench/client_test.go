package bench

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirserver"
)

// forever is a window that everything falls into.
func forever() window {
	return window{time.Now().Add(-time.Hour), time.Now().Add(time.Hour)}
}

// serving runs serve on a loopback listener for the length of the test, and
// returns its address.
func serving(t *testing.T, serve func(context.Context, net.Listener) error) string {
	t.Helper()
	ln, err := ListenLimit(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var server errgroup.Group
	server.Go(func() error { return serve(ctx, ln) })
	t.Cleanup(func() {
		cancel()
		_ = ln.Close()
		if err := server.Wait(); err != nil {
			t.Error("server:", err)
		}
	})
	return ln.Addr().String()
}

func realDirectory(t *testing.T) string {
	return serving(t, dirserver.New(dirserver.Options{Directory: directorytest.New(t)}).Serve)
}

// testClient returns one client of a load, at work within a window.
func testClient(t *testing.T, l load, i int, w window) *client {
	t.Helper()
	c, err := l.client(i)
	if err != nil {
		t.Fatal(err)
	}
	c.window = w
	return c
}

func TestPrepareAsksForTheTimeOnce(t *testing.T) {
	var made, asked, closed atomic.Int32
	l := load{clients: 40, newClock: func() (clock, error) {
		made.Add(1)
		return countingClock{&asked, &closed}, nil
	}}
	clients, err := l.prepare(t.Context())
	if err != nil || len(clients) != 40 || made.Load() != 40 || asked.Load() != 40 {
		t.Errorf("%d clients, %d clocks, asked %d times, %v", len(clients), made.Load(), asked.Load(), err)
	}
	closeClocks(clients)
	if closed.Load() != 40 {
		t.Errorf("%d clocks closed", closed.Load())
	}
	broken := errors.New("broken")
	l.newClock = func() (clock, error) {
		if made.Add(1)%3 == 0 {
			return nil, broken
		}
		return countingClock{&asked, &closed}, nil
	}
	closed.Store(0)
	if _, err := l.prepare(t.Context()); !errors.Is(err, broken) || closed.Load() == 0 {
		t.Errorf("error %v, %d clocks closed", err, closed.Load())
	}
}

type countingClock struct{ asked, closed *atomic.Int32 }

func (c countingClock) Now(context.Context) string { c.asked.Add(1); return lonja.NoTimestamp }

func (c countingClock) Close() { c.closed.Add(1) }

// TestEveryStatusOccursAndIsRight is about the script as much as about the
// directory: each status of each operation comes up, and the clients, who work
// at the same time, find no answer wrong.
func TestEveryStatusOccursAndIsRight(t *testing.T) {
	const clients, steps = 8, 1500
	l := load{directory: realDirectory(t), clients: clients, seed: 1, timeout: time.Minute}
	var tallies [clients]Tally
	var working sync.WaitGroup
	for i := range clients {
		working.Go(func() {
			c := testClient(t, l, i, forever())
			for range steps {
				c.step(t.Context(), time.Now())
			}
			tallies[i] = c.tally
		})
	}
	working.Wait()
	var sum Tally
	for i := range tallies {
		sum.merge(&tallies[i])
	}
	if sum.Done != clients*steps || len(sum.Latencies) != clients*steps {
		t.Errorf("%d operations done and %d timed, want %d", sum.Done, len(sum.Latencies), clients*steps)
	}
	for f, n := range sum.Failures {
		if n > 0 {
			t.Errorf("%s: %d times, first %v", Failure(f), n, sum.Causes[f])
		}
	}
	for _, op := range operations {
		for status := range statusCount(op) {
			if sum.Statuses[op][status] == 0 {
				t.Errorf("%s was never answered with %d", op, status)
			}
		}
	}
}

func TestLoadCountsWhatFallsIntoItsWindow(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name         string
		window       window
		done, sample int
	}{
		{"within", window{now, now.Add(time.Hour)}, 1, 1},
		{"begun before it", window{now.Add(time.Nanosecond), now.Add(time.Hour)}, 1, 0},
		{"ended after it", window{now.Add(-time.Hour), now.Add(time.Nanosecond)}, 0, 1},
		{"warming up", window{now.Add(time.Hour), now.Add(2 * time.Hour)}, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := testClient(t, load{directory: realDirectory(t), clients: 1, timeout: time.Minute}, 0, test.window)
			c.step(t.Context(), now)
			if c.tally.Done != test.done || len(c.tally.Latencies) != test.sample {
				t.Errorf("done %d, samples %d, want %d and %d",
					c.tally.Done, len(c.tally.Latencies), test.done, test.sample)
			}
		})
	}
}

// each returns a server that treats every connection with one function.
func each(do func(*net.TCPConn)) func(context.Context, net.Listener) error {
	return func(ctx context.Context, ln net.Listener) error {
		var serving errgroup.Group
		for {
			conn, err := ln.Accept()
			if err != nil {
				return serving.Wait()
			}
			serving.Go(func() error {
				defer conn.Close()
				do(conn.(*net.TCPConn))
				return nil
			})
		}
	}
}

func TestClientTellsFailuresApart(t *testing.T) {
	untilGone := func(conn *net.TCPConn) {
		var b [1]byte
		for {
			if _, err := conn.Read(b[:]); err != nil {
				return
			}
		}
	}
	tests := []struct {
		want    Failure
		timeout time.Duration
		address func(t *testing.T) string
	}{
		{FailedDial, time.Minute, func(t *testing.T) string {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			return ln.Addr().String() // nobody listens there any more
		}},
		{FailedExchange, time.Minute, func(t *testing.T) string {
			return serving(t, each(func(conn *net.TCPConn) {
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.SetLinger(0) // closing resets
			}))
		}},
		{FailedTimeout, 20 * time.Millisecond, func(t *testing.T) string { return serving(t, each(untilGone)) }},
		{FailedSilence, time.Minute, func(t *testing.T) string {
			return serving(t, each(func(conn *net.TCPConn) {
				_ = conn.CloseWrite()
				untilGone(conn)
			}))
		}},
		{FailedAnswer, time.Minute, func(t *testing.T) string {
			return serving(t, each(func(conn *net.TCPConn) {
				_, _ = conn.Write([]byte{9})
				_ = conn.CloseWrite()
				untilGone(conn)
			}))
		}},
	}
	for _, test := range tests {
		t.Run(test.want.String(), func(t *testing.T) {
			c := testClient(t, load{directory: test.address(t), clients: 1, timeout: test.timeout}, 0, forever())
			c.step(t.Context(), time.Now())
			var want [failureCount]int
			want[test.want] = 1
			if c.tally.Failures != want || c.tally.Done != 0 {
				t.Errorf("failures %v (%v), done %d; want %v and 0",
					c.tally.Failures, c.tally.Causes, c.tally.Done, want)
			}
			if c.tally.Causes[test.want] == nil {
				t.Error("no cause was kept")
			}
		})
	}
}

// TestWrongAnswersAreNoticed has clients believe that a limit server, which
// says yes to everything, is a directory.
func TestWrongAnswersAreNoticed(t *testing.T) {
	c := testClient(t, load{directory: serving(t, ServeLimit), clients: 1, timeout: time.Minute}, 0, forever())
	for range 100 {
		c.step(t.Context(), time.Now())
	}
	if c.tally.Failures[FailedAnswer] == 0 {
		t.Error("100 operations, all answered with 0, and none was found wrong")
	}
}

// A stoppedClock is a date-time service that cannot be used.
type stoppedClock struct{}

func (stoppedClock) Now(context.Context) string { return lonja.NoTimestamp }

func (stoppedClock) Close() {}

func TestClientCountsWhatHasNoTime(t *testing.T) {
	c := testClient(t, load{
		directory: realDirectory(t), clients: 1, timeout: time.Minute,
		newClock: func() (clock, error) { return stoppedClock{}, nil },
	}, 0, forever())
	c.step(t.Context(), time.Now())
	if c.tally.Undated != 1 || c.tally.Done != 1 {
		t.Errorf("undated %d, done %d, want 1 and 1", c.tally.Undated, c.tally.Done)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	accepted := make(chan struct{}, 1)
	address := serving(t, each(func(conn *net.TCPConn) {
		select {
		case accepted <- struct{}{}:
		default:
		}
		_, _ = conn.Write([]byte{classic.StatusOK})
	}))
	go func() {
		<-accepted
		cancel()
	}()
	clients, err := load{directory: address, clients: 3, limit: true, timeout: time.Minute}.prepare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	work(ctx, clients, forever()) // the test times out if it does not end
}

func TestTimeoutIsRecognised(t *testing.T) {
	err := timeoutOr(FailedDial, syscall.ECONNREFUSED)
	if f := err.(*failure); f.as != FailedDial || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a refused connection counts as %s", f.as)
	}
	ctx, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	_, dialErr := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:1")
	if f := timeoutOr(FailedDial, dialErr).(*failure); f.as != FailedTimeout {
		t.Errorf("%v counts as %s", dialErr, f.as)
	}
}
