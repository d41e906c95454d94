package apiserver_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
)

// strangers is how many half-open handshakes a directory has to bear.
const strangers = 10_000

// A besieged is a directory with members who ask all the time, and strangers who
// begin handshakes and go no further.
type besieged struct {
	*apitest.Site
	members []*apiclient.Client
	open    []net.Conn
	most    int // handshakes that were half open at once
}

func besiege(t testing.TB) *besieged {
	t.Helper()
	b := &besieged{Site: apitest.Start(t, apitest.Setup{Directory: directorytest.New(t)}), members: make([]*apiclient.Client, 4)}
	for i := range b.members {
		b.members[i] = apiclient.New(apiclient.Options{Addresses: []string{b.Address}, TLS: b.TLS(apitest.Certificate(t))})
		t.Cleanup(func() { _ = b.members[i].Close() })
	}
	if err := b.members[0].Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	if err := b.members[0].Connect(t.Context(), "ana", here[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.lift)
	return b
}

// whileFlooded has so many members ask until all strangers have come.
func (b *besieged) whileFlooded(t testing.TB, members int) latencies {
	t.Helper()
	flooded := make(chan time.Time)
	go func() {
		defer close(flooded)
		b.flood(t, strangers)
	}()
	return operationsUntil(t, b.members[:members], flooded)
}

// lift has the strangers go.
func (b *besieged) lift() {
	for _, conn := range b.open {
		_ = conn.Close()
	}
	b.open = nil
}

// TestHalfOpenHandshakes: while 10,000 connections begin a handshake and go no
// further, no operation of those who are there fails, who comes gets in, and what
// they take stays within its bounds. How long operations take depends on what else
// the machine does: BenchmarkHalfOpenHandshakes measures it.
func TestHalfOpenHandshakes(t *testing.T) {
	b := besiege(t)
	before := inUse()
	beset := b.whileFlooded(t, 1) // fails if an operation does
	taken := inUse() - before
	if half := b.Server.Handshakes(); half == 0 || b.most > apiserver.DefaultMaxHandshakes {
		t.Errorf("%d handshakes are half open, and at most %d were, want up to %d", half, b.most, apiserver.DefaultMaxHandshakes)
	}
	const each = 48 << 10 // of both sides; 20 are usual, 34 with the race detector
	if limit := int64(apiserver.DefaultMaxHandshakes * each); taken > limit {
		t.Errorf("they take %d bytes, want at most %d", taken, limit)
	}
	for range 10 {
		newcomer := client(t, b.Site, apitest.Certificate(t))
		if _, err := newcomer.ListUsers(t.Context(), "ana"); err != nil {
			t.Errorf("a newcomer: %v", err)
		}
	}
	t.Logf("%d operations meanwhile; at most %d handshakes half open, which take %d bytes", beset.count, b.most, taken)
}

// inUse returns what the program has in memory that is not garbage.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkHalfOpenHandshakes measures how long operations of members take while
// 10,000 strangers come, and right before that, when nobody is there but they.
func BenchmarkHalfOpenHandshakes(b *testing.B) {
	s := besiege(b)
	var alone, beset []time.Duration
	for b.Loop() {
		s.lift()
		alone = append(alone, operationsUntil(b, s.members, time.After(2*time.Second)).p99)
		beset = append(beset, s.whileFlooded(b, len(s.members)).p99)
	}
	for name, all := range map[string][]time.Duration{"p99-alone-ms": alone, "p99-beset-ms": beset} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name)
	}
}

type latencies struct {
	count int
	p99   time.Duration
}

// operationsUntil has each member ask all the time.
func operationsUntil(t testing.TB, members []*apiclient.Client, end <-chan time.Time) latencies {
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
func (b *besieged) flood(t testing.TB, count int) {
	hello := clientHello(t, b.Site)
	for i := range count {
		conn, err := net.Dial("tcp", b.Address)
		if err != nil {
			t.Errorf("stranger %d: %v", i, err)
			return
		}
		b.open = append(b.open, conn)
		b.most = max(b.most, b.Server.Handshakes())
		says := hello
		if i%2 == 1 {
			says = hello[:20]
		}
		_, _ = conn.Write(says) // the server may have given it up
	}
}

// clientHello is the first flight of a client.
func clientHello(t testing.TB, s *apitest.Site) []byte {
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
