package index

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"lonja"
)

func million(b *testing.B, unique bool) *Index {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	x := New()
	r := rand.New(rand.NewPCG(1, 2))
	vocab := make([]string, 20000)
	for i := range vocab {
		n := 3 + r.IntN(7)
		w := make([]byte, n)
		for j := range w {
			w[j] = byte('a' + r.IntN(26))
		}
		vocab[i] = string(w)
	}
	zipf := rand.NewZipf(r, 1.1, 5, uint64(len(vocab)-1))
	word := func() string { return vocab[zipf.Uint64()] }
	exts := []string{"mp3", "pdf", "txt", "ogg", "mkv", "zip"}
	rev := uint64(0)
	shared := make([]string, 100000)
	for i := range shared {
		shared[i] = fmt.Sprintf("%s_%s_%s.%s", word(), word(), word(), exts[r.IntN(6)])
	}
	for u := range 50000 {
		name := lonja.UserName(fmt.Sprintf("user%05d", u))
		rev++
		inc := rev
		x.SetAccount(name, inc, rev)
		for f := range 20 {
			rev++
			base := shared[r.IntN(len(shared))]
			if unique {
				base = fmt.Sprintf("%s_%s_%d.%s", word(), word(), rev, exts[r.IntN(6)])
			}
			x.SetPublication(name, inc, rev, lonja.Listing{Name: lonja.FileName(fmt.Sprintf("/home/user%05d/%s/%s", u, vocab[f], base)),
				Description: lonja.Description(fmt.Sprintf("%s %s %s %s", word(), word(), word(), word())), Size: int64(r.IntN(1 << 30))})
		}
	}
	loaded := time.Since(start)
	x.Complete()
	total := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.Logf("unique=%v: loaded %v, complete %v, heap %d MiB, %d objects, %+v", unique, loaded, total, (after.HeapAlloc-before.HeapAlloc)>>20, after.HeapObjects, x.Stats())
	start = time.Now()
	for u := 0; u < 50000; u += 3 {
		x.Connect(lonja.UserName(fmt.Sprintf("user%05d", u)), lonja.EndpointFrom(netip.MustParseAddr("10.0.0.1"), 1000))
		for x.Settle(1000) {
		}
	}
	b.Logf("connect 17k users: %v", time.Since(start))
	return x
}

func BenchmarkMillion(b *testing.B) {
	for _, unique := range []bool{false, true} {
		x := million(b, unique)
		r := rand.New(rand.NewPCG(3, 4))
		// queries from existing docs
		queries := make([]string, 2000)
		for i := range queries {
			d := x.docs.at(uint32(1 + r.IntN(x.docs.len())))
			var ws []string
			for w := range words(x.texts.str(d.description)) {
				ws = append(ws, w)
			}
			queries[i] = ws[0] + " " + ws[1][:min(len(ws[1]), 1+r.IntN(5))]
		}
		b.Run(fmt.Sprintf("unique=%v/two-word", unique), func(b *testing.B) {
			var times []time.Duration
			worst := time.Duration(0)
			wq := ""
			for i := 0; b.Loop(); i++ {
				q := lonja.Query{Words: queries[i%len(queries)]}
				s := time.Now()
				if _, err := x.Search(&q); err != nil {
					b.Fatal(err)
				}
				e := time.Since(s)
				times = append(times, e)
				if e > worst {
					worst, wq = e, q.Words
				}
			}
			report(b, times)
			_ = wq
		})
		b.Run(fmt.Sprintf("unique=%v/common", unique), func(b *testing.B) {
			var times []time.Duration
			for i := 0; b.Loop(); i++ {
				q := lonja.Query{Words: "home " + queries[i%len(queries)][:1]}
				s := time.Now()
				x.Search(&q)
				times = append(times, time.Since(s))
			}
			report(b, times)
		})
		runtime.KeepAlive(x)
	}
}

func report(b *testing.B, times []time.Duration) {
	b.StopTimer()
	for i := range times {
		_ = i
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(times[len(times)-1].Microseconds()), "max-µs")
}
