package fairshare

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"lonja"
)

// A town is requests that always want more, of which each quantum takes some time.
type town struct {
	*Share
	now   time.Duration
	took  time.Duration // a quantum, of each
	lands map[*Request]time.Duration
	bytes map[lonja.UserName]int64
	of    map[*Request]int64
}

func newTown(o Options, took time.Duration) *town {
	return &town{Share: New(o), took: took, lands: make(map[*Request]time.Duration), bytes: make(map[lonja.UserName]int64), of: make(map[*Request]int64)}
}

// begins has a user begin so many requests.
func (w *town) begins(t *testing.T, user lonja.UserName, requests int) (all []*Request) {
	t.Helper()
	for range requests {
		r, place := w.Begin(user, Terms{}, w.now)
		if place != Served {
			t.Fatalf("%s has place %d", user, place)
		}
		w.Want(r, 1<<30, w.now)
		all = append(all, r)
	}
	return all
}

// run sends for so long.
func (w *town) run(length time.Duration) {
	for end := w.now + length; w.now < end; {
		r, n, at := w.Next(w.now)
		if r != nil {
			w.bytes[r.user.name] += int64(n)
			w.of[r] += int64(n)
			w.lands[r] = w.now + w.took
			continue
		}
		for _, lands := range w.lands {
			at = min(at, lands)
		}
		w.now = min(at, end)
		for r, lands := range w.lands {
			if lands <= w.now {
				delete(w.lands, r)
				w.Sent(r, w.now)
				w.Want(r, 1<<30, w.now)
			}
		}
	}
}

// Users are equal, whatever the number of their requests, and so are the requests
// of one.
func TestUsersAreEqual(t *testing.T) {
	for name, o := range map[string]Options{
		"by rate": {Total: 10e6}, "by turns": {}, "each": {Each: 1e6},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(o, 5*time.Millisecond)
			many := w.begins(t, "ana", 64)
			w.begins(t, "luis", 1)
			w.begins(t, "eva", 3)
			w.run(20 * time.Second)
			low, high := w.bytes["ana"], w.bytes["ana"]
			for _, n := range w.bytes {
				low, high = min(low, n), max(high, n)
			}
			if len(w.bytes) != 3 || high-low > 2*MostQuantum || low < 5e6 {
				t.Errorf("not equal: %v", w.bytes)
			}
			low, high = w.of[many[0]], 0
			for _, r := range many {
				low, high = min(low, w.of[r]), max(high, w.of[r])
			}
			if high-low > MostQuantum {
				t.Errorf("between %d and %d bytes of requests of one user", low, high)
			}
		})
	}
}

// Rates hold to the byte, but for a tenth of a second and a quantum, and are made
// use of.
func TestRates(t *testing.T) {
	for _, rate := range []Rate{LeastRate, 123_457, 1e6, 50e6} {
		w := newTown(Options{Total: rate}, time.Millisecond)
		w.begins(t, "ana", 2)
		w.begins(t, "luis", 2)
		w.run(100 * time.Second)
		want := int64(rate) * 100
		if got := w.bytes["ana"] + w.bytes["luis"]; got < want-MostQuantum || got > want+int64(rate)/10+MostQuantum {
			t.Errorf("%v for 100 s: %d bytes", rate, got)
		}
	}
	w := newTown(Options{Total: 3e6, Each: 1e6}, time.Millisecond)
	r, _ := w.Begin("eva", Terms{Unlimited: true}, 0)
	w.Want(r, 1<<30, 0)
	for _, user := range []lonja.UserName{"ana", "luis", "pau"} {
		w.begins(t, user, 5)
	}
	w.run(10 * time.Second)
	for user, n := range w.bytes {
		if user == "eva" && n < 100e6 || user != "eva" && (n < 9_500_000 || n > 10_500_000) {
			t.Errorf("%s gets %d bytes", user, n)
		}
	}
}

// What a receiver does not take holds up nobody, and its user's other requests not
// for long; who is alone may have all at once.
func TestSlowReceiver(t *testing.T) {
	w := newTown(Options{Patience: time.Second}, time.Millisecond)
	w.begins(t, "ana", 2)
	w.begins(t, "luis", 1)
	stuck, _, _ := w.Next(0)
	w.lands[stuck] = time.Hour
	w.run(10 * time.Second)
	if w.bytes["luis"] < 9000*MostQuantum || w.bytes["ana"] < 8000*MostQuantum || w.of[stuck] > 0 {
		t.Errorf("got %v", w.bytes)
	}
	alone := newTown(Options{}, 0)
	alone.begins(t, "ana", 3)
	for range 3 {
		if r, _, _ := alone.Next(0); r == nil {
			t.Error("who is alone has to wait")
		}
	}
}

