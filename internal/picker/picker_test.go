package picker

import (
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

const second = time.Second

func bitmap(spans ...Span) *roaring.Bitmap {
	b := roaring.New()
	for _, s := range spans {
		b.AddRange(uint64(s.First), uint64(s.End))
	}
	return b
}

func wantTake(t *testing.T, p *Picker, c Conn, h Holder, now time.Duration, want Span) {
	t.Helper()
	if got, ok := p.Take(c, h, now); !ok || got != want {
		t.Fatalf("Take(%d, %d) = %v, %v; want %v", c, h, got, ok, want)
	}
}

func wantNothing(t *testing.T, p *Picker, c Conn, h Holder, now time.Duration) {
	t.Helper()
	if got, ok := p.Take(c, h, now); ok {
		t.Fatalf("Take(%d, %d) = %v; want nothing", c, h, got)
	}
}

func wantDone(t *testing.T, p *Picker, c Conn, piece int64, now time.Duration, want ...Conn) {
	t.Helper()
	before := p.Missing()
	if got := p.Done(c, piece, now); !slices.Equal(got, want) {
		t.Fatalf("Done(%d, %d) cancels %v; want %v", c, piece, got, want)
	}
	if p.Missing() != before-1 {
		t.Fatalf("after Done(%d, %d) %d are missing; before, %d", c, piece, p.Missing(), before)
	}
}

// finish has c finish s, at one piece in each pace.
func finish(t *testing.T, p *Picker, c Conn, s Span, from, pace time.Duration) {
	t.Helper()
	for piece := s.First; piece < s.End; piece++ {
		if !p.Still(c, piece) {
			t.Fatalf("piece %d is not %d's any more", piece, c)
		}
		from += pace
		wantDone(t, p, c, piece, from)
	}
}

func TestCompleteHoldersGiveInOrder(t *testing.T) {
	p := New(Options{Pieces: 100, Least: 4})
	p.Join(1, nil)
	p.Join(2, bitmap(Span{0, 100})) // as good as nil
	wantTake(t, p, 1, 1, 0, Span{0, 4})
	wantTake(t, p, 2, 2, 0, Span{4, 8})
	p.GiveBack(1)
	wantTake(t, p, 3, 2, 0, Span{0, 4})
	wantTake(t, p, 1, 1, 0, Span{8, 12})
}

func TestSeedDecidesTheStart(t *testing.T) {
	starts := make(map[int64]bool)
	for seed := range uint64(20) {
		p := New(Options{Pieces: 1000, Seed: seed})
		p.Join(1, nil)
		s, ok := p.Take(1, 1, 0)
		if !ok || seed == 0 && s.First != 0 {
			t.Fatalf("seed %d: %v, %v", seed, s, ok)
		}
		starts[s.First] = true
	}
	if len(starts) < 15 {
		t.Errorf("20 seeds begin in %d places", len(starts))
	}
}

func TestOrderGoesAroundTheEnd(t *testing.T) {
	p := New(Options{Pieces: 50, Least: 16, Seed: 3})
	p.Join(1, nil)
	seen := bitmap()
	for c := Conn(1); p.Wanted(1); c++ {
		s, ok := p.Take(c, 1, 0)
		if !ok {
			t.Fatal("Take finds nothing, though something is wanted")
		}
		if seen.IntersectsWithInterval(uint64(s.First), uint64(s.End)) {
			t.Fatalf("%v was given twice", s)
		}
		seen.AddRange(uint64(s.First), uint64(s.End))
	}
	if !seen.Equals(bitmap(Span{0, 50})) {
		t.Errorf("given were %v", seen)
	}
}

func TestWhatIsHereIsNotFetched(t *testing.T) {
	for _, partial := range []bool{false, true} {
		p := New(Options{Pieces: 100, Least: 16})
		p.Join(1, nil)
		if partial {
			p.Join(2, bitmap())
		}
		p.Have(Span{-5, 40})
		p.Have(Span{42, 90})
		p.Have(Span{95, 200})
		p.Have(Span{30, 50}) // again, and two more
		if p.Missing() != 5 {
			t.Fatalf("%d are missing", p.Missing())
		}
		wantSet(t, p, 1, Span{90, 95})
	}
}

func TestFirstSpanIsSmallThenBySpeed(t *testing.T) {
	for _, test := range []struct {
		name string
		pace time.Duration
		want int64
	}{
		{"fast", 10 * time.Millisecond, 16},
		{"one second", time.Second, 4},
		{"three seconds", 3 * time.Second, 1},
		{"ten seconds", 10 * time.Second, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := New(Options{Pieces: 1000})
			p.Join(1, nil)
			wantTake(t, p, 1, 1, 0, Span{0, 1})
			wantDone(t, p, 1, 0, test.pace)
			wantTake(t, p, 1, 1, test.pace, Span{1, 1 + test.want})
			// Another connection to the holder is taken to be as fast.
			wantTake(t, p, 2, 1, test.pace, Span{1 + test.want, 1 + 2*test.want})
		})
	}
}

