package download

import (
	"bufio"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// A behaviour is how a holder in memory answers; conn closes behind it. part is
// what it was asked for of the file.
type behaviour func(conn net.Conn, req classic.PeerRequest, part []byte)

func honestly(conn net.Conn, _ classic.PeerRequest, part []byte) { put(conn, "\x00", string(part)) }

// trickle sends the part a byte a second, and goes on behind its end.
func trickle(conn net.Conn, _ classic.PeerRequest, part []byte) {
	put(conn, "\x00")
	for i := 0; ; i++ {
		next := []byte{0}
		if i < len(part) {
			next[0] = part[i]
		}
		if _, err := conn.Write(next); err != nil {
			return
		}
		<-time.After(time.Second) // simulated
	}
}

// after answers well, but only so much later.
func after(pause time.Duration) behaviour {
	return func(conn net.Conn, req classic.PeerRequest, part []byte) {
		put(conn, "\x00")
		<-time.After(pause) // simulated
		put(conn, string(part))
	}
}

// forProbes does one thing when it is asked for the size, another else.
func forProbes(probes, slices behaviour) behaviour {
	return func(conn net.Conn, req classic.PeerRequest, part []byte) {
		if req.Slice.Total == classic.MaxSlices {
			probes(conn, req, part)
		} else {
			slices(conn, req, part)
		}
	}
}

// fetchSimulated fetches content from holders that behave like that, in
// simulated time, and returns how long it took.
func fetchSimulated(t *testing.T, content []byte, opts Options, holders ...behaviour) time.Duration {
	t.Helper()
	return fetchSimulatedFrom(t, content, opts, func() []behaviour { return holders })
}

// fetchSimulatedFrom is fetchSimulated for holders that share what belongs to
// the simulation.
func fetchSimulatedFrom(t *testing.T, content []byte, opts Options, begin func() []behaviour) (took time.Duration) {
	t.Helper()
	at := newPlace(t)
	synctest.Test(t, func(t *testing.T) {
		holders := begin()
		list := make([]lonja.Holder, len(holders))
		for i := range list {
			list[i].Name = lonja.FileName('a' + rune(i))
		}
		opts.Dial = pipeDialer(func(conn net.Conn, request string) {
			req, err := classic.ReadPeerRequest(bufio.NewReader(strings.NewReader(request)))
			if err != nil {
				t.Error(err)
				return
			}
			offset, length := req.Slice.Range(int64(len(content)))
			holders[req.Name[0]-'a'](conn, req, content[offset:offset+length])
		})
		begun := time.Now()
		size, err := FetchMulti(t.Context(), list, at.target, opts)
		took = time.Since(begun)
		at.wantFile(t, size, err, content)
		<-time.After(time.Hour) // simulated: until every holder has noticed
	})
	return took
}

// A holder that sends hardly anything does not hold up a file that others
// have.
func TestTrickle(t *testing.T) {
	for name, tc := range map[string]struct {
		holders []behaviour
		most    time.Duration
	}{
		"one":                {[]behaviour{trickle, honestly, honestly}, slowAfter + lookEvery},
		"the last":           {[]behaviour{honestly, honestly, trickle}, slowAfter + lookEvery},
		"of two":             {[]behaviour{trickle, honestly}, slowAfter + lookEvery},
		"most":               {[]behaviour{trickle, trickle, honestly, trickle}, slowAfter + lookEvery},
		"the rival too":      {[]behaviour{after(5 * time.Second), forRival(trickle)}, 5*time.Second + lookEvery},
		"the rival lies":     {[]behaviour{after(5 * time.Second), forRival(cut)}, 2*5*time.Second + lookEvery},
		"slow, not far":      {[]behaviour{after(8 * time.Second), after(5 * time.Second)}, 8*time.Second + slowAfter + lookEvery},
		"when asked to help": {[]behaviour{trickle, forRival(cut), honestly}, slowAfter + 2*lookEvery},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{100_000, 255 * 4 * smallSides} {
				opts := Options{testOnlySideLimit: smallSides}
				if size == 100_000 {
					opts = Options{}
				}
				if took := fetchSimulated(t, random(size), opts, tc.holders...); took > tc.most {
					t.Errorf("%d bytes took %v, want %v at most", size, took, tc.most)
				}
			}
		})
	}
}

