package apiclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
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

// TestMovesToAnotherNode: of several addresses of one directory, one that is
// there is found, and when it goes, another.
func TestMovesToAnotherNode(t *testing.T) {
	dir := directorytest.New(t)
	one, two := apitest.Start(t, apitest.Setup{Directory: dir}), apitest.Start(t, apitest.Setup{Directory: dir})
	config := one.TLS(apitest.Certificate(t))
	config.RootCAs, config.InsecureSkipVerify = nil, true // two nodes with a throw-away certificate each
	dialled := make(chan string, 64)
	c := clientOf(t, apiclient.Options{
		Addresses: []string{one.Address, two.Address, "127.0.0.1:1"}, TLS: config, LeastPause: time.Millisecond,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				dialled <- address
			}
			return conn, err
		},
	})
	if err := c.Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	sites := map[string]*apitest.Site{one.Address: one, two.Address: two}
	first := <-dialled
	sites[first].Stop()
	err := c.Connect(t.Context(), "ana", here[0])
	if errors.Is(err, lonja.Unavailable) { // lost on the way
		err = c.Connect(t.Context(), "ana", here[0])
	}
	if err != nil {
		t.Error(err)
	}
	if second := <-dialled; second == first || sites[second] == nil {
		t.Errorf("at %s first, then at %s", first, second)
	}
}

// TestComesBack: a directory that is started again is found again, by who asks.
func TestComesBack(t *testing.T) {
	dir := directorytest.New(t)
	site := apitest.Start(t, apitest.Setup{Directory: dir})
	config := site.TLS()
	config.RootCAs, config.InsecureSkipVerify = nil, true
	c := clientOf(t, apiclient.Options{Addresses: []string{site.Address}, TLS: config, LeastPause: time.Millisecond})
	if err := c.Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
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

// TestBackOff: attempts come further and further apart, however often it is asked.
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
		for time.Since(begun) < 10*time.Minute {
			if err := c.Register(t.Context(), "ana"); lonja.KindOf(err) != lonja.Unavailable {
				t.Fatalf("got %v", err)
			}
		}
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
