package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// A server with a large index collects its garbage more often than Go would:
// with Go's own 100 percent it would hold twice its index. An index is arrays
// with next to no pointers, so that costs little; for a small one it would cost
// much for next to no memory. So does a node that shares many thousand files: it
// runs beside what people do, and makes little garbage.
const (
	usualGrowth = 100 // percent of the live heap, between two collections
	largeGrowth = 40  // likewise of a large one
	heapLook    = time.Second / 4

	largeIndex  = 128 << 20 // bytes alive, in a server
	largeShared = 24 << 20  // likewise, in a node
)

// spareMemory fits the collecting of garbage to the heap, which is large if that
// many bytes are alive, unless GOGC says how it is to be. It returns what ends
// that.
func spareMemory(large uint64) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	ended := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		ticker := time.NewTicker(heapLook)
		defer ticker.Stop()
		growth := usualGrowth
		for {
			select {
			case <-ticker.C:
			case <-ended:
				debug.SetGCPercent(usualGrowth)
				return
			}
			if want := heapGrowth(growth, liveHeap(), large); want != growth {
				growth = want
				debug.SetGCPercent(growth) // it stops everything for a moment
			}
		}
	})
	return func() {
		close(ended)
		looking.Wait()
	}
}

// heapGrowth returns how much a heap with so many bytes alive may grow. One
// around the size where that changes does not have it changed all the time.
func heapGrowth(now int, live, large uint64) int {
	switch {
	case live >= large:
		return largeGrowth
	case live < large/2:
		return usualGrowth
	}
	return now
}

// liveHeap returns how many bytes the last collection left.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
