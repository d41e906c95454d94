package swarm

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/fileapi"
	"lonja/internal/fileclient"
	"lonja/internal/fileserver"
)

// occupy takes the one slot of a peer, for another user, until the test ends or leave
// is called.
func (w *town) occupy(p *peer) (leave func()) {
	w.Helper()
	conn, err := tls.Dial("tcp", p.at, w.authority.Config(w, "other"))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET "+fileapi.Path(p.ID)+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		w.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil { // it has begun, and does not end
		w.Fatal(err)
	}
	return func() { _ = conn.Close() }
}

func oneSlot(p *peer) {
	p.uploads = fairshare.Options{Slots: 1, TurnBytes: 1 << 40, TurnTime: time.Hour, Linger: time.Millisecond}
}

// placeOf returns how it goes with a holder, once it waits in its queue.
func (w *town) placeOf(s *Swarm, p *peer) HolderState {
	w.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		for _, h := range s.Holders() {
			if h.User == p.User && h.Place > 0 {
				return h
			}
		}
	}
	w.Fatalf("%s never has us wait", p.User)
	return HolderState{}
}

// Who has others to serve first is waited for, which is no failure, and the others
// bring everything meanwhile.
func TestOthersBringWhatIsWaitedFor(t *testing.T) {
	w := newTown(t)
	c := newCorpus(t, 40*mib)
	busy, free := w.peer(c, "busy", oneSlot), w.peer(c, "free", nil)
	w.occupy(busy)
	opts := impatient
	opts.StallTimeout, opts.Tries = 20*time.Second, 1
	s, finish := w.swarm(c, opts, busy)
	done := make(chan error, 1)
	go func() { done <- finish() }()
	if h := w.placeOf(s, busy); h.Place != 1 || h.Err != nil || h.Bytes > 0 {
		t.Errorf("the busy one: %+v", h)
	}
	s.Join(free.Holder)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, h := range s.Holders() {
		if h.User == "free" && h.Bytes != c.Size || h.User == "busy" && (h.Err != nil || h.Bytes != 0) {
			t.Errorf("got %+v", h)
		}
	}
}

// A queue that does not move while nothing comes is left, with a sentence that says so;
// in time also by who waits for nothing else.
func TestStuckQueue(t *testing.T) {
	w := newTown(t)
	c := newCorpus(t, 40*mib)
	busy := w.peer(c, "busy", oneSlot)
	w.occupy(busy)
	opts := impatient
	opts.StallTimeout, opts.QueuePatience = 20*time.Second, 500*time.Millisecond
	_, finish := w.swarm(c, opts, busy)
	began := time.Now()
	err := finish()
	if want := "fetch from: busy: " + string(c.Name) + ": place 1 in its queue has not changed for 500ms, and nothing comes"; err == nil || lonja.KindOf(err) != lonja.Limited || err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
	if took := time.Since(began); took < opts.QueuePatience {
		t.Errorf("it was left after %v", took)
	}
}

// A queue that moves is waited for, however long that takes; so is one that stands as long
// as something comes now and then.
func TestQueueThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = 10 * time.Minute
		s := &Swarm{began: time.Now(), opts: Options{QueuePatience: patience}, changed: make(chan struct{}), holders: make(map[lonja.Member]*holder)}
		h := newHolder(s, Holder{}, 1)
		s.holders[h.id()] = h
		c := &conn{Swarm: s, holder: h}
		is := func(want bool) {
			t.Helper()
			if got := h.stuck(); got != want {
				t.Errorf("after %v at place %d: stuck is %v", time.Since(s.began), h.state.Place, got)
			}
		}
		is(false)
		for place := 200; place > 1; place-- {
			c.waitsAt(place)
			time.Sleep(patience - 1)
			is(false)
		}
		c.waitsAt(2) // back, and it is our turn for nothing
		is(false)
		c.waitsAt(0)
		is(false)
		c.waitsAt(2)
		after := s.stuckAfter()
		before := time.Now()
		if <-after; time.Since(before) != 1 {
			t.Errorf("it is looked at after %v", time.Since(before))
		}
		is(true)
		if s.stuckAfter() != nil {
			t.Error("it is looked at again")
		}
		h.queue = fileclient.Waiting{} // something comes
		c.waitsAt(7)
		time.Sleep(patience - 1)
		is(false)
		time.Sleep(time.Nanosecond)
		is(true)
	})
}

// When it is our turn, whoever we waited for sends: whether it answers then, or is
// asked again and again by somebody with little patience.
func TestOurTurnComes(t *testing.T) {
	for _, stall := range []time.Duration{time.Second, 20 * time.Second} {
		t.Run(fmt.Sprint(stall), func(t *testing.T) {
			w := newTown(t)
			c := newCorpus(t, 40*mib)
			busy := w.peer(c, "busy", oneSlot)
			leave := w.occupy(busy)
			opts := impatient
			opts.StallTimeout, opts.Tries = stall, 1
			s, finish := w.swarm(c, opts, busy)
			done := make(chan error, 1)
			go func() { done <- finish() }()
			w.placeOf(s, busy)
			leave()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if h := s.Holders()[0]; h.Bytes != c.Size || h.Place != 0 {
				t.Errorf("got %+v", h)
			}
		})
	}
}

