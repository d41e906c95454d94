package dirserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/dirserver"
)

// A crowd is a directory of many connected users with long names.
type crowd struct {
	lonja.Directory
	peers []lonja.Peer
}

// crowdOf returns a crowd whose LIST_USERS has at least size bytes, and that
// answer.
func crowdOf(size int) (*crowd, string) {
	const each = 255 + 1 + len("127.0.0.1") + 1 + len("4000") + 1
	c := &crowd{}
	for i := range size/each + 1 {
		c.peers = append(c.peers, lonja.Peer{
			User: lonja.UserName(fmt.Sprintf("%0255d", i)),
			At:   lonja.EndpointFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 4000),
		})
	}
	return c, "\x00" + string(classic.AppendUsers(nil, lonja.PeerList{c.peers}))
}

func (c *crowd) ListUsers(context.Context, lonja.UserName) (lonja.PeerList, error) {
	return lonja.PeerList{c.peers}, nil
}

// pipes is a listener whose connections have no buffer: what was written has
// been read.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close.Do(func() { close(p.closed) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inBubble runs a test in synthetic time with a server that it reaches by
// calling dial.
func inBubble(t *testing.T, opts dirserver.Options, test func(t *testing.T, dial func(request string) net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inServer(t, opts, func(dial func(string) net.Conn) { test(t, dial) })
	})
}

// inServer is the inner half of inBubble.
func inServer(t *testing.T, opts dirserver.Options, test func(dial func(request string) net.Conn)) {
	ln := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- dirserver.New(opts).Serve(ctx, ln) }()
	test(func(request string) net.Conn {
		client, server := net.Pipe()
		ln.conns <- server
		if _, err := io.WriteString(client, request); err != nil {
			t.Fatal(err)
		}
		return client
	})
	stop()
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}

const listUsers = "LIST_USERS\x00t\x00ana\x00"

// TestLongAnswerHasOneDeadline: it grows with the answer, and not with each
// sip that a client takes.
func TestLongAnswerHasOneDeadline(t *testing.T) {
	dir, want := crowdOf(4 << 20)
	for name, c := range map[string]struct {
		rate  int // bytes a second
		whole bool
	}{
		"just quick enough": {64 << 10, true},
		"too slow":          {32 << 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, dirserver.Options{Directory: dir}, func(t *testing.T, dial func(string) net.Conn) {
				conn, begun, got := dial(listUsers), time.Now(), 0
				sip := make([]byte, c.rate)
				for {
					n, err := io.ReadFull(conn, sip)
					got += n
					if err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				if whole := got == len(want); whole != c.whole {
					t.Errorf("got %d bytes of %d in %v", got, len(want), time.Since(begun))
				}
				atMost := dirserver.DefaultRequestTimeout + time.Duration(len(want)>>16+2)*time.Second
				if took := time.Since(begun); took > atMost {
					t.Errorf("it took %v, want at most %v", took, atMost)
				}
			})
		})
	}
}

