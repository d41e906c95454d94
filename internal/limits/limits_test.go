package limits_test

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"lonja"
	"lonja/internal/limits"
)

var start = time.Date(2026, 11, 23, 5, 54, 17, 0, time.UTC)

// allowed counts how many of n operations at one moment are let through.
func allowed(l *limits.Limiter, at time.Time, addr string, user lonja.UserName, n int) int {
	visit := l.Enter(netip.MustParseAddr(addr))
	defer l.Leave(visit)
	count := 0
	for range n {
		if l.Operation(at, visit, user) == limits.None {
			count++
		}
	}
	return count
}

// TestWhoSharesACount: what is one address, and what is another.
func TestWhoSharesACount(t *testing.T) {
	for name, c := range map[string]struct {
		loopback bool
		spends   string
		asks     string
		shared   bool
	}{
		"the same":               {false, "192.0.2.1", "192.0.2.1", true},
		"a neighbour":            {false, "192.0.2.1", "192.0.2.2", false},
		"mapped into IPv6":       {false, "192.0.2.1", "::ffff:192.0.2.1", true},
		"one IPv6 network":       {false, "2001:db8::1", "2001:db8::ffff:1:2:3", true},
		"another IPv6 network":   {false, "2001:db8::1", "2001:db8:0:1::1", false},
		"loopback":               {false, "127.0.0.1", "127.0.0.1", false},
		"IPv6 loopback":          {false, "::1", "::1", false},
		"mapped loopback":        {false, "::ffff:127.0.0.1", "127.0.0.1", false},
		"loopback, limited":      {true, "127.0.0.9", "127.0.0.9", true},
		"IPv6 loopback, limited": {true, "::1", "::1", true},
	} {
		t.Run(name, func(t *testing.T) {
			l := limits.New(limits.Options{ConnectionsPerAddress: 1, OperationsPerAddress: 1, Loopback: c.loopback}, start)
			allowed(l, start, c.spends, "", 100)
			if got := allowed(l, start, c.asks, "", 1) == 0; got != c.shared {
				t.Errorf("operations: shared %v, want %v", got, c.shared)
			}
			l.Enter(netip.MustParseAddr(c.spends))
			if got := l.Enter(netip.MustParseAddr(c.asks)).Entry != limits.Serve; got != c.shared {
				t.Errorf("connections: shared %v, want %v", got, c.shared)
			}
		})
	}
}

func TestOperations(t *testing.T) {
	const addr, other = "192.0.2.1", "192.0.2.2"
	l := limits.New(limits.Options{OperationsPerAddress: 10, OperationsPerUser: 20}, start)
	for _, c := range []struct {
		what   string
		after  time.Duration
		addr   string
		user   lonja.UserName
		n      int
		want   int
		reason limits.Reason // of one more
	}{
		{"a burst", 0, addr, "ana", 60, 50, limits.AddressOperations},
		{"what comes back in a second", time.Second, addr, "ana", 60, 10, limits.AddressOperations},
		{"another address, the same user", time.Second, other, "ana", 50, 50, limits.AddressOperations},
		{"another user, the same address", time.Second, other, "luis", 1, 0, limits.AddressOperations},
		{"a third address, the rest of the user's", time.Second, "192.0.2.3", "ana", 40, 10, limits.UserOperations},
		{"without a name, the rest of the address's", time.Second, "192.0.2.3", "", 9, 9, limits.AddressOperations},
		{"full again, no fuller", time.Hour, addr, "eva", 60, 50, limits.AddressOperations},
	} {
		at := start.Add(c.after)
		if got := allowed(l, at, c.addr, c.user, c.n); got != c.want {
			t.Errorf("%s: %d of %d allowed, want %d", c.what, got, c.n, c.want)
		}
		if got := l.Operation(at, l.Enter(netip.MustParseAddr(c.addr)), c.user); got != c.reason {
			t.Errorf("%s: then %v, want %v", c.what, got, c.reason)
		}
	}
}