func TestSpansShrinkBySpeedTowardsTheEnd(t *testing.T) {
	const ms = time.Millisecond
	p := New(Options{Pieces: 18})
	p.Join(1, nil)
	p.Join(2, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 1})
	wantTake(t, p, 2, 2, 0, Span{1, 2})
	wantDone(t, p, 1, 0, 50*ms)
	wantTake(t, p, 1, 1, 50*ms, Span{2, 6}) // half of 16, shared with another
	wantDone(t, p, 2, 1, 150*ms)
	wantTake(t, p, 2, 2, 150*ms, Span{6, 7}) // a quarter of half of 12
	finish(t, p, 1, Span{2, 6}, 50*ms, 50*ms)
	wantTake(t, p, 1, 1, 250*ms, Span{7, 11})
}

func TestRarestFirst(t *testing.T) {
	p := New(Options{Pieces: 100, Least: 16})
	p.Join(1, nil)
	p.Join(2, bitmap(Span{0, 60}))
	p.Join(3, bitmap(Span{0, 40}, Span{70, 100}))
	p.Join(4, bitmap(Span{0, 20}, Span{55, 80}))
	counts := func(piece int64) (n int) {
		for _, h := range []Holder{2, 3, 4} {
			if p.holders[h].holds(piece) {
				n++
			}
		}
		return n
	}
	for c, h := range []Holder{1, 3, 2, 4, 1, 2, 3, 4, 1, 1, 1, 1, 1, 1} {
		rarest := 99
		for piece := range int64(100) {
			if p.free.Contains(uint32(piece)) && p.holders[h].holds(piece) {
				rarest = min(rarest, counts(piece))
			}
		}
		s, ok := p.Take(Conn(c), h, 0)
		if ok != (rarest != 99) {
			t.Fatalf("Take of %d: %v, %v", h, s, ok)
		}
		for piece := s.First; piece < s.End; piece++ {
			if got := counts(piece); got != rarest {
				t.Errorf("%d was given piece %d, with %d holders; the rarest have %d", h, piece, got, rarest)
			}
		}
	}
}

func TestRarityFollowsHolders(t *testing.T) {
	p := New(Options{Pieces: 30, Least: 30, Most: 30})
	p.Join(1, nil)
	p.Join(2, bitmap(Span{0, 30}, Span{1000, 1001})) // complete: it makes nothing rarer
	p.Join(3, bitmap(Span{0, 20}))
	wantSet(t, p, 1, Span{20, 30})
	p.Update(3, bitmap(Span{0, 10}, Span{15, 30}))
	wantSet(t, p, 1, Span{10, 15})
	p.Join(4, bitmap(Span{10, 16}))
	p.Join(5, bitmap(Span{0, 28}))
	wantSet(t, p, 1, Span{28, 30})
	p.Leave(3)
	wantSet(t, p, 1, Span{28, 30})
	p.Leave(4)
	p.Update(5, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 30}) // in order again
	p.Join(6, bitmap(Span{0, 25}))
	p.GiveBack(1) // while there is a partial holder
	wantSet(t, p, 1, Span{25, 30})
}

// wantSet wants h to be given some of want, and gives it back.
func wantSet(t *testing.T, p *Picker, h Holder, want Span) {
	t.Helper()
	for range 20 { // chance decides
		s, ok := p.Take(99, h, 0)
		if !ok || s.First < want.First || s.End != want.End {
			t.Fatalf("%d was given %v, %v; want some of %v to its end", h, s, ok, want)
		}
		p.GiveBack(99)
	}
}