// TestLongAnswersShareMemory: who would take more than there is waits for it
// as long as for a request, and is then told that it failed; what clients have
// read or left is there for others.
func TestLongAnswersShareMemory(t *testing.T) {
	dir, want := crowdOf(1 << 20)
	var log syncBuffer
	opts := dirserver.Options{
		Directory: dir, AnswerMemory: int64(len(want)) * 3 / 2, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	inBubble(t, opts, func(t *testing.T, dial func(string) net.Conn) {
		slow, begun := dial(listUsers), time.Now()
		if _, err := io.ReadFull(slow, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(dial(listUsers))
		if string(got) != "\x03" || err != nil || time.Since(begun) != dirserver.DefaultRequestTimeout {
			t.Errorf("got %.20q, %v after %v; want status 3 after the time of a request", got, err, time.Since(begun))
		}
		if !strings.Contains(log.String(), "slow clients hold") {
			t.Errorf("the log does not say why: %s", log.String())
		}
		// With three quarters read, there is room for another one.
		if _, err := io.ReadFull(slow, make([]byte, len(want)*3/4)); err != nil {
			t.Fatal(err)
		}
		got, err = io.ReadAll(dial(listUsers))
		if string(got) != want || err != nil {
			t.Errorf("beside one that is nearly read: got %d bytes, %v; want %d", len(got), err, len(want))
		}
		_ = slow.Close()
		for range 2 {
			if got, err := io.ReadAll(dial(listUsers)); string(got) != want || err != nil {
				t.Errorf("alone: got %d bytes, %v; want %d", len(got), err, len(want))
			}
		}
	})
}

// A slowCrowd makes its list when it is let.
type slowCrowd struct {
	*crowd
	making atomic.Int32 // how many lists
	let    chan struct{}
}

func (c *slowCrowd) ListUsers(context.Context, lonja.UserName) (lonja.PeerList, error) {
	c.making.Add(1)
	defer c.making.Add(-1)
	<-c.let
	return lonja.PeerList{c.peers}, nil
}

// TestFewListsAreMadeAtOnce: a list takes memory before anybody knows how much.
func TestFewListsAreMadeAtOnce(t *testing.T) {
	dir, want := crowdOf(64 << 10)
	atMost := max(4, runtime.GOMAXPROCS(0))
	synctest.Test(t, func(t *testing.T) {
		slow := &slowCrowd{crowd: dir, let: make(chan struct{})}
		inServer(t, dirserver.Options{Directory: slow}, func(dial func(string) net.Conn) {
			var clients []net.Conn
			for range 2 * atMost {
				clients = append(clients, dial(listUsers))
			}
			synctest.Wait()
			if got := int(slow.making.Load()); got != atMost {
				t.Errorf("%d lists are made at once, want %d", got, atMost)
			}
			close(slow.let)
			for _, conn := range clients {
				if got, err := io.ReadAll(conn); string(got) != want || err != nil {
					t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
				}
			}
		})
	})
}

// TestAnswerLongerThanAllMemory is given to one client at a time.
func TestAnswerLongerThanAllMemory(t *testing.T) {
	dir, want := crowdOf(1 << 20)
	opts := dirserver.Options{Directory: dir, AnswerMemory: 64 << 10}
	inBubble(t, opts, func(t *testing.T, dial func(string) net.Conn) {
		var reading sync.WaitGroup
		for _, conn := range []net.Conn{dial(listUsers), dial(listUsers)} {
			reading.Go(func() { // either may be the first
				if got, err := io.ReadAll(conn); string(got) != want || err != nil {
					t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
				}
			})
		}
		reading.Wait()
	})
}

// A broken directory fails every registration with err.
type broken struct {
	lonja.Directory
	err error
}

func (b *broken) Register(context.Context, lonja.UserName) error { return b.err }

// TestFailuresAreToldOnce: what is no client's fault reaches the log once for
// a row of failures, then in a count; what a rule refuses does not.
func TestFailuresAreToldOnce(t *testing.T) {
	answers := map[lonja.Kind]bool{
		lonja.Invalid: true, lonja.NoSuchUser: true, lonja.NameInUse: true, lonja.AlreadyConnected: true,
		lonja.NotConnected: true, lonja.AlreadyPublished: true, lonja.NotPublished: true,
		lonja.NoSuchOwner: true, lonja.NoHolder: true, lonja.Limited: true,
		lonja.OtherKey: true, lonja.Forbidden: true, lonja.Untrusted: true, lonja.TakenOver: true,
	}
	for _, kind := range lonja.Kinds() {
		t.Run(kind.Error(), func(t *testing.T) {
			var log syncBuffer
			opts := dirserver.Options{
				Directory: &broken{err: lonja.E(kind, "store", errors.New("the disk is full"))},
				Log:       slog.New(slog.NewTextHandler(&log, nil)),
			}
			inBubble(t, opts, func(t *testing.T, dial func(string) net.Conn) {
				for i := range 8 {
					if _, err := io.ReadAll(dial("REGISTER\x00t\x00ana\x00")); err != nil {
						t.Fatal(err)
					}
					if i == 2 || i == 5 {
						time.Sleep(time.Minute)
					}
				}
			})
			got := ""
			for line := range strings.Lines(log.String()) {
				_, count, _ := strings.Cut(line, `since the last line"=`)
				got += count[:1]
			}
			want := "1331" // at once, after a minute, after another, the rest at the end
			if answers[kind] {
				want = ""
			}
			if got != want {
				t.Errorf("lines count %q, want %q:\n%s", got, want, log.String())
			}
			if told := strings.Contains(log.String(), "the disk is full"); told == answers[kind] {
				t.Errorf("the cause is told: %v", told)
			}
		})
	}
}
