package presence

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"lonja"
)

func userNames(n int) []lonja.UserName {
	names := make([]lonja.UserName, n)
	for i := range names {
		names[i] = lonja.UserName(fmt.Sprintf("user-%07d", i))
	}
	return names
}

func filled(names []lonja.UserName) *Table {
	table := New(Options{Node: 1, Lease: 3 * time.Minute}, epochTime)
	for i, user := range names {
		table.Connect(user, place(uint16(i)), epochTime)
	}
	table.Flush(epochTime)
	return table
}

func BenchmarkRenew(b *testing.B) {
	names := userNames(100_000)
	table := filled(names)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := table.Renew(names[i%len(names)], epochTime); !ok {
			b.Fatal("not connected")
		}
	}
}

// BenchmarkTick is a tick of 50 ms with 100,000 leases, each renewed in time.
func BenchmarkTick(b *testing.B) {
	names := userNames(100_000)
	table := filled(names)
	now := epochTime
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(50 * time.Millisecond)
		if i%1000 == 0 {
			b.StopTimer()
			for _, user := range names {
				table.Renew(user, now)
			}
			b.StartTimer()
		}
		if len(table.Tick(now)) > 0 {
			b.Fatal("a lease ended")
		}
	}
}

// BenchmarkExpireAll ends 100,000 leases of one moment.
func BenchmarkExpireAll(b *testing.B) {
	names := userNames(100_000)
	for b.Loop() {
		b.StopTimer()
		table := filled(names)
		b.StartTimer()
		for again := true; again; again = table.overdue {
			table.expire(epochTime.Add(time.Hour))
			table.takeChanges()
		}
		if table.Len() > 0 {
			b.Fatal("a lease is left")
		}
	}
}

// BenchmarkFullExchange is a node that learns 100,000 leases of another.
func BenchmarkFullExchange(b *testing.B) {
	from := filled(userNames(100_000))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		to := New(Options{Node: 2}, epochTime)
		messages := [][]byte{from.beat()} // without it, pages are not listened to
		for from.sending.request(); from.sending.active; {
			messages = append(messages, from.nextPage())
		}
		b.StartTimer()
		receive(b, epochTime, to, messages)
		if to.Len() != from.Len() {
			b.Fatalf("%d leases arrived", to.Len())
		}
	}
}

// A lease costs less than 150 bytes, its name included.
func TestMemoryOfALease(t *testing.T) {
	const leases = 150_000
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	table := New(Options{Node: 1, Lease: time.Minute}, epochTime)
	for i := range leases {
		table.Connect(lonja.UserName(fmt.Sprintf("user-%07d", i)), place(uint16(i)), epochTime)
		if len(table.dirty) == deltaRecords {
			table.Flush(epochTime)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / leases
	runtime.KeepAlive(table)
	if each > 150 {
		t.Errorf("a lease costs %d bytes", each)
	}
	t.Logf("%d bytes for each of %d leases", each, leases)
}
