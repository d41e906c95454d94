package apiclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
	"lonja/internal/limits"
)

// mayHaveHappened is how a node looks at an error (package node).
func mayHaveHappened(err error) bool {
	if opErr, ok := errors.AsType[*net.OpError](err); ok && opErr.Op == "dial" {
		return false
	}
	switch lonja.KindOf(err) {
	case lonja.Canceled, lonja.Unavailable, lonja.Malformed:
		return true
	}
	return false
}

// changes are what a client was told of its connection.
type changes chan string

func (c changes) tell(up bool, address string) {
	if up {
		c <- "up " + address
	} else {
		c <- "lost " + address
	}
}

func (c changes) expect(t *testing.T, want string) {
	t.Helper()
	if got := <-c; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMovesToAnotherNode: of several addresses of one directory, one that is
// there is found, and when it goes, another.
func TestMovesToAnotherNode(t *testing.T) {
	dir := directorytest.New(t)
	one, two := apitest.Start(t, apitest.Setup{Directory: dir}), apitest.Start(t, apitest.Setup{Directory: dir})
	config := one.TLS(apitest.Certificate(t))
	config.RootCAs, config.InsecureSkipVerify = nil, true // two nodes with a throw-away certificate each
	told := make(changes, 8)
	c := clientOf(t, apiclient.Options{
		Addresses: []string{one.Address, two.Address, "127.0.0.1:1"}, TLS: config,
		Changed: told.tell, Spread: time.Millisecond, LeastPause: time.Millisecond,
	})
	c.Stay()
	if err := c.Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	sites := map[string]*apitest.Site{one.Address: one, two.Address: two}
	first := strings.TrimPrefix(<-told, "up ")
	sites[first].Stop()
	told.expect(t, "lost "+first)
	delete(sites, first)
	for second := range sites {
		told.expect(t, "up "+second) // by itself
	}
	if err := c.Connect(t.Context(), "ana", here[0]); err != nil {
		t.Error(err)
	}
}

// TestComesBack: a directory that is started again is found again, by who asks.
func TestComesBack(t *testing.T) {
	dir := directorytest.New(t)
	site := apitest.Start(t, apitest.Setup{Directory: dir})
	config := site.TLS()
	config.RootCAs, config.InsecureSkipVerify = nil, true
	told := make(changes, 8)
	c := clientOf(t, apiclient.Options{Addresses: []string{site.Address}, TLS: config, Changed: told.tell, LeastPause: time.Millisecond})
	if err := c.Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	told.expect(t, "up "+site.Address)
	watched := make(chan error, 1)
	if err := c.Connect(t.Context(), "ana", here[0]); err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{}, 1)
	go func() {
		watched <- c.Watch(t.Context(), lonja.Member{User: "ana", Key: c.Key()}, lonja.EventFilter{}, func(lonja.Event) error { begun <- struct{}{}; return nil })
	}()
	<-begun
	site.Stop()
	if err := <-watched; !errors.Is(err, lonja.Unavailable) {
		t.Errorf("who watched got %v", err)
	}
	told.expect(t, "lost "+site.Address)
	err := c.Register(t.Context(), "luis")
	if !errors.Is(err, lonja.Unavailable) || mayHaveHappened(err) {
		t.Errorf("while it is away: got %v, want Unavailable, and that nobody was asked", err)
	}
	ln, err := net.Listen("tcp", site.Address)
	if err != nil {
		t.Fatal(err)
	}
	apitest.Start(t, apitest.Setup{Directory: dir, Listener: ln})
	if err := c.Register(t.Context(), "luis"); err != nil {
		t.Error(err)
	}
	told.expect(t, "up "+site.Address)
}

// TestLostOnTheWay: a write whose answer is lost may have happened, and is not
// made again by itself.
func TestLostOnTheWay(t *testing.T) {
	dir := &holding{MemberDirectory: directorytest.New(t), begun: make(chan struct{}, 1), ended: make(chan struct{}, 1)}
	site := apitest.Start(t, apitest.Setup{Directory: dir})
	var mu sync.Mutex
	var conns []net.Conn
	c := clientOf(t, apiclient.Options{
		Addresses: []string{site.Address}, TLS: site.TLS(),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			return conn, err
		},
	})
	done := make(chan error, 1)
	go func() { done <- c.Register(t.Context(), "ana") }()
	<-dir.begun
	mu.Lock()
	_ = conns[0].Close()
	mu.Unlock()
	err := <-done
	if !errors.Is(err, lonja.Unavailable) || !mayHaveHappened(err) {
		t.Errorf("got %v, want Unavailable, and that it may have happened", err)
	}
	<-dir.ended // the loss reaches the operation
	if got := dir.registered.Load(); got != 1 {
		t.Errorf("it was asked for %d times", got)
	}
}

// holding is a directory that never answers REGISTER.
type holding struct {
	lonja.MemberDirectory
	begun      chan struct{}
	ended      chan struct{} // holds a token when one was cancelled
	registered atomic.Int32
}