// TestAddressOverItsLimitSparesTheUser: somebody who asks in another's name
// and is refused takes nothing from the other.
func TestAddressOverItsLimitSparesTheUser(t *testing.T) {
	l := limits.New(limits.Options{OperationsPerAddress: 10, OperationsPerUser: 20}, start)
	allowed(l, start, "192.0.2.1", "ana", 10_000)
	if got := allowed(l, start, "192.0.2.2", "ana", 50); got != 50 {
		t.Errorf("the user herself got %d of 50", got)
	}
}

func TestConnections(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	l := limits.New(limits.Options{ConnectionsPerAddress: 16}, start)
	enter := func(what string, n int, want limits.Entry) (visit limits.Visit) {
		t.Helper()
		for i := range n {
			if visit = l.Enter(addr); visit.Entry != want {
				t.Fatalf("%s: connection %d got %v, want %v", what, i, visit.Entry, want)
			}
		}
		return visit
	}
	served := enter("up to the limit", 16, limits.Serve)
	refused := enter("over it", 3, limits.Refuse)
	shut := enter("far over it", 100, limits.Shut)
	for visit, want := range map[limits.Visit]limits.Reason{
		served: limits.None, refused: limits.AddressConnections, shut: limits.AddressConnections,
	} {
		if got := l.Operation(start, visit, "ana"); got != want {
			t.Errorf("an operation of a connection that got %v: %v, want %v", visit.Entry, got, want)
		}
	}
	l.Leave(shut)
	enter("after one that was shut left", 1, limits.Shut)
	l.Leave(refused)
	enter("after a refused one left", 1, limits.Refuse)
	l.Leave(served)
	enter("after a served one left", 1, limits.Serve)
	enter("and no more", 1, limits.Shut)
}

// TestZeroIsNoLimit: each limit can be switched off by itself.
func TestZeroIsNoLimit(t *testing.T) {
	l := limits.New(limits.Options{}, start)
	if got := allowed(l, start, "192.0.2.1", "ana", 100_000); got != 100_000 {
		t.Errorf("%d of 100000 operations allowed", got)
	}
	for range 10_000 {
		if got := l.Enter(netip.MustParseAddr("192.0.2.1")).Entry; got != limits.Serve {
			t.Fatalf("a connection got %v", got)
		}
	}
	l = limits.New(limits.Options{OperationsPerUser: 1}, start)
	allowed(l, start, "192.0.2.1", "ana", 10)
	if got := l.Operation(start, l.Enter(netip.MustParseAddr("192.0.2.2")), "ana"); got != limits.UserOperations {
		t.Errorf("the limit of users alone gives %v", got)
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{limits.None.String(): true}
	for _, r := range limits.Reasons() {
		if name := r.String(); seen[name] {
			t.Errorf("reason %d has the name of another, %q", r, name)
		} else {
			seen[name] = true
		}
	}
}

// BenchmarkOperation is what a request pays when every limit is counted.
func BenchmarkOperation(b *testing.B) {
	for _, n := range []int{1, 1000, 1 << 20} {
		b.Run(strconv.Itoa(n)+" addresses", func(b *testing.B) {
			l := limits.New(limits.Options{
				ConnectionsPerAddress: 1 << 20, OperationsPerAddress: 1 << 20, OperationsPerUser: 1 << 20,
			}, start)
			visits, users := make([]limits.Visit, n), make([]lonja.UserName, n)
			for i := range visits {
				visits[i] = l.Enter(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
				users[i] = lonja.UserName("user" + strconv.Itoa(i))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				l.Operation(start.Add(time.Duration(i)*time.Microsecond), visits[i%n], users[i%n])
				i++
			}
		})
	}
}

// BenchmarkConnection is what a connection pays besides.
func BenchmarkConnection(b *testing.B) {
	l := limits.New(limits.Options{ConnectionsPerAddress: 1}, start)
	addr := netip.MustParseAddr("2001:db8::1")
	for b.Loop() {
		l.Leave(l.Enter(addr))
	}
}