// forRival delivers the holder's own slice, and else behaves as told.
func forRival(other behaviour) behaviour {
	return func(conn net.Conn, req classic.PeerRequest, part []byte) {
		if req.Slice.Total == classic.MaxSlices || req.Slice.Index == int(req.Name[0]-'a') {
			honestly(conn, req, part)
		} else {
			other(conn, req, part)
		}
	}
}

// cut ends in the middle as if that were the end.
func cut(conn net.Conn, _ classic.PeerRequest, part []byte) {
	put(conn, "\x00", string(part[:len(part)/2]))
}

// A slice that is only slow because all are is not asked for twice.
func TestSlowForEverybody(t *testing.T) {
	var asked atomic.Int64
	slow := func(conn net.Conn, req classic.PeerRequest, part []byte) {
		asked.Add(1)
		after(time.Minute-time.Duration(req.Slice.Index)*30*time.Second)(conn, req, part)
	}
	fetchSimulated(t, random(1000), Options{StallTimeout: time.Hour}, slow, slow)
	if n := asked.Load(); n != 2 {
		t.Errorf("%d slices were asked for, want 2", n)
	}
}

// A holder that trickles when it is asked for the size neither keeps others
// from being asked nor a file that is there from being done.
func TestTrickleOfTheSize(t *testing.T) {
	content := random(255 * 4 * smallSides)
	opts := Options{testOnlySideLimit: smallSides}
	took := fetchSimulatedFrom(t, content, opts, func() []behaviour {
		known := make(chan struct{})
		untilKnown := func(conn net.Conn, _ classic.PeerRequest, part []byte) {
			put(conn, "\x00", string(part[:2*smallSides]))
			<-known
			put(conn, string(part[2*smallSides:]))
		}
		var told atomic.Int64
		tell := func(conn net.Conn, req classic.PeerRequest, part []byte) {
			honestly(conn, req, part)
			if told.Add(1) == 2 { // the first and the last of the slices that are counted
				close(known)
			}
		}
		return []behaviour{forProbes(trickle, untilKnown), forProbes(tell, untilKnown)}
	})
	if took > slowAfter+2*lookEvery {
		t.Errorf("it took %v", took)
	}
	took = fetchSimulated(t, content, opts, forProbes(trickle, honestly), forProbes(trickle, honestly))
	if took > slowAfter+2*lookEvery {
		t.Errorf("a file that was there took %v", took)
	}
}

// What is counted for the size is bounded in time.
func TestProbeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := Options{Dial: pipeDialer(func(conn net.Conn, _ string) { trickle(conn, classic.PeerRequest{}, nil) })}.withDefaults()
		begun := time.Now()
		_, err := probe(t.Context(), lonja.Holder{Name: "/file"}, opts)
		if took := time.Since(begun); lonja.KindOf(err) != lonja.Unavailable || took != measureStalls*opts.StallTimeout {
			t.Errorf("%v after %v, want an error of kind Unavailable after %v", err, took, measureStalls*opts.StallTimeout)
		}
		<-time.After(time.Hour) // simulated
	})
}

// A holder that never stops sending does not fill the disk, also when nobody
// tells the size.
func TestFlood(t *testing.T) {
	const most = 1 << 20
	refuse := func(conn net.Conn, _ classic.PeerRequest, _ []byte) { put(conn, "\x02") }
	var sent atomic.Int64
	flood := func(conn net.Conn, _ classic.PeerRequest, _ []byte) {
		put(conn, "\x00")
		for junk := make([]byte, 32<<10); ; {
			n, err := conn.Write(junk)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}
	content := random(large)
	opts := Options{testOnlySideLimit: smallSides, testOnlySideMost: most}
	fetchSimulated(t, content, opts, forProbes(refuse, flood), forProbes(refuse, honestly), forProbes(refuse, honestly))
	if n := sent.Load(); n < most || n > 2*most+stepSize {
		t.Errorf("the flood was of %d bytes, want about %d", n, most)
	}
}
