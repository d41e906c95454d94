package download

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/upload"
)

// In these tests slices count as large from smallSides on. A file of large
// bytes has slices that are, and that do not stay in memory, from up to four
// holders.
const (
	smallSides = 1000
	large      = 5 * memoryLimit
)

func fetchMulti(t *testing.T, holders []lonja.Holder, at place) (int64, error) {
	t.Helper()
	return FetchMulti(t.Context(), holders, at.target, Options{testOnlySideLimit: smallSides})
}

// starts starts one peer for each script.
func starts(t testing.TB, peers ...*script) []lonja.Holder {
	t.Helper()
	var holders []lonja.Holder
	for _, p := range peers {
		holders = append(holders, p.start(t))
	}
	return holders
}

// From real peers, also at the real limit, and from one peer many times.
func TestFetchMulti(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 254, 255, 256, 100_000, 3*sideLimit + 12345} {
		for _, n := range []int{1, 2, 3, 4, 255} {
			if n > 4 && size > 1e6 {
				continue
			}
			t.Run(fmt.Sprintf("%d bytes from %d holders", size, n), func(t *testing.T) {
				content := random(size)
				var holders []lonja.Holder
				for range min(n, 4) {
					holders = append(holders, serve(t, content, upload.Options{SendSize: true}))
				}
				for len(holders) < n {
					holders = append(holders, holders[len(holders)-4])
				}
				eachPlace(t, func(t *testing.T, at place) {
					got, err := FetchMulti(t.Context(), holders, at.target, Options{Sync: size < 1000})
					at.wantFile(t, got, err, content)
				})
				at := newPlace(t)
				got, err := fetchMulti(t, holders, at)
				at.wantFile(t, got, err, content)
			})
		}
	}
}

// In the good case a small file takes one connection per holder, and a large
// one two more.
func TestConnectionsInTheGoodCase(t *testing.T) {
	for _, tc := range []struct {
		size int
		want int64
	}{{0, 3}, {2, 3}, {3 * smallSides, 3}, {large, 5}} {
		content := random(tc.size)
		peers := []*script{{content: content}, {content: content}, {content: content}}
		at := newPlace(t)
		got, err := fetchMulti(t, starts(t, peers...), at)
		at.wantFile(t, got, err, content)
		if n := peers[0].served.Load() + peers[1].served.Load() + peers[2].served.Load(); n != tc.want {
			t.Errorf("%d bytes took %d connections, want %d", tc.size, n, tc.want)
		}
	}
}

// Whatever goes wrong at one of three holders, the others make up for it.
func TestOneHolderFails(t *testing.T) {
	for name, slices := range map[string]act{
		"not offered":         sendStatus("\x01"),
		"other error":         sendStatus("\x02"),
		"no answer":           sendNothing,
		"reset at once":       hangUp,
		"reset in the middle": breakOff,
		"ends in the middle":  sendLess,
		"sends too much":      sendMore,
	} {
		for probeName, probes := range map[string]act{
			"probed well": sendAll, "not probed": hangUp, "probed to nonsense": sendNonsense(),
		} {
			for _, size := range []int{100, large} {
				for which := range 3 {
					t.Run(fmt.Sprintf("%s, %s, %d bytes, holder %d", name, probeName, size, which), func(t *testing.T) {
						content := random(size)
						peers := []*script{{content: content}, {content: content}, {content: content}}
						peers[which].slices, peers[which].probes = slices, probes
						at := newPlace(t)
						got, err := fetchMulti(t, starts(t, peers...), at)
						at.wantFile(t, got, err, content)
					})
				}
			}
		}
	}
}

// sendNonsense answers the two questions for the size with lengths that no
// file has.
func sendNonsense() act {
	var n atomic.Int64
	return func(conn *net.TCPConn, _ []byte) {
		put(conn, "\x00", strings.Repeat("x", int(1000*n.Add(1))))
	}
}

