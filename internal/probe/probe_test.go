package probe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/probe"
)

// A book holds leases as a directory does, in the order of their stamps.
type book struct {
	mu      sync.Mutex
	stamps  uint64
	leases  []entry
	renewed map[lonja.UserName]int
	ended   []lonja.UserName
	end     chan lonja.UserName // told of each lease that ended, if there is room
}

type entry struct {
	lonja.Peer
	stamp uint64
}

func newBook() *book {
	return &book{renewed: map[lonja.UserName]int{}, end: make(chan lonja.UserName, 16)}
}

func (b *book) connect(user lonja.UserName, at lonja.Endpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases = slices.DeleteFunc(b.leases, func(e entry) bool { return e.User == user })
	b.stamps++
	b.leases = append(b.leases, entry{lonja.Peer{User: user, At: at}, b.stamps})
}

// crowd connects that many users, each at an address of its own.
func (b *book) crowd(n int) {
	for i := range n {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		b.connect(lonja.UserName(fmt.Sprintf("user%d", i)), lonja.EndpointFrom(addr, 4000))
	}
}

func (b *book) ProbedCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.leases)
}

func (b *book) Probed(from uint64, most int, tell func(lonja.Peer, uint64)) (next uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.leases {
		switch {
		case e.stamp <= from:
		case most == 0:
			return from
		default:
			tell(e.Peer, e.stamp)
			most--
			from = e.stamp
		}
	}
	return 0
}

func (b *book) RenewLease(user lonja.UserName, stamp uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.leases, func(e entry) bool { return e.User == user && e.stamp == stamp }) {
		b.renewed[user]++
	}
}

func (b *book) EndLease(user lonja.UserName, stamp uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.leases)
	b.leases = slices.DeleteFunc(b.leases, func(e entry) bool { return e.User == user && e.stamp == stamp })
	if len(b.leases) == before {
		return
	}
	b.ended = append(b.ended, user)
	select {
	case b.end <- user:
	default:
	}
}

func (b *book) endings() []lonja.UserName {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ended)
}

// dialError is what the net package makes of an error of connect.
func dialError(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

// accepted is a connection to a peer that reads all and says nothing.
func accepted() net.Conn {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		var request [256]byte
		_, _ = theirs.Read(request[:])
	}()
	return ours
}

// silence is what Dial does when nothing comes back.
func silence(ctx context.Context) (net.Conn, error) {
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
}

// run probes for that long, in the synthetic time of a bubble.
func run(t *testing.T, length time.Duration, opts probe.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	if err := probe.Run(ctx, opts); err != nil {
		t.Errorf("run: %v", err)
	}
}

// TestWhoIsGone: three misses in a row end a lease, and nothing less does.
func TestWhoIsGone(t *testing.T) {
	const yes, no = true, false
	for name, c := range map[string]struct {
		answers []bool // of one user, probe after probe; the last one for ever
		gone    time.Duration
	}{
		"gone":               {[]bool{no}, 3 * time.Minute},
		"gone later":         {[]bool{yes, yes, no}, 5 * time.Minute},
		"there":              {[]bool{yes}, 0},
		"twice away":         {[]bool{no, no, yes}, 0},
		"twice twice away":   {[]bool{no, no, yes, no, no, yes}, 0},
		"back, and gone":     {[]bool{no, no, yes, no}, 6 * time.Minute},
		"there now and then": {[]bool{no, yes, no, no, yes, no, yes}, 0},
	} {
		for how, fail := range map[string]func(context.Context) (net.Conn, error){
			"silent":  silence,
			"refused": func(context.Context) (net.Conn, error) { return nil, dialError(syscall.ECONNREFUSED) },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					book, probes, start := newBook(), 0, time.Now()
					book.connect("ana", lonja.EndpointFrom(netip.MustParseAddr("192.0.2.1"), 4000))
					var gone time.Duration
					go func() {
						select {
						case <-book.end:
							gone = time.Since(start)
						case <-t.Context().Done():
						}
					}()
					run(t, time.Hour, probe.Options{
						Leases: book, Period: time.Minute,
						Dial: func(ctx context.Context, _ lonja.Endpoint) (net.Conn, error) {
							answer := c.answers[min(probes, len(c.answers)-1)]
							probes++
							if answer {
								return accepted(), nil
							}
							return fail(ctx)
						},
					})
					synctest.Wait()
					if slack := 10 * time.Second; gone < c.gone || gone > c.gone+slack || c.gone == 0 && gone != 0 {
						t.Errorf("gone after %v, want %v", gone, c.gone)
					}
				})
			})
		}
	}
}

