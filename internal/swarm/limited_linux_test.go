package swarm

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/hashing"
	"lonja/internal/tlstest"
)

// BenchmarkLimited fetches from three holders that send no faster than a rate: what
// comes of what they may send together. One of them may have a tenth of the rate.
//
//	go test -run '^$' -bench Limited -benchtime 5x ./internal/swarm
func BenchmarkLimited(b *testing.B) {
	const rate = 8e6
	for name, rates := range map[string][]fairshare.Rate{
		"three":    {rate, rate, rate},
		"one slow": {rate, rate, rate / 10},
	} {
		b.Run(name, func(b *testing.B) {
			w := newTown(b)
			c := newCorpus(b, 96*mib)
			var got []float64
			for b.Loop() {
				// Holders of their own for each round: none has something left to make up for.
				var peers []*peer
				var sum float64
				for i, r := range rates {
					sum += float64(r)
					peers = append(peers, w.peer(c, lonja.UserName(rune('a'+i)), func(p *peer) { p.uploads.Total = r }))
				}
				s, _ := w.swarm(c, Options{}, peers...)
				began := time.Now()
				if err := s.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				took := time.Since(began).Seconds() + 0.1 // what they may send at once in the beginning
				got = append(got, float64(c.Size)/took/sum)
				for _, p := range peers {
					p.close()
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(got), "of-the-sum")
		})
	}
}

// BenchmarkCost fetches a sparse file from one holder in this process to a disk, and reports
// what both sides together take: seconds of processor for each GiB, and the most
// memory, of the heap and resident.
//
//	go test -run '^$' -bench Cost/1 -benchtime 1x ./internal/swarm
//	go test -run '^$' -bench Cost/8 -benchtime 1x ./internal/swarm
func BenchmarkCost(b *testing.B) {
	for _, gib := range []int64{1, 8} {
		b.Run(strconv.FormatInt(gib, 10)+"GiB", func(b *testing.B) {
			dir := b.TempDir()
			s := &shelf{path: filepath.Join(dir, "source"), size: gib << 30}
			s.sparse(b)
			target := filepath.Join(dir, "target")
			run := s.swarm(b, tlstest.New(b), target, 1)
			for b.Loop() {
				runtime.GC()
				stop := watchHeap(b)
				before := processor(b)
				if err := run(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric((processor(b)-before).Seconds()/float64(gib), "cpu-s/GiB")
				b.ReportMetric(stop(), "heap-MiB")
				b.ReportMetric(mostResident(b), "RSS-MiB")
				if err := os.Remove(target); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// sparse makes a file without blocks, and its hashes.
func (s *shelf) sparse(b *testing.B) {
	b.Helper()
	f, err := os.Create(s.path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(s.size); err != nil {
		b.Fatal(err)
	}
	if s.outboard, err = os.Create(s.path + ".tree"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.outboard.Close() })
	held, err := hashing.File(b.Context(), f, hashing.Options{Outboard: s.outboard})
	if err != nil {
		b.Fatal(err)
	}
	s.id = held.ID
}

// processor returns the time that this process has had of the processors.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watchHeap looks at the heap again and again until stop, which returns the most that
// it was, with what was not collected yet, in MiB.
func watchHeap(b *testing.B) (stop func() float64) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	most := make(chan float64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var peak uint64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				metrics.Read(sample)
				peak = max(peak, sample[0].Value.Uint64())
			case <-ctx.Done():
				most <- float64(peak) / mib
				return
			}
		}
	}()
	return func() float64 {
		cancel()
		return <-most
	}
}

// mostResident returns the most memory that this process has had since it began, in
// MiB.
func mostResident(b *testing.B) float64 {
	b.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kib, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(kib, "kB")), 64)
			if err != nil {
				b.Fatal(err)
			}
			return n / 1024
		}
	}
	b.Fatal("no VmHWM")
	return 0
}