func TestAllHoldersFail(t *testing.T) {
	content := random(large)
	that := func(slices act) *script { return &script{content: content, slices: slices} }
	for name, tc := range map[string]struct {
		peers []*script
		kind  lonja.Kind
		text  string
	}{
		"nobody offers it": {
			[]*script{that(sendStatus("\x01")), that(sendStatus("\x01"))}, lonja.NoSuchFile, "does not offer the file",
		},
		"all refuse": {
			[]*script{that(sendStatus("\x02")), that(sendStatus("\x02"))}, lonja.Refused, "status 2",
		},
		"in different ways": {
			[]*script{that(sendStatus("\x01")), that(sendStatus("\x02"))}, lonja.Unavailable, "status 2",
		},
		"all break off": {
			[]*script{that(breakOff), that(breakOff)}, lonja.Unavailable, "connection reset by peer",
		},
		"all cut": {
			[]*script{{content: content, slices: sendLess, probes: sendAll}, {content: content, slices: sendLess, probes: sendAll}},
			lonja.Malformed, "by its own word",
		},
		"a single one": {
			[]*script{that(breakOff)}, lonja.Unavailable, "connection reset by peer",
		},
		"a single one, cut": {
			[]*script{{content: content, slices: sendLess, probes: sendAll}}, lonja.Malformed, "by its own word",
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, at place) {
				holders := starts(t, tc.peers...)
				_, err := fetchMulti(t, holders, at)
				at.wantFailure(t, err, tc.kind)
				if err == nil {
					return
				}
				for _, text := range []string{tc.text, holders[0].At.String(), holders[len(holders)-1].At.String()} {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("error says %q, want %q in it", err, text)
					}
				}
			})
		})
	}
	t.Run("nobody is there", func(t *testing.T) {
		eachPlace(t, func(t *testing.T, at place) {
			_, err := fetchMulti(t, []lonja.Holder{nobody(t), nobody(t)}, at)
			at.wantFailure(t, err, lonja.Unavailable)
		})
	})
}

func TestDisagreement(t *testing.T) {
	for _, sizes := range [][]int{
		{100, 200}, {100, 100, 0}, {3000, 3100, 3000}, {large, 3 * large, large}, {3 * large, large},
	} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			var holders []lonja.Holder
			for _, size := range sizes {
				holders = append(holders, serve(t, random(size), upload.Options{}))
			}
			eachPlace(t, func(t *testing.T, at place) {
				_, err := fetchMulti(t, holders, at)
				at.wantFailure(t, err, lonja.Disagreement)
				if err == nil {
					return
				}
				for i, size := range sizes {
					for _, text := range []string{fmt.Sprintf("%d bytes at ", size), holders[i].At.String()} {
						if !strings.Contains(err.Error(), text) {
							t.Errorf("error says %q, want %q in it", err, text)
						}
					}
				}
			})
		})
	}
}

// Peers that answer one connection after the other are slower, no more: the
// question for the size waits until they have sent their slice.
func TestPeersThatServeInTurn(t *testing.T) {
	content := random(large)
	for n := 1; n <= 3; n++ {
		var peers []*script
		for range n {
			peers = append(peers, &script{content: content, inTurn: true})
		}
		at := newPlace(t)
		got, err := fetchMulti(t, starts(t, peers...), at)
		at.wantFile(t, got, err, content)
	}
}

// A holder that lies about the size is found out by its own slice, and what was
// put in the wrong place by its word comes to the right one.
func TestLieAboutTheSize(t *testing.T) {
	content := random(255 * 2000)
	lied := make(chan struct{})
	var lies atomic.Int64
	lie := func(conn *net.TCPConn, part []byte) {
		put(conn, "\x00", string(part), string(part))
		if lies.Add(1) == 2 {
			close(lied)
		}
	}
	later := func(conn *net.TCPConn, part []byte) {
		put(conn, "\x00", string(part[:2*smallSides]))
		<-lied
		put(conn, string(part[2*smallSides:]))
	}
	at := newPlace(t)
	got, err := fetchMulti(t, starts(t,
		&script{content: content, slices: later, probes: lie},
		&script{content: content, slices: later, probes: sendAll},
		&script{content: content, slices: later, probes: sendAll}), at)
	at.wantFile(t, got, err, content)
}

// A slice that is already too long when the size becomes known is not used.
func TestTooLongBeforeTheSizeIsKnown(t *testing.T) {
	content := random(large)
	tooLong := make(chan struct{})
	release := sync.OnceFunc(func() { close(tooLong) })
	opts := Options{testOnlySideLimit: smallSides, Progress: func(n int64) {
		if n == 2*large+large/2 { // all that there is
			release()
		}
	}}
	peers := []*script{{content: content}, {content: content}}
	peers[0].slices = func(conn *net.TCPConn, _ []byte) {
		put(conn, "\x00", strings.Repeat("wrong and too long", 2*large)[:2*large])
		<-tooLong
	}
	peers[0].probes = func(conn *net.TCPConn, part []byte) {
		<-tooLong
		sendAll(conn, part)
	}
	at := newPlace(t)
	got, err := FetchMulti(t.Context(), starts(t, peers...), at.target, opts)
	at.wantFile(t, got, err, content)
}

