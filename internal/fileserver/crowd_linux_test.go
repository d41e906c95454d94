package fileserver

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lonja"
)

// BenchmarkCrowd has 200 users fetch from one node at once, in spans of 1 MiB, until so
// much has come on the average. It reports the speed of all, what the slowest has of
// the mean, and the memory at the end, of the node and the 200 in one process: of the
// heap, what has lived, and what is resident at most, in MiB.
//
//	go test -run '^$' -bench Crowd -benchtime 1x ./internal/fileserver
func BenchmarkCrowd(b *testing.B) {
	const each = 24 * mib
	r := start(b, Options{})
	size := int64(64 * mib)
	id := r.shelf.add(b, content(int(size)))
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		var total atomic.Int64
		got := make([]atomic.Int64, crowdSize)
		var crowd, connected sync.WaitGroup
		connected.Add(crowdSize)
		var alive runtime.MemStats
		half := sync.OnceFunc(func() {
			runtime.GC()
			runtime.ReadMemStats(&alive)
		})
		for i := range crowdSize {
			config := r.ca.Config(b, lonja.UserName(fmt.Sprint("user", i)))
			crowd.Go(func() {
				err := fetchOnAndOn(ctx, fetching{addr: r.addr, config: config, id: id, size: size, length: mib}, func() {
					connected.Done()
					connected.Wait()
				}, func(n int) {
					got[i].Add(int64(n))
					sum := total.Add(int64(n))
					if sum >= crowdSize*each/2 {
						half()
					}
					if sum >= crowdSize*each {
						cancel()
					}
				})
				if ctx.Err() == nil {
					b.Errorf("user %d: %v", i, err)
					cancel()
				}
			})
		}
		crowd.Wait()
		cancel()
		least := got[0].Load()
		for i := range got {
			least = min(least, got[i].Load())
		}
		b.ReportMetric(float64(least)/each, "least/mean")
		b.ReportMetric(float64(alive.HeapAlloc)/mib, "heap-MiB")
		b.ReportMetric(float64(alive.StackInuse)/mib, "stacks-MiB")
	}
	b.ReportMetric(crowdSize*each*float64(b.N)/1e6/b.Elapsed().Seconds(), "MB/s")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(resident(b), "RSS-MiB")
}

// resident returns the most memory that this process has had, in MiB.
func resident(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseFloat(kib, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n / 1024
}
