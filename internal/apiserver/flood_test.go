package apiserver_test

import (
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lonja/internal/apiclient"
	"lonja/internal/apiserver/apitest"
)

// TestHalfOpenHandshakes: 10,000 connections that begin a handshake and go no
// further do not slow down who is there, and do not keep out who comes.
func TestHalfOpenHandshakes(t *testing.T) {
	const strangers = 10_000
	s := site(t, apitest.Setup{})
	members := make([]*apiclient.Client, 4)
	for i := range members {
		members[i] = client(t, s, apitest.Certificate(t))
	}
	if err := members[0].Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	if err := members[0].Connect(t.Context(), "ana", here[0]); err != nil {
		t.Fatal(err)
	}
	alone := operationsUntil(t, members, time.After(500*time.Millisecond))

	flooded := make(chan time.Time)
	var open []net.Conn
	go func() {
		defer close(flooded)
		open = flood(t, s, strangers)
	}()
	beset := operationsUntil(t, members, flooded)
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	if s.Server.Handshakes() == 0 {
		t.Error("no handshake is half open")
	}
	begun := time.Now()
	newcomer := client(t, s, apitest.Certificate(t))
	if _, err := newcomer.ListUsers(t.Context(), "ana"); err != nil {
		t.Errorf("a newcomer: %v", err)
	}
	t.Logf("p99 %v alone, %v of %d operations beset; a newcomer waits %v", alone.p99, beset.p99, beset.count, time.Since(begun))
	// A machine that is busy with other things is slow without any stranger.
	if limit := 50*time.Millisecond + 3*alone.p99; beset.p99 > limit {
		t.Errorf("p99 is %v, want at most %v", beset.p99, limit)
	}
}

type latencies struct {
	count int
	p99   time.Duration
}

// operationsUntil has each member ask all the time.
func operationsUntil(t *testing.T, members []*apiclient.Client, end <-chan time.Time) latencies {
	t.Helper()
	var ended atomic.Bool
	var mu sync.Mutex
	var all []time.Duration
	var group sync.WaitGroup
	for _, c := range members {
		group.Go(func() {
			var own []time.Duration
			for !ended.Load() {
				begun := time.Now()
				if _, _, err := c.UsersPage(t.Context(), "ana", "", 10); err != nil {
					t.Error(err)
					break
				}
				own = append(own, time.Since(begun))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	<-end
	ended.Store(true)
	group.Wait()
	slices.Sort(all)
	if len(all) == 0 {
		t.Fatal("no operation was performed")
	}
	return latencies{len(all), all[len(all)*99/100]}
}

// flood opens so many connections; half of them say all that a client says
// first, which costs the server a computation, half only a part of it.
func flood(t *testing.T, s *apitest.Site, count int) (open []net.Conn) {
	hello := clientHello(t, s)
	for i := range count {
		conn, err := net.Dial("tcp", s.Address)
		if err != nil {
			t.Errorf("stranger %d: %v", i, err)
			return open
		}
		open = append(open, conn)
		says := hello
		if i%2 == 1 {
			says = hello[:20]
		}
		_, _ = conn.Write(says) // the server may have given it up
	}
	return open
}

// clientHello is the first flight of a client.
func clientHello(t *testing.T, s *apitest.Site) []byte {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(near, s.TLS()).Handshake()
	}()
	b := make([]byte, 4096)
	n, err := far.Read(b)
	_ = far.Close()
	<-done
	if err != nil {
		t.Error(err)
	}
	return b[:n]
}
