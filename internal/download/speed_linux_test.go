package download

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lonja"
	"lonja/internal/upload"
)

// BenchmarkTransfer compares, in each round, three ways of bringing 1 GiB from
// page cache over loopback into a file, all in this process:
//
//   - bare: a TCP connection, io.Copy to it (sendfile) and from it (splice);
//   - file: FetchFile from an upload.Server;
//   - multi: FetchMulti from three of them.
//
// It reports the medians of the rounds: the speeds in MB/s, the processor time
// that both sides together take in ms, and the ratios of the speeds within a
// round, which is what counts on a machine that does other things too. Run it
// with some rounds, here seven:
//
//	go test -run '^$' -bench Transfer -benchtime 7x ./internal/download
//
// On tmpfs there is no disk whose writing back disturbs; before each transfer
// to the disk what is dirty is written out.
func BenchmarkTransfer(b *testing.B) {
	const shm = "/dev/shm"
	memory, err := os.MkdirTemp(shm, "lonja-bench")
	if err != nil {
		b.Fatalf("make a directory on tmpfs: %v", err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(memory) })
	r := newRace(b, filepath.Join(memory, "source"))
	b.Run("tmpfs", func(b *testing.B) { r.run(b, memory) })
	b.Run("disk", func(b *testing.B) { r.run(b, b.TempDir()) })
}

const raceSize = 1 << 30

// A race has the contestants: each brings the source to a target.
type race struct {
	names []string
	runs  []func(target string) error
}

func newRace(b *testing.B, source string) *race {
	b.Helper()
	writeSource(b, source)
	var holders []lonja.Holder
	for range 3 {
		holders = append(holders, serveFile(b, source, upload.Options{}))
	}
	bare := serveBare(b, source)
	return &race{
		names: []string{"bare", "file", "multi"},
		runs: []func(string) error{
			func(target string) error { return fetchBare(bare, target) },
			func(target string) error {
				_, err := FetchFile(context.Background(), holders[0], target, Options{})
				return err
			},
			func(target string) error {
				_, err := FetchMulti(context.Background(), holders, target, Options{})
				return err
			},
		},
	}
}

func writeSource(b *testing.B, path string) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := random(1 << 20)
	for range raceSize / len(block) {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
}

// run lets all contestants bring the source to dir, once per round, each round
// in another order.
func (r *race) run(b *testing.B, dir string) {
	speeds, costs := make([][]float64, len(r.runs)), make([][]float64, len(r.runs))
	for round := 0; b.Loop(); round++ {
		for i := range r.runs {
			i = (i + round) % len(r.runs)
			speed, cost := measureRun(b, r.runs[i], filepath.Join(dir, "target"))
			speeds[i], costs[i] = append(speeds[i], speed), append(costs[i], cost)
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, name := range r.names {
		b.ReportMetric(median(speeds[i]), name+"-MB/s")
		b.ReportMetric(median(costs[i]), name+"-cpu-ms")
	}
	b.ReportMetric(median(ratios(speeds[1], speeds[0])), "file/bare")
	b.ReportMetric(median(ratios(speeds[2], speeds[1])), "multi/file")
}

// measureRun returns the speed of one transfer in MB/s, and its cost in ms.
func measureRun(b *testing.B, run func(target string) error, target string) (speed, cost float64) {
	b.Helper()
	unix.Sync()
	begun, used := time.Now(), processorTime(b)
	err := run(target)
	took := time.Since(begun)
	used = processorTime(b) - used
	if err != nil {
		b.Fatal(err)
	}
	if info, err := os.Stat(target); err != nil || info.Size() != raceSize {
		b.Fatalf("the target has %d bytes (%v), want %d", info.Size(), err, raceSize)
	}
	if err := os.Remove(target); err != nil {
		b.Fatal(err)
	}
	return raceSize / 1e6 / took.Seconds(), used.Seconds() * 1000
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func ratios(a, b []float64) []float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return r
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// serveBare sends the file at path to whoever connects.
func serveBare(b *testing.B, path string) net.Addr {
	b.Helper()
	l := listen(b)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if err := sendBare(conn, path); err != nil {
				b.Error(err)
			}
		}
	}()
	b.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr()
}

func sendBare(conn net.Conn, path string) error {
	defer conn.Close()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(conn, f)
	return err
}

func fetchBare(addr net.Addr, target string) error {
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	f, err := os.Create(target)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, conn); err != nil {
		return err
	}
	return f.Close()
}