func TestEquallyRarePiecesAreSpread(t *testing.T) {
	seen := make(map[int64]bool)
	for seed := range uint64(20) {
		p := New(Options{Pieces: 1000, Seed: seed})
		p.Join(1, nil)
		p.Join(2, bitmap(Span{0, 500}))
		for c := range Conn(10) {
			s, _ := p.Take(c, 1, 0)
			seen[s.First] = true
		}
	}
	if len(seen) < 140 { // 165 are expected of 200 draws from 500
		t.Errorf("20 downloaders took %d different pieces of 200", len(seen))
	}
}

func TestPlaceTakesItsOwnPart(t *testing.T) {
	for rank := range 10 {
		p := New(Options{Pieces: 1100, Seed: uint64(rank)})
		p.Join(1, nil)
		p.Join(2, bitmap(Span{0, 100}))
		p.Place(rank, 10)
		part := Span{100 + int64(rank)*100, 200 + int64(rank)*100} // the middle of it
		for range 20 {
			s, ok := p.Take(1, 1, 0)
			if !ok || s.First < part.First+25 || s.End > part.End-25 {
				t.Errorf("number %d of 10 takes %v, %v; its part is %v", rank, s, ok, part)
			}
			p.GiveBack(1)
		}
		p.Join(3, bitmap(Span{0, 1}, Span{1099, 1100})) // nothing in most parts
		p.Have(Span{0, 1})
		p.Update(2, bitmap(Span{0, 1099}))
		wantTake(t, p, 99, 3, 0, Span{1099, 1100})
		p.Place(10, 10) // not known after all
		if _, ok := p.Take(99, 1, 0); !ok {
			t.Error("without a place nothing is found")
		}
	}
}

func TestRareWindowMovesOn(t *testing.T) {
	const pieces = 3*windowSize + 7
	p := New(Options{Pieces: pieces, Least: 16})
	p.Join(1, nil)
	p.Join(2, bitmap(Span{0, windowSize - 1}, Span{2 * windowSize, pieces - 1}))
	wantTake(t, p, 1, 1, 0, Span{windowSize - 1, windowSize})
	p.Join(3, bitmap(Span{2*windowSize - 5, 2*windowSize + 5})) // nothing in the window
	wantTake(t, p, 2, 3, 0, Span{2*windowSize - 5, 2*windowSize + 5})
	p.Have(Span{0, 2 * windowSize})
	wantDone(t, p, 1, windowSize-1, second)
	if s, ok := p.Take(1, 1, second); !ok || s.First < 2*windowSize {
		t.Fatalf("Take = %v, %v", s, ok)
	}
	p.GiveBack(2) // some of it is before the window now
	window := Span{2 * windowSize, 2*windowSize + 5}
	if s, ok := p.Take(2, 3, second); !ok || s.First < window.First || s.End > window.End {
		t.Fatalf("Take = %v, %v; want some of %v", s, ok, window)
	}
	p.Have(window)
	wantTake(t, p, 4, 3, second, Span{2*windowSize - 5, 2 * windowSize})
}

func TestFreeConnectionStealsTheEnd(t *testing.T) {
	p := New(Options{Pieces: 10, Least: 10})
	p.Join(1, nil)
	p.Join(2, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 10})
	wantTake(t, p, 2, 2, 0, Span{5, 10}) // nothing is known: as fast as the first
	finish(t, p, 1, Span{0, 3}, 0, second)
	finish(t, p, 2, Span{5, 7}, 0, 500*time.Millisecond)
	for piece, want := range map[int64]bool{3: true, 4: true, 5: false, 9: false} {
		if got := p.Still(1, piece); got != want {
			t.Errorf("Still(1, %d) = %v", piece, got)
		}
	}
}