// When nobody tells the size, slices are put together when they are all there.
func TestNobodyTellsTheSize(t *testing.T) {
	content := random(large)
	var peers []*script
	for range 3 {
		peers = append(peers, &script{content: content, probes: sendStatus("\x02"), slices: sendAll})
	}
	at := newPlace(t)
	got, err := fetchMulti(t, starts(t, peers...), at)
	at.wantFile(t, got, err, content)
}

func TestNumberOfHolders(t *testing.T) {
	for _, n := range []int{0, 256} {
		at := newPlace(t)
		_, err := fetchMulti(t, make([]lonja.Holder, n), at)
		at.wantFailure(t, err, lonja.Invalid)
	}
}

// One peer may stand for several holders, by files of different names.
func TestOnePeerManyNames(t *testing.T) {
	content := random(large)
	holder := serve(t, content, upload.Options{})
	elsewhere := holder
	elsewhere.Name = "/not/offered"
	at := newPlace(t)
	got, err := fetchMulti(t, []lonja.Holder{elsewhere, holder, elsewhere, holder}, at)
	at.wantFile(t, got, err, content)
}

// MaxConns bounds how many slices are fetched at once.
func TestMaxConns(t *testing.T) {
	const most = 3
	content := random(200)
	var now, peak atomic.Int64
	peer := script{content: content, slices: func(conn *net.TCPConn, part []byte) {
		for n, p := now.Add(1), peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		sendAll(conn, part)
		now.Add(-1) // before the connection ends, so before the next begins
	}}
	holder := peer.start(t)
	holders := make([]lonja.Holder, 100)
	for i := range holders {
		holders[i] = holder
	}
	at := newPlace(t)
	got, err := FetchMulti(t.Context(), holders, at.target, Options{MaxConns: most})
	at.wantFile(t, got, err, content)
	if p := peak.Load(); p > most {
		t.Errorf("%d slices were fetched at once, want %d at most", p, most)
	}
}

func TestMultiProgressCounts(t *testing.T) {
	content := random(large)
	var last atomic.Int64
	opts := Options{testOnlySideLimit: smallSides, Progress: func(n int64) {
		if n > last.Load() {
			last.Store(n)
		}
	}}
	holders := starts(t, &script{content: content}, &script{content: content, slices: breakOff}, &script{content: content})
	if _, err := FetchMulti(t.Context(), holders, newPlace(t).target, opts); err != nil {
		t.Fatal(err)
	}
	if n := last.Load(); n != int64(len(content)) {
		t.Errorf("progress went up to %d, want %d", n, len(content))
	}
}

// A holder that stalls is replaced as soon as it is far slower than others.
func TestStalledHolderIsReplaced(t *testing.T) {
	at := newPlace(t)
	content := random(900)
	synctest.Test(t, func(t *testing.T) {
		var dialed atomic.Int64
		opts := Options{StallTimeout: 30 * time.Second}
		opts.Dial = pipeDialer(func(conn net.Conn, request string) {
			put(conn, "\x00")
			if dialed.Add(1) == 1 {
				put(conn, "some")
				_, _ = conn.Read(make([]byte, 1)) // until the downloader gives up
				return
			}
			for i := range 3 {
				if strings.HasSuffix(request, fmt.Sprintf("\x00%d\x003\x00", i)) {
					put(conn, string(content[300*i:300*(i+1)]))
				}
			}
		})
		begun := time.Now()
		size, err := FetchMulti(t.Context(), make([]lonja.Holder, 3), at.target, opts)
		at.wantFile(t, size, err, content)
		if took := time.Since(begun); took < slowAfter || took > slowAfter+lookEvery {
			t.Errorf("it took %v, want %v", took, slowAfter)
		}
	})
}

// A peer that never answers the question for the size does not hold up a file
// that is there for longer than the stall time.
func TestStalledProbe(t *testing.T) {
	at := newPlace(t)
	content := random(large)
	synctest.Test(t, func(t *testing.T) {
		opts := Options{StallTimeout: 30 * time.Second, testOnlySideLimit: smallSides}
		opts.Dial = pipeDialer(func(conn net.Conn, request string) {
			if strings.HasSuffix(request, "\x00255\x00") {
				_, _ = conn.Read(make([]byte, 1))
				return
			}
			half := len(content) / 2
			put(conn, "\x00")
			if strings.HasSuffix(request, "\x000\x002\x00") {
				put(conn, string(content[:half]))
			} else {
				put(conn, string(content[half:]))
			}
		})
		begun := time.Now()
		size, err := FetchMulti(t.Context(), make([]lonja.Holder, 2), at.target, opts)
		at.wantFile(t, size, err, content)
		if took := time.Since(begun); took > 31*time.Second {
			t.Errorf("it took %v, want the stall time at most", took)
		}
	})
}
