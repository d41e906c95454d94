package oplog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lonja"
)

func TestClientRecords(t *testing.T) {
	service, out := startService(t)
	client, stop := runClient(t, ClientOptions{Target: service.Addr().String()})
	const entries = 5000
	for i := range entries {
		client.Record(entry(i))
	}
	for i := range entries {
		out.want(t, line(i))
	}
	if err := stop(); err != nil || client.Dropped() != 0 {
		t.Errorf("Run returned %v, %d entries were dropped", err, client.Dropped())
	}
	out.wantNone(t)
}

// refuseTCP dials like the network of a host that serves UDP only.
func refuseTCP(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "tcp" {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, address)
}

func TestClientRecordsOverUDP(t *testing.T) {
	service, out := startService(t)
	client, stop := runClient(t, ClientOptions{Target: service.Addr().String(), testOnlyDial: refuseTCP})
	const entries = 500
	for i := range entries {
		client.Record(entry(i))
	}
	for i := range entries {
		out.want(t, line(i))
	}
	if err := stop(); err != nil || client.Dropped() != 0 {
		t.Errorf("Run returned %v, %d entries were dropped", err, client.Dropped())
	}
	out.wantNone(t)
}

// TestClientManyRecorders: Record may be called by anyone, before and during Run.
func TestClientManyRecorders(t *testing.T) {
	service, out := startService(t)
	client, _ := runClient(t, ClientOptions{Target: service.Addr().String()})
	const recorders, each = 8, 200
	var all sync.WaitGroup
	for i := range recorders {
		all.Go(func() {
			for range each {
				client.Record(entry(i))
			}
		})
	}
	all.Wait()
	seen := map[string]int{}
	for range recorders * each {
		seen[out.next(t)]++
	}
	for i := range recorders {
		if got := seen[line(i)]; got != each {
			t.Errorf("recorder %d: got %d lines, want %d", i, got, each)
		}
	}
}

// TestClientSurvivesRestart: what is recorded while the service is away comes
// when it is back, in order.
func TestClientSurvivesRestart(t *testing.T) {
	for name, dial := range map[string]dialFunc{"tcp": nil, "udp": refuseTCP} {
		t.Run(name, func(t *testing.T) {
			out := newOutput()
			service, stopService := runService(t, ServiceOptions{Host: "127.0.0.1", Out: out})
			port := service.Addr().Port()
			client, stopClient := runClient(t, ClientOptions{Target: service.Addr().String(), testOnlyDial: dial})
			client.Record(entry(0))
			out.want(t, line(0))
			for round := range 2 {
				stopService()
				client.Record(entry(2*round + 1))
				client.Record(entry(2*round + 2))
				_, stopService = runService(t, ServiceOptions{Host: "127.0.0.1", Port: port, Out: out})
				out.want(t, line(2*round+1), line(2*round+2))
			}
			if err := stopClient(); err != nil || client.Dropped() != 0 {
				t.Errorf("Run returned %v, %d entries were dropped", err, client.Dropped())
			}
		})
	}
}