func TestStealingSharesBySpeed(t *testing.T) {
	p := New(Options{Pieces: 22, Least: 10})
	p.Join(1, nil)
	p.Join(2, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 10})
	wantTake(t, p, 2, 2, 0, Span{10, 20})
	finish(t, p, 2, Span{10, 20}, 0, 100*time.Millisecond)
	wantDone(t, p, 1, 0, second)
	wantTake(t, p, 2, 2, second, Span{20, 22})
	finish(t, p, 2, Span{20, 22}, second, 100*time.Millisecond)
	if !p.Still(1, 1) {
		t.Fatal("piece 1 is not 1's any more")
	}
	// 8.8 s are left of 9 pieces; 8.8/1.1 = 8 pieces are 0.8 s for the fast one.
	wantTake(t, p, 2, 2, 1200*time.Millisecond, Span{2, 10})
	finish(t, p, 2, Span{2, 10}, 1200*time.Millisecond, 100*time.Millisecond)
	wantDone(t, p, 1, 1, 2*second)
}

func TestStealingIsNotWorthIt(t *testing.T) {
	p := New(Options{Pieces: 4})
	p.Join(1, nil)
	p.Join(2, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 1})
	wantTake(t, p, 2, 2, 0, Span{1, 2})
	wantDone(t, p, 1, 0, second)
	wantDone(t, p, 2, 1, 10*second)
	p.least = 2
	wantTake(t, p, 1, 1, 10*second, Span{2, 4})
	wantNothing(t, p, 2, 2, 10*second) // both take 2 s, one would take 10
	wantNothing(t, p, 4, 9, 10*second) // unknown
	wantNothing(t, p, 2, 2, 15*second)
	wantTake(t, p, 2, 2, 17*second, Span{3, 4}) // 1 seems to have stalled
}

func TestPartialHolderStealsWhatItHas(t *testing.T) {
	p := New(Options{Pieces: 10, Least: 10})
	p.Join(1, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 10})
	p.Join(2, bitmap(Span{0, 9}))
	wantNothing(t, p, 2, 2, 0) // not the last
	p.Update(2, bitmap(Span{0, 6}, Span{8, 10}))
	wantTake(t, p, 2, 2, 0, Span{8, 10})
}

func TestWhatWasHopelessIsAskedAgain(t *testing.T) {
	p := New(Options{Pieces: 10, Least: 10})
	p.Join(1, nil)
	p.Join(2, bitmap())
	wantNothing(t, p, 2, 2, 0) // nobody is at work
	p.Update(2, nil)           // so that 1 takes them in order
	wantTake(t, p, 1, 1, 0, Span{0, 10})
	wantTake(t, p, 2, 2, 0, Span{5, 10})
}

func TestLastPieceIsAskedOfASecondHolder(t *testing.T) {
	p := New(Options{Pieces: 3})
	for h := range Holder(4) {
		p.Join(h, nil)
	}
	wantTake(t, p, 0, 0, 0, Span{0, 1})
	wantTake(t, p, 1, 1, 0, Span{1, 2})
	wantTake(t, p, 2, 2, 0, Span{2, 3})
	wantDone(t, p, 2, 2, second)
	wantNothing(t, p, 2, 2, second) // the others will be done now, by what is known
	p.Still(1, 1)
	wantDone(t, p, 1, 1, 3*second)
	wantTake(t, p, 2, 2, 3*second, Span{0, 1}) // in a second, 0 seems late
	wantNothing(t, p, 1, 1, 60*second)         // two have it already
	wantNothing(t, p, 9, 0, 60*second)         // of whom one is this one
	wantDone(t, p, 2, 0, 61*second, 0)         // 0 is to stop
	wantNothing(t, p, 1, 1, 61*second)         // all is done
	if cancel := p.Done(0, 0, 62*second); cancel != nil || p.Missing() != 0 {
		t.Errorf("done again: cancel %v, %d missing", cancel, p.Missing())
	}
	p.GiveBack(0)
	if p.Missing() != 0 || p.Wanted(3) || !p.free.IsEmpty() {
		t.Errorf("given back what is done: %d missing", p.Missing())
	}
}