// TestEvenPace: thousands who connected at once are asked once each in every
// period, a few at a time.
func TestEvenPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users, periods = 1200, 4
		book, start := newBook(), time.Now()
		book.crowd(users)
		var mu sync.Mutex
		seconds := make(map[int]int)
		each := make(map[lonja.Endpoint][]time.Duration)
		run(t, periods*time.Minute, probe.Options{
			Leases: book, Period: time.Minute,
			Dial: func(_ context.Context, at lonja.Endpoint) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				seconds[int(time.Since(start).Seconds())]++
				each[at] = append(each[at], time.Since(start))
				return accepted(), nil
			},
		})
		for s := range periods * 60 {
			if n := seconds[s]; n < 18 || n > 22 {
				t.Errorf("in second %d there were %d probes, want about 20", s, n)
			}
		}
		for at, times := range each {
			if len(times) < periods-1 || len(times) > periods {
				t.Fatalf("%v was probed %d times in %d periods", at, len(times), periods)
			}
			for i := range times[1:] {
				if gap := times[i+1] - times[i]; gap < 58*time.Second || gap > 62*time.Second {
					t.Fatalf("%v was probed %v after the time before", at, gap)
				}
			}
		}
	})
}

// TestDialsAreBounded: users who do not answer take no more than their places,
// and the others still have their turn.
func TestDialsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 8
		book := newBook()
		book.crowd(2000)
		var now, most atomic.Int32
		run(t, 30*time.Minute, probe.Options{
			Leases: book, Period: 10 * time.Second, MaxDials: places,
			Dial: func(ctx context.Context, at lonja.Endpoint) (net.Conn, error) {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				if at.Addr().As4()[3]%2 == 0 {
					return silence(ctx)
				}
				return accepted(), nil
			},
		})
		if got := most.Load(); got != places {
			t.Errorf("%d dials at once, want %d", got, places)
		}
		if len(book.renewed) < 1000 {
			t.Errorf("%d of 1000 who are there were reached", len(book.renewed))
		}
	})
}

// TestOurOwnFault: nobody is thrown out for what is wrong on this side, and
// those who are gone are once it is mended.
func TestOurOwnFault(t *testing.T) {
	fail := func(errno syscall.Errno) func(context.Context) (net.Conn, error) {
		return func(context.Context) (net.Conn, error) { return nil, dialError(errno) }
	}
	for name, c := range map[string]struct {
		users int
		down  func(context.Context) (net.Conn, error)
	}{
		"no route, one user":    {1, fail(syscall.ENETUNREACH)},
		"no route, many users":  {200, fail(syscall.ENETUNREACH)},
		"interface down":        {200, fail(syscall.ENETDOWN)},
		"no handles":            {3, fail(syscall.EMFILE)},
		"no ports":              {200, fail(syscall.EADDRNOTAVAIL)},
		"silence of many users": {200, silence},
		"unreachable by router": {200, fail(syscall.EHOSTUNREACH)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book, start := newBook(), time.Now()
				book.crowd(c.users)
				gone := func(at lonja.Endpoint) bool { return at.Addr().As4()[3]%10 == 0 && at.Addr().As4()[3] > 0 }
				mended := start.Add(10 * time.Minute)
				var thrown atomic.Int32
				time.AfterFunc(10*time.Minute, func() { thrown.Store(int32(len(book.endings()))) })
				run(t, 25*time.Minute, probe.Options{
					Leases: book, Period: time.Minute,
					Dial: func(ctx context.Context, at lonja.Endpoint) (net.Conn, error) {
						switch {
						case time.Now().Before(mended):
							return c.down(ctx)
						case gone(at):
							return silence(ctx)
						}
						return accepted(), nil
					},
				})
				if n := thrown.Load(); n > 0 {
					t.Errorf("%d users were thrown out by our own fault", n)
				}
				for _, e := range book.leases {
					if gone(e.At) {
						t.Fatalf("%v is gone and still connected (of %d)", e.At, len(book.leases))
					}
					if book.renewed[e.User] < 20 {
						t.Fatalf("%v was renewed %d times only: its lease would have run out", e.At, book.renewed[e.User])
					}
				}
				if want := c.users - len(book.ended); len(book.leases) != want || c.users > 100 && len(book.ended) == 0 {
					t.Errorf("%d users are left, %d ended", len(book.leases), len(book.ended))
				}
			})
		})
	}
}