// TestClientStartsFirst: a client may be there before its service. The oldest
// entries are lost when there are too many.
func TestClientStartsFirst(t *testing.T) {
	reserved, err := Listen(ServiceOptions{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr()
	if err := reserved.Close(); err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(ClientOptions{Target: address.String(), QueueSize: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		client.Record(entry(i))
	}
	if got := client.Dropped(); got != 7 {
		t.Errorf("got %d dropped, want 7", got)
	}
	keepRunning(t, client)
	out := newOutput()
	runService(t, ServiceOptions{Host: "127.0.0.1", Port: address.Port(), Out: out})
	out.want(t, line(7), line(8), line(9))
}

// TestClientHangingService: a service that accepts and then does nothing costs
// entries, not time and not memory.
func TestClientHangingService(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, stop := runClient(t, ClientOptions{Target: listener.Addr().String(), QueueSize: 100})
	client.Record(entry(0))
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const entries = 200_000
	for i := range entries {
		client.Record(entry(i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if got, least := client.Dropped(), uint64(entries-100-windowSize); got < least {
		t.Errorf("got %d dropped, want at least %d", got, least)
	}
	if err := stop(); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("Run returned %v, want kind %v", err, lonja.Unavailable)
	}
	if got := client.Dropped(); got != entries+1 {
		t.Errorf("at the end %d are dropped, want %d", got, entries+1)
	}
}

// TestClientFlushes: what was recorded before the end is sent.
func TestClientFlushes(t *testing.T) {
	for name, dial := range map[string]dialFunc{"tcp": nil, "udp": refuseTCP} {
		t.Run(name, func(t *testing.T) {
			service, out := startService(t)
			client, err := NewClient(ClientOptions{Target: service.Addr().String(), testOnlyDial: dial})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				client.Record(entry(i))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := client.Run(ctx); err != nil {
				t.Errorf("Run returned %v", err)
			}
			for i := range 100 {
				out.want(t, line(i))
			}
		})
	}
}

func TestClientLimits(t *testing.T) {
	service, out := startService(t)
	client, _ := runClient(t, ClientOptions{Target: service.Addr().String()})
	long := entry(0)
	long.File = strings.Repeat("x", 256)
	client.Record(long)
	client.Record(entry(1))
	out.want(t, line(1))
	if got := client.Dropped(); got != 1 {
		t.Errorf("got %d dropped, want 1", got)
	}
}

func TestClientWithoutTarget(t *testing.T) {
	client, stop := runClient(t, ClientOptions{})
	client.Record(entry(0))
	if err := stop(); err != nil || client.Dropped() != 0 {
		t.Errorf("Run returned %v, %d dropped; want nil, 0", err, client.Dropped())
	}
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]target{
		"":                  {},
		"localhost":         {host: "localhost"},
		"192.0.2.1":         {host: "192.0.2.1"},
		"192.0.2.1:5000":    {"192.0.2.1", 5000},
		"log.example:5000":  {"log.example", 5000},
		"::1":               {host: "::1"},
		"fe80::1%eth0":      {host: "fe80::1%eth0"},
		"[::1]":             {host: "::1"},
		"[::1]:5000":        {"::1", 5000},
		"[fe80::1%eth0]:65": {"fe80::1%eth0", 65},
	} {
		if got, err := parseTarget(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"host:", "host:0", "host:65536", "host:http", ":5000", "a:b:c", "[::1", "[::1]5000", "[:]", "[a:b]:1"} {
		if _, err := NewClient(ClientOptions{Target: text}); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%q: got %v, want kind %v", text, err, lonja.Invalid)
		}
	}
}

func TestTargetCandidates(t *testing.T) {
	where, err := parseTarget("[::1]:5000")
	if err != nil {
		t.Fatal(err)
	}
	got, err := where.candidates(t.Context(), nil)
	if err != nil || len(got) != 2 || got[0].network != "tcp" || got[1].network != "udp" || got[0].at != got[1].at ||
		got[0].at.String() != "[::1]:5000" {
		t.Errorf("got %v, %v", got, err)
	}
}

// BenchmarkRecord is what an operation of the directory pays for its entry, with
// a service that keeps up or does not.
func BenchmarkRecord(b *testing.B) {
	hanging, err := Listen(ServiceOptions{Host: "127.0.0.1", Out: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = hanging.Close() })
	running, _ := runService(b, ServiceOptions{Host: "127.0.0.1", Out: io.Discard})
	for name, where := range map[string]string{
		"running": running.Addr().String(), "hanging": hanging.Addr().String(), "none": "",
	} {
		b.Run(name, func(b *testing.B) {
			client, _ := runClient(b, ClientOptions{Target: where})
			r := entry(0)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					client.Record(r)
				}
			})
		})
	}
}

// A countingOutput tells how many lines each Write brought.
type countingOutput struct{ lines chan<- int }

func (c countingOutput) Write(p []byte) (int, error) {
	c.lines <- bytes.Count(p, []byte{'\n'})
	return len(p), nil
}

// BenchmarkEntries is the way of an entry from Record to its line, over TCP on
// loopback, client and service on this machine.
func BenchmarkEntries(b *testing.B) {
	printed := make(chan int, 1<<16)
	service, _ := runService(b, ServiceOptions{Host: "127.0.0.1", Out: countingOutput{printed}})
	client, _ := runClient(b, ClientOptions{Target: service.Addr().String()})
	r := entry(0)
	waiting := 0
	for range b.N {
		client.Record(r)
		// Never more than the queue holds: none may be dropped.
		for waiting++; waiting == defaultQueue/2; {
			waiting -= <-printed
		}
	}
	for waiting > 0 {
		waiting -= <-printed
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	if got := client.Dropped(); got != 0 {
		b.Errorf("%d entries were dropped", got)
	}
}