// A turn ends when others wait, as its requests end, or without them; then it is the
// next one's, and in the end the first one's again.
func TestTurns(t *testing.T) {
	s := New(Options{Slots: 1, Queue: 2, TurnBytes: 1 << 20, Overrun: 1 << 20})
	now := time.Duration(0)
	send := func(r *Request, n int) (sent int) {
		for ; n > 0; n -= MostQuantum {
			s.Want(r, MostQuantum, now)
			got, _, _ := s.Next(now)
			if got != r {
				return sent
			}
			sent += MostQuantum
			s.Sent(r, now)
		}
		return sent
	}
	first, _ := s.Begin("ana", Terms{}, now)
	if sent := send(first, 10<<20); sent != 10<<20 {
		t.Fatalf("%d bytes while nobody waits", sent)
	}
	for i, user := range []lonja.UserName{"luis", "eva"} {
		for range 2 {
			if got := s.Ask(user, now); got != Place(i+1) {
				t.Errorf("%s has place %d, want %d", user, got, i+1)
			}
		}
	}
	if got := s.Ask("pau", now); got != NoPlace {
		t.Errorf("a full queue: %d", got)
	}
	if r, place := s.Begin("ana", Terms{}, now); r != nil || place != NoPlace {
		t.Errorf("the turn is over, and the queue is full: place %d", place)
	}
	if sent := send(first, 10<<20); sent != 1<<20 {
		t.Errorf("%d bytes after the turn", sent)
	}
	if got := s.Ask("luis", now); got != Served {
		t.Errorf("luis has place %d", got)
	}
	second, _ := s.Begin("luis", Terms{}, now)
	if sent := send(second, 2<<20); sent < 1<<20 {
		t.Errorf("luis: %d bytes", sent)
	}
	s.End(second, now)
	if got := s.Ask("luis", now); got != 2 {
		t.Errorf("luis asks again and has place %d", got)
	}
	if sent := send(first, 1<<20); sent != 0 {
		t.Errorf("it is eva's turn, and ana sends %d bytes", sent)
	}
	s.Stop(first)
	now += 11 * time.Second // eva does not come, and ana is next
	if sent := send(first, 1<<20); sent != 1<<20 {
		t.Errorf("%d bytes in the next turn", sent)
	}
}

// Who does not ask again loses its place, and who asks keeps it.
func TestPlaces(t *testing.T) {
	s := New(Options{Slots: 1, Keep: 10 * time.Second, Claim: time.Second, TurnTime: time.Minute})
	r, _ := s.Begin("ana", Terms{}, 0)
	for i := range 4 {
		s.Ask(lonja.UserName(fmt.Sprint("user", i)), 0)
	}
	if got := s.Ask("user3", 9*time.Second); got != 4 {
		t.Errorf("place %d", got)
	}
	if got := s.Ask("user1", 9*time.Second); got != 2 {
		t.Errorf("place %d", got)
	}
	s.End(r, 15*time.Second)
	if got := s.Ask("user1", 18*time.Second); got != Served {
		t.Errorf("place %d after those before are gone", got)
	}
	if got := s.Ask("user3", 18*time.Second); got != 1 {
		t.Errorf("place %d", got)
	}
	if got := s.Ask("user0", 18*time.Second); got != 2 {
		t.Errorf("who was away has place %d", got)
	}
	if _, _, at := s.Next(18 * time.Second); at > 20*time.Second {
		t.Errorf("it is looked again at %v only", at)
	}
	s.Next(21 * time.Second) // user1 asked for its turn but began nothing
	if got := s.Ask("user3", 21*time.Second); got != Served {
		t.Errorf("place %d", got)
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"10MB/s": 10e6, "500k": 500e3, "500K": 500e3, " 1.5 MiB/s ": 1.5 * (1 << 20), "8Mbit/s": 1e6, "20000": 20000, "20000B/s": 20000,
		"1g": 1e9, "64KiB": 64 << 10, "off": 0, "OFF": 0, "0": 0, "0/s": 0, "10kB/s": LeastRate,
	} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "fast", "10 apples", "-5M", "1e9", "5", "9999B/s", "1..5M", "M", "/s", "99999999999G", "NaN", "inf", "10MB/m"} {
		if got, err := ParseRate(bad); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%q: %d, %v", bad, got, err)
		}
	}
	texts := []string{}
	for _, r := range []Rate{0, 123_457, 500e3, 10e6, 2e9} {
		texts = append(texts, r.String())
	}
	if want := []string{"off", "123457B/s", "500kB/s", "10MB/s", "2GB/s"}; !slices.Equal(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"10MB/s", "500k", "1.5 MiB/s", "8Mbit/s", "off", "0", "-1", "1e9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseRate(text)
		if err != nil {
			return
		}
		if got != 0 && (got < LeastRate || got > maxRate) {
			t.Errorf("%q is %d", text, got)
		}
		if again, err := ParseRate(got.String()); err != nil || again != got {
			t.Errorf("%q is %d, %s, which is %d, %v", text, got, got, again, err)
		}
	})
}

