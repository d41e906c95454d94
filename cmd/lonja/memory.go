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
// much for next to no memory.
const (
	usualGrowth = 100       // percent of the live heap, between two collections
	largeGrowth = 40        // likewise of a large one
	largeHeap   = 128 << 20 // bytes
	heapLook    = time.Second
)

// spareMemory fits the collecting of garbage to the heap, unless GOGC says how
// it is to be. It returns what ends that.
func spareMemory() (stop func()) {
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
			if want := heapGrowth(growth, liveHeap()); want != growth {
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
func heapGrowth(now int, live uint64) int {
	switch {
	case live >= largeHeap:
		return largeGrowth
	case live < largeHeap/2:
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
