package picker

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

const (
	benchPieces  = 1 << 20 // 1 TiB
	benchHolders = 200
)

// halfOf returns half of all pieces, in neighbouring ones: 64 times words, or
// at random if words is 0.
func halfOf(chance *rand.Rand, words int) *roaring.Bitmap {
	dense := make([]uint64, benchPieces/64)
	for i := range dense {
		switch {
		case words == 0:
			dense[i] = chance.Uint64()
		case i%words != 0:
			dense[i] = dense[i-1]
		default:
			dense[i] = -(chance.Uint64() & 1)
		}
	}
	return roaring.FromDense(dense, true)
}

// benchPickers are the crowds that are measured.
var benchPickers = []struct {
	name string
	has  func(chance *rand.Rand) *roaring.Bitmap
}{
	{"complete", func(*rand.Rand) *roaring.Bitmap { return nil }},
	{"partial in runs", func(chance *rand.Rand) *roaring.Bitmap { return halfOf(chance, 4) }},
	{"partial at random", func(chance *rand.Rand) *roaring.Bitmap { return halfOf(chance, 0) }},
}

// crowd returns a Picker and its holders; the first one is complete.
func crowd(has func(*rand.Rand) *roaring.Bitmap) *Picker {
	chance := rand.New(rand.NewPCG(1, 2))
	p := New(Options{Pieces: benchPieces, Seed: 1})
	p.Join(0, nil)
	for h := Holder(1); h < benchHolders; h++ {
		p.Join(h, has(chance))
	}
	return p
}

// BenchmarkSpan is a Span from Take to its last Done, with a connection to each
// holder, until everything is fetched.
func BenchmarkSpan(b *testing.B) {
	for _, bench := range benchPickers {
		b.Run(bench.name, func(b *testing.B) {
			p := crowd(bench.has)
			b.ReportAllocs()
			b.ResetTimer()
			pieces, refused := int64(0), 0
			for n := range b.N {
				if p.Missing() == 0 {
					b.StopTimer()
					p = crowd(bench.has)
					b.StartTimer()
				}
				c, now := Conn(n%benchHolders), time.Duration(n)*time.Millisecond
				s, ok := p.Take(c, Holder(c), now)
				if !ok {
					refused++
					continue
				}
				for piece := s.First; piece < s.End && p.Still(c, piece); piece++ {
					p.Done(c, piece, now+time.Millisecond)
					pieces++
				}
			}
			b.ReportMetric(float64(pieces)/float64(max(b.N-refused, 1)), "pieces/span")
		})
	}
}

// BenchmarkEnd is a Take that finds everything assigned, and nothing worth taking
// from anybody.
func BenchmarkEnd(b *testing.B) {
	p := New(Options{Pieces: benchHolders})
	for h := range Holder(benchHolders) {
		p.Join(h, nil)
		p.Take(Conn(h), h, 0)
	}
	p.Done(0, p.conns[0].first, time.Second)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := p.Take(0, 0, time.Second); ok {
			b.Fatal("something was worth it")
		}
	}
}

// BenchmarkUpdate is a holder that has ten pieces more.
func BenchmarkUpdate(b *testing.B) {
	for _, bench := range benchPickers[1:] {
		b.Run(bench.name, func(b *testing.B) {
			p := crowd(bench.has)
			chance := rand.New(rand.NewPCG(3, 4))
			has := p.holders[7].has.Clone()
			b.ReportAllocs()
			for b.Loop() {
				for range 10 {
					has.Add(chance.Uint32N(benchPieces))
				}
				p.Update(7, has)
			}
		})
	}
}

// BenchmarkJoin is a partial holder that comes and leaves again.
func BenchmarkJoin(b *testing.B) {
	for _, bench := range benchPickers[1:] {
		b.Run(bench.name, func(b *testing.B) {
			p := crowd(bench.has)
			has := bench.has(rand.New(rand.NewPCG(3, 4)))
			b.ReportAllocs()
			for b.Loop() {
				p.Join(benchHolders, has)
				p.Leave(benchHolders)
			}
		})
	}
}

// TestMemory: what a Picker keeps does not grow with the content while holders
// are complete, and is bounded while they are partial.
func TestMemory(t *testing.T) {
	for _, test := range []struct {
		pieces  int64
		partial bool
		most    int64 // MiB
	}{
		{1 << 20, false, 1},
		{1 << 30, false, 16},
		{1 << 20, true, 1 + 4}, // ten times 128 KiB, and the window
	} {
		t.Run(fmt.Sprint(test.pieces, test.partial), func(t *testing.T) {
			before := heap()
			p := New(Options{Pieces: test.pieces, Seed: 5})
			for h := range Holder(10) {
				p.Join(h, nil)
				if test.partial {
					p.Update(h, halfOf(p.lot.chance, 0))
				}
			}
			churn(p, 10_000)
			if got := heap() - before; got > test.most<<20 {
				t.Errorf("it takes %d KiB", got>>10)
			} else {
				t.Logf("%d KiB", got>>10)
			}
			runtime.KeepAlive(p)
		})
	}
}

// churn has 200 connections take, finish and give back Spans in any order.
func churn(p *Picker, times int) {
	chance := rand.New(rand.NewPCG(1, 1))
	for n := range times {
		c, now := Conn(chance.Uint32N(200)), time.Duration(n)*time.Millisecond
		if w := p.conns[c]; w != nil && chance.IntN(20) > 0 {
			for piece := w.first; piece < w.first+mostEver; piece++ {
				if w.has(piece) && p.Still(c, piece) {
					p.Done(c, piece, now)
				}
			}
		}
		p.Take(c, Holder(c%10), now)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