// TestNobodyLeft: when everybody is gone but one who answers, all others end.
func TestNobodyLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := newBook()
		book.crowd(1000)
		run(t, 30*time.Minute, probe.Options{
			Leases: book, Period: time.Minute,
			Dial: func(ctx context.Context, at lonja.Endpoint) (net.Conn, error) {
				if at.Addr() == netip.MustParseAddr("10.0.1.7") {
					return accepted(), nil
				}
				return silence(ctx)
			},
		})
		if got := book.ProbedCount(); got != 1 {
			t.Errorf("%d users are left, want 1", got)
		}
	})
}

// TestLaterLeaseIsSafe: who connects again while the last probe of the earlier
// lease is under way begins anew.
func TestLaterLeaseIsSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book, probes := newBook(), 0
		at := lonja.EndpointFrom(netip.MustParseAddr("192.0.2.1"), 4000)
		book.connect("ana", at)
		run(t, 5*time.Minute+30*time.Second, probe.Options{
			Leases: book, Period: time.Minute,
			Dial: func(ctx context.Context, _ lonja.Endpoint) (net.Conn, error) {
				if probes++; probes == 3 {
					book.connect("ana", at)
				}
				return silence(ctx)
			},
		})
		if got := book.endings(); len(got) > 0 {
			t.Errorf("the later lease ended after %d probes: %v", probes, got)
		}
		if probes != 5 {
			t.Errorf("%d probes, want 5", probes)
		}
	})
}

// TestEnd: Run ends in the middle of probes, and those count for nothing.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book, done := newBook(), 0
		book.crowd(100)
		var ends []time.Duration
		for range 3 {
			start := time.Now()
			run(t, time.Minute+500*time.Millisecond, probe.Options{
				Leases: book, Period: time.Minute, Timeout: time.Minute, Misses: 1,
				Dial: func(ctx context.Context, _ lonja.Endpoint) (net.Conn, error) { return silence(ctx) },
				Done: func(probe.Outcome) { done++ },
			})
			ends = append(ends, time.Since(start))
		}
		for _, end := range ends {
			if end != time.Minute+500*time.Millisecond {
				t.Errorf("run ended after %v", end)
			}
		}
		if got := len(book.endings()); got != done || done > 3 {
			t.Errorf("%d leases ended by %d probes that were done", got, done)
		}
	})
}

func TestOff(t *testing.T) {
	book := newBook()
	book.crowd(1)
	err := probe.Run(t.Context(), probe.Options{
		Leases: book,
		Dial:   func(context.Context, lonja.Endpoint) (net.Conn, error) { return nil, errors.New("probed") },
	})
	if err != nil || t.Context().Err() != nil {
		t.Errorf("run: %v", err)
	}
}

func TestOutcomeNames(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range probe.Outcomes() {
		if seen[o.String()] {
			t.Errorf("outcome %d has the name of another, %q", o, o)
		}
		seen[o.String()] = true
	}
}