// TestEndOfWhatNeedsNoSlot: ana's slot was taken while something of her files was
// wanted, which may not go on then. Her request for hashes is the second of its
// sort, so it waits for her first quantum to be taken; when it ends, nothing of
// hers is next.
func TestEndOfWhatNeedsNoSlot(t *testing.T) {
	s := New(Options{Slots: 1})
	now := time.Duration(0)
	begin := func(name lonja.UserName, how Terms) *Request {
		r, place := s.Begin(name, how, now)
		if r == nil {
			t.Fatalf("%s has place %d", name, place)
		}
		return r
	}
	taken, kept := begin("ana", Terms{}), begin("ana", Terms{})
	s.Want(taken, 1<<20, now)
	if r, _, _ := s.Next(now); r != taken {
		t.Fatal("what is wanted is not next")
	}
	for s.Ask("luis", now); s.users["ana"].slot; s.Ask("luis", now) {
		if now += time.Second; now > time.Minute {
			t.Fatal("her turn does not end")
		}
	}
	s.Want(kept, 1<<20, now)
	s.Want(begin("luis", Terms{}), 1<<20, now)
	s.Next(now)
	for range 2 {
		hashes := begin("ana", Terms{NoSlot: true})
		s.Want(hashes, 1000, now)
		if r, _, _ := s.Next(now); r != hashes {
			s.End(hashes, now)
		}
	}
	if r, _, _ := s.Next(now); r != nil {
		t.Errorf("%+v is next", r)
	}
}

// TestPiecesComeWhole: of twenty users who want one piece after the other, some have
// whole ones early, and all get the same in the long run.
func TestPiecesComeWhole(t *testing.T) {
	const rate, users = 4 << 20, 20 // four pieces a second
	s := New(Options{Total: rate})
	left, whole := make(map[*Request]int), make(map[lonja.UserName]int)
	now, early := time.Duration(0), 0
	begin := func(user lonja.UserName) {
		if r, _ := s.Begin(user, Terms{}, now); r != nil {
			left[r] = piece
			s.Want(r, piece, now)
		}
	}
	for now < time.Minute {
		r, n, at := s.Next(now)
		if r == nil {
			now = min(at, now+100*time.Millisecond)
			for i := range users {
				if user := lonja.UserName(fmt.Sprint("user", i)); s.users[user] == nil || s.users[user].requests == 0 {
					begin(user)
				}
			}
			continue
		}
		s.Sent(r, now)
		if left[r] -= n; left[r] > 0 {
			s.Want(r, left[r], now)
			continue
		}
		delete(left, r)
		whole[r.user.name]++
		s.End(r, now)
		if now <= 5*time.Second {
			early++
		}
	}
	if early < 15 {
		t.Errorf("%d pieces are whole after 5 s, in which 20 can be sent", early)
	}
	least, sum := rate, 0
	for _, n := range whole {
		least, sum = min(least, n), sum+n
	}
	if len(whole) != users || sum < 220 || least < 10 {
		t.Errorf("%d pieces of 240 in a minute: %v", sum, whole)
	}
}

// TestSlotsAtARate: there are as many as get their pieces in a second, but no more than
// are wished for and no fewer than keep the line busy; and a turn is long enough for what
// is asked for in it.
func TestSlotsAtARate(t *testing.T) {
	for _, tc := range []struct {
		o     Options
		slots int
		turn  time.Duration
	}{
		{Options{}, DefaultSlots, 10 * time.Second},
		{Options{Each: 1e6}, DefaultSlots, 10 * time.Second},
		{Options{Total: 1 << 30}, DefaultSlots, 10 * time.Second},
		{Options{Total: 16 << 20}, 8, 10 * time.Second},
		{Options{Total: 16 << 20, Slots: 2}, 2, 10 * time.Second},
		{Options{Total: 1 << 20}, leastSlots, 10 * time.Second},
		{Options{Total: 64 << 10}, leastSlots, 96 * time.Second},
	} {
		if got := New(tc.o).opts; got.Slots != tc.slots || got.TurnTime != tc.turn {
			t.Errorf("%+v: %d slots and turns of %v, want %d and %v", tc.o, got.Slots, got.TurnTime, tc.slots, tc.turn)
		}
	}
}
