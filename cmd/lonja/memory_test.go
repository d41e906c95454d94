package main

import (
	"runtime"
	"testing"
)

func TestHeapGrowth(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		now  int
		live uint64
		want int
	}{
		{usualGrowth, 0, usualGrowth},
		{usualGrowth, 127 * mib, usualGrowth},
		{usualGrowth, 128 * mib, largeGrowth},
		{largeGrowth, 100 * mib, largeGrowth},
		{largeGrowth, 63 * mib, usualGrowth},
	}
	for _, test := range tests {
		if got := heapGrowth(test.now, test.live, largeIndex); got != test.want {
			t.Errorf("%d MiB after %d %%: got %d %%, want %d %%", test.live/mib, test.now, got, test.want)
		}
	}
}

func TestLiveHeapIsMeasured(t *testing.T) {
	kept := make([]byte, 64<<20)
	runtime.GC()
	if got := liveHeap(); got < uint64(len(kept)) {
		t.Errorf("%d bytes are alive, and %d of them are kept here", got, len(kept))
	}
	runtime.KeepAlive(kept)
}

func TestSparingMemoryEnds(t *testing.T) {
	t.Setenv("GOGC", "")
	stop := spareMemory(largeIndex)
	stop()
}