// What arrives keeps to the limits, of each holder and of all, but for holders that
// are near.
func TestLimits(t *testing.T) {
	const size, rate = 4 * mib, 8 << 20
	for name, tc := range map[string]struct {
		opts  Options
		least time.Duration
	}{
		"of all": {Options{Limit: NewLimit(rate)}, 350 * time.Millisecond},
		"each":   {Options{LimitEach: rate / 2}, 350 * time.Millisecond},
		"near":   {Options{Limit: NewLimit(rate / 100), Near: netip.Addr.IsLoopback}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			c := newCorpus(t, size)
			_, finish := w.swarm(c, tc.opts, w.peer(c, "a", nil), w.peer(c, "b", nil))
			began := time.Now()
			if err := finish(); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			if took < tc.least { // half a second, less a tenth of a second's worth
				t.Errorf("it took %v, want at least %v", took, tc.least)
			}
			if tc.least == 0 && took > 20*time.Second { // 50 s, if the rate counted
				t.Errorf("it took %v, as if the rate counted", took)
			}
		})
	}
}

// A growing peer has some pieces for "me", and all for others.
type growing struct {
	*peer
	has atomic.Pointer[roaring.Bitmap]
}

func (g *growing) OpenContent(_ context.Context, _ lonja.FileID, m lonja.Member) (fileserver.Content, error) {
	if m.User != "me" {
		return g.peer, nil
	}
	return g, nil
}

func (g *growing) Have() *roaring.Bitmap { return g.has.Load() }

// TestWhoWaitsLearns: what a busy holder has got meanwhile is known before it is one's
// turn, though all connections to it wait for that.
func TestWhoWaitsLearns(t *testing.T) {
	w := newTown(t)
	c := newCorpus(t, 40*mib)
	part := &growing{peer: w.peer(c, "unused", oneSlot)}
	part.has.Store(roaring.BitmapOf(1))
	running := w.serve("busy", part, part.uploads, nil)
	part.Holder, part.at = running.holder, running.at
	w.occupy(part.peer)
	opts := impatient
	opts.StallTimeout, opts.ConnsEach = 2*time.Second, 1
	s, finish := w.swarm(c, opts)
	s.Join(running.holder)
	done := make(chan error, 1)
	go func() { done <- finish() }()
	t.Cleanup(func() { <-done }) // the test's context ends it
	w.placeOf(s, part.peer)
	part.has.Store(roaring.BitmapOf(1, 2, 3))
	knows := func() uint64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.holders[running.holder.id()].look.had
	}
	for deadline := time.Now().Add(20 * time.Second); knows() != 3; {
		if time.Now().After(deadline) {
			t.Fatalf("it is known to have %d pieces still", knows())
		}
		runtime.Gosched()
	}
}

// endless runs a holder that has everything, keeps no queue, and tells a place in it
// all the same: that one for pieces, and the other one to who waits for the turn. It
// tells when it was asked.
func (w *town) endless(c *corpus, place, turn int) (p *peer, asked chan time.Time) {
	w.Helper()
	asked = make(chan time.Time, 1000)
	p = w.strange(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/have"):
			if r.Header.Get(fileapi.WaitHeader) != "" && turn > 0 {
				asked <- time.Now()
				rw.Header().Set(fileapi.PlaceHeader, strconv.Itoa(turn))
			}
			_, _ = rw.Write(fileapi.AppendHave(nil, nil))
		case strings.HasSuffix(r.URL.Path, "/tree"):
			http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(c.outboard))
		default:
			if turn == 0 {
				asked <- time.Now()
			}
			rw.Header().Set("Retry-After", "1")
			rw.Header().Set(fileapi.PlaceHeader, strconv.Itoa(place))
			http.Error(rw, "", http.StatusServiceUnavailable)
		}
	})
	return p, asked
}

// TestTurnsInVain: a holder that says that it is our turn, and sends nothing then, is
// asked a few times with pauses, and counts as tried in vain.
func TestTurnsInVain(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 3*mib)
	p, asked := w.endless(c, 1, 0)
	opts := impatient
	opts.StallTimeout, opts.ConnsEach, opts.MostPause = 20*time.Second, 1, 50*time.Millisecond
	_, finish := w.swarm(c, opts, p)
	if err := finish(); lonja.KindOf(err) != lonja.Limited || !strings.Contains(err.Error(), errNoTurn.Error()) {
		t.Errorf("got %v, want Limited because of turns in vain", err)
	}
	if n := len(asked); n != 3*(mostTurns+1) {
		t.Errorf("it was asked %d times, want %d in each of 3 tries", n, mostTurns+1)
	}
}

// TestPlaceAtOnce: a holder that tells a place without having one wait there is asked no
// more often than others.
func TestPlaceAtOnce(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 3*mib)
	p, asked := w.endless(c, 5, 5)
	opts := impatient
	opts.StallTimeout, opts.ConnsEach, opts.MostPause = 20*time.Second, 1, 50*time.Millisecond
	s, _ := w.swarm(c, opts, p)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	const times = 5
	first, last := <-asked, time.Time{}
	for range times {
		last = <-asked
	}
	cancel()
	<-done
	if took := last.Sub(first); took < (times-1)*opts.MostPause { // the first answer may be late
		t.Errorf("it was asked %d times more within %v, with pauses of %v", times, took, opts.MostPause)
	}
}