func (h *holding) Register(ctx context.Context, _ lonja.UserName) error {
	h.registered.Add(1)
	h.begun <- struct{}{}
	<-ctx.Done()
	h.ended <- struct{}{}
	return ctx.Err()
}

// TestDeadlines: the caller's time, or the client's own.
func TestDeadlines(t *testing.T) {
	dir := &holding{MemberDirectory: directorytest.New(t), begun: make(chan struct{}, 4), ended: make(chan struct{}, 4)}
	site := apitest.Start(t, apitest.Setup{Directory: dir})
	c := clientOf(t, apiclient.Options{Addresses: []string{site.Address}, TLS: site.TLS(), Timeout: 50 * time.Millisecond})
	err := c.Register(t.Context(), "ana")
	if !errors.Is(err, lonja.Unavailable) || !mayHaveHappened(err) {
		t.Errorf("a slow directory: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Register(ctx, "ana") }()
	<-dir.begun
	<-dir.begun
	cancel()
	if err := <-done; !errors.Is(err, lonja.Canceled) && !errors.Is(err, lonja.Unavailable) {
		t.Errorf("given up: got %v", err)
	}
}

// TestNotADirectory: what does not speak the protocol is named, whoever it is.
func TestNotADirectory(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
			_ = conn.Close()
		}
	}()
	site := apitest.Start(t, apitest.Setup{Directory: directorytest.New(t)})
	for name, opts := range map[string]apiclient.Options{
		"another program": {Addresses: []string{ln.Addr().String()}, TLS: site.TLS()},
		"another CA":      {Addresses: []string{site.Address}, TLS: &tls.Config{ServerName: "directory"}},
		"another name":    {Addresses: []string{site.Address}, TLS: func() *tls.Config { c := site.TLS(); c.ServerName = "other"; return c }()},
		"nobody":          {Addresses: []string{"127.0.0.1:1"}, TLS: site.TLS()},
	} {
		err := clientOf(t, opts).Register(t.Context(), "ana")
		if mayHaveHappened(err) || lonja.KindOf(err) == lonja.Internal {
			t.Errorf("%s: got %v (%v)", name, err, lonja.KindOf(err))
		}
	}
}

// TestBackOff: attempts of a client that stays come further and further apart.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var times []time.Duration
		begun := time.Now()
		down := func(context.Context, string, string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(begun))
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}
		c := apiclient.New(apiclient.Options{Addresses: []string{"a:1"}, TLS: &tls.Config{}, Dial: down})
		c.Stay()
		if err := c.Register(t.Context(), "ana"); lonja.KindOf(err) != lonja.Unavailable {
			t.Errorf("got %v", err)
		}
		time.Sleep(10 * time.Minute) // synthetic
		mu.Lock()
		n, last := len(times), times[len(times)-1]-times[len(times)-2]
		mu.Unlock()
		if n < 10 || n > 40 || last < apiclient.DefaultMostPause/2 || last > apiclient.DefaultMostPause+time.Second {
			t.Errorf("%d attempts in ten minutes, the last after %v", n, last)
		}
		_ = c.Close()
		if err := c.Register(t.Context(), "ana"); lonja.KindOf(err) != lonja.Unavailable {
			t.Errorf("a closed client: got %v", err)
		}
	})
}

// TestACrowdComesBack: clients that lose their connection at once come back over
// a time, not at once.
func TestACrowdComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd = 100
		own := apitest.Certificate(t)
		server := apiserver.New(apiserver.Options{
			Directory: directorytest.New(t), TLS: &tls.Config{Certificates: []tls.Certificate{own}},
		})
		var serving sync.WaitGroup
		running, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		var lost time.Time
		seconds := make(map[int]int) // since the loss, of dialling again
		dial := func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			mu.Lock()
			defer mu.Unlock()
			if !lost.IsZero() {
				seconds[int(time.Since(lost)/time.Second)]++
			}
			ctx := running
			serving.Go(func() { server.ServeConn(ctx, far, limits.Visit{}) })
			return near, nil
		}
		for range crowd {
			c := clientOf(t, apiclient.Options{Addresses: []string{"directory:1"}, TLS: &tls.Config{InsecureSkipVerify: true}, Dial: dial})
			c.Stay()
			if err := c.Register(t.Context(), "ana"); err != nil && !errors.Is(err, lonja.NameInUse) {
				t.Fatal(err)
			}
		}
		mu.Lock()
		again, stopAgain := context.WithCancel(t.Context())
		running, lost = again, time.Now()
		mu.Unlock()
		stop()
		time.Sleep(apiclient.DefaultSpread + time.Second) // synthetic
		mu.Lock()
		total := 0
		for second, n := range seconds {
			if total += n; n > crowd/5 {
				t.Errorf("%d of %d came back in second %d", n, crowd, second)
			}
		}
		mu.Unlock()
		if total != crowd {
			t.Errorf("%d of %d came back", total, crowd)
		}
		stopAgain()
		serving.Wait()
	})
}
