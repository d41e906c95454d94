package hashing

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/zeebo/blake3"
)

// BenchmarkFile hashes 1 GiB that is in memory (on tmpfs), in turns: with the
// bare hash, 64 KiB at a time on one core; with File on one and on two. It
// reports the medians of the speeds, and of the ratios within a round:
//
//	go test -run '^$' -bench File -benchtime 7x ./internal/hashing
func BenchmarkFile(b *testing.B) {
	const size = 1 << 30
	dir, err := os.MkdirTemp("/dev/shm", "lonja-bench")
	if err != nil {
		b.Fatalf("make a directory on tmpfs: %v", err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for block := random(1 << 20); ; {
		if n, err := f.Write(block); err != nil {
			b.Fatal(err)
		} else if at, _ := f.Seek(0, io.SeekCurrent); n == 0 || at == size {
			break
		}
	}
	with := func(workers int) func() error {
		return func() error {
			_, err := File(context.Background(), f, Options{Workers: workers})
			return err
		}
	}
	runs := []func() error{func() error { return hashBare(f) }, with(1), with(2)}
	speeds := make([][]float64, len(runs))
	for round := 0; b.Loop(); round++ {
		for i := range runs {
			i = (i + round) % len(runs)
			begun := time.Now()
			if err := runs[i](); err != nil {
				b.Fatal(err)
			}
			speeds[i] = append(speeds[i], size/1e6/time.Since(begun).Seconds())
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, name := range []string{"bare", "one", "two"} {
		b.ReportMetric(median(speeds[i]), name+"-MB/s")
		ratios := make([]float64, len(speeds[i]))
		for j := range ratios {
			ratios[j] = speeds[i][j] / speeds[0][j]
		}
		if i > 0 {
			b.ReportMetric(median(ratios), name+"/bare")
		}
	}
}

func hashBare(f *os.File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := blake3.New()
	_, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 64<<10))
	_ = h.Sum(nil)
	return err
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