// TestLastPieceIsLeftToTheFastest: of two that could fetch it as well, and sooner
// than the one that has it, the slower one does not take it first.
func TestLastPieceIsLeftToTheFastest(t *testing.T) {
	p := New(Options{Pieces: 5})
	for h := range Holder(3) {
		p.Join(h, nil)
		wantTake(t, p, Conn(h), h, 0, Span{int64(h), int64(h) + 1})
	}
	wantDone(t, p, 2, 2, second)
	wantDone(t, p, 1, 1, 3*second)
	wantTake(t, p, 1, 1, 3*second, Span{3, 4})
	wantTake(t, p, 2, 2, 29*second, Span{4, 5})
	wantDone(t, p, 1, 3, 29*second)
	wantNothing(t, p, 1, 1, 29*second) // it takes 3 s and more; 2 is done with both in two
	wantDone(t, p, 2, 4, 30*second)
	wantTake(t, p, 2, 2, 30*second, Span{0, 1})
}

func TestSecondHolderIsNotTheSame(t *testing.T) {
	p := New(Options{Pieces: 1})
	p.Join(1, nil)
	p.Join(2, bitmap())
	p.Join(3, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 1})
	wantNothing(t, p, 2, 1, 100*second)
	wantNothing(t, p, 3, 2, 100*second)
	wantTake(t, p, 4, 3, 100*second, Span{0, 1})
	p.GiveBack(1) // the other goes on
	if p.Wanted(1) {
		t.Error("a piece is free that is being fetched")
	}
	wantTake(t, p, 2, 1, 300*second, Span{0, 1})
	p.GiveBack(4)
	p.GiveBack(2)
	wantTake(t, p, 2, 1, 400*second, Span{0, 1})
}

func TestGivenBackIsTakenAgain(t *testing.T) {
	p := New(Options{Pieces: 12, Least: 4})
	p.Join(1, nil)
	p.Join(2, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 4})
	wantTake(t, p, 2, 1, 0, Span{4, 8})
	wantDone(t, p, 1, 0, second)
	wantDone(t, p, 1, 2, 2*second) // in whatever order
	p.GiveBack(1)
	if p.Still(1, 1) || p.Missing() != 10 {
		t.Fatalf("1 goes on; %d missing", p.Missing())
	}
	wantTake(t, p, 3, 2, 0, Span{1, 2})
	wantTake(t, p, 4, 2, 0, Span{3, 4})
	p.Leave(1) // and with it connection 2
	wantTake(t, p, 2, 2, 0, Span{4, 8})
	wantTake(t, p, 2, 2, 0, Span{4, 8}) // Take gives back what was left
	wantNothing(t, p, 1, 1, 0)
}

func TestLateResultsAreWelcome(t *testing.T) {
	p := New(Options{Pieces: 4, Least: 4})
	p.Join(1, nil)
	p.Join(2, nil)
	wantTake(t, p, 1, 1, 0, Span{0, 4})
	p.GiveBack(1)
	wantDone(t, p, 1, 0, second) // it arrived all the same
	p.least = 2
	wantTake(t, p, 2, 2, second, Span{1, 3})
	wantDone(t, p, 1, 1, second, 2) // 2 is at it
	wantDone(t, p, 1, 2, second)    // 2 is not at it yet
	if p.Still(2, 2) || p.Done(1, -1, 0) != nil || p.Done(1, 4, 0) != nil || p.Missing() != 1 {
		t.Errorf("%d missing", p.Missing())
	}
}

func TestWanted(t *testing.T) {
	p := New(Options{Pieces: 4, Least: 2})
	p.Join(1, nil)
	p.Join(2, bitmap(Span{0, 2}))
	if !p.Wanted(1) || !p.Wanted(2) || p.Wanted(3) {
		t.Error("at first")
	}
	wantTake(t, p, 2, 2, 0, Span{0, 2})
	if !p.Wanted(1) || p.Wanted(2) {
		t.Error("when what 2 has is being fetched")
	}
	p.Update(2, nil)
	if !p.Wanted(2) {
		t.Error("when 2 has all")
	}
	wantTake(t, p, 1, 1, 0, Span{2, 4})
	if p.Wanted(1) || p.Wanted(2) {
		t.Error("when all is being fetched")
	}
}

func TestNothingToFetch(t *testing.T) {
	p := New(Options{})
	p.Join(1, nil)
	p.Join(2, bitmap(Span{3, 4}))
	p.Have(Span{0, 5})
	wantNothing(t, p, 1, 1, 0)
	wantNothing(t, p, 2, 2, 0)
	if p.Missing() != 0 {
		t.Errorf("%d missing", p.Missing())
	}
}
