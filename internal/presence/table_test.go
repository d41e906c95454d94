package presence

import (
	"slices"
	"testing"
	"time"

	"lonja"
)

var epochTime = time.Unix(1_700_000_000, 0)

// receive hands messages to a table.
func receive(t testing.TB, now time.Time, to *Table, messages [][]byte) []Change {
	t.Helper()
	var all []Change
	for _, m := range messages {
		changes, err := to.Receive(m, now)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, changes...)
	}
	return all
}

// exchange lets tables talk until they have no more to say.
func exchange(t testing.TB, now time.Time, tables ...*Table) {
	t.Helper()
	for again := true; again; {
		again = false
		for _, from := range tables {
			messages := from.Flush(now)
			again = again || len(messages) > 0
			for _, to := range tables {
				receive(t, now, to, messages)
			}
		}
	}
}

func wantChanges(t *testing.T, got []Change, want ...Change) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("changes: got %+v, want %+v", got, want)
	}
}

func TestOperationsOfOneNode(t *testing.T) {
	table := New(Options{Node: 1, Alone: true, Lease: time.Minute}, epochTime)
	stamp, changes := table.Connect("ana", place(1), epochTime)
	wantChanges(t, changes, Change{User: "ana", Online: true, At: place(1), Stamp: stamp, Mine: true})
	if lease, ok := table.Lookup("ana"); !ok || lease != (Lease{At: place(1), Stamp: stamp, Node: 1, Mine: true}) {
		t.Errorf("lookup: %+v, %v", lease, ok)
	}
	second, changes := table.Connect("ana", place(2), epochTime)
	wantChanges(t, changes, Change{User: "ana", Online: true, At: place(2), Stamp: second, Mine: true})
	if second <= stamp {
		t.Errorf("the second connection, of the same moment, has stamp %d, the first %d", second, stamp)
	}
	if _, ok := table.RenewLease("ana", stamp, epochTime); ok {
		t.Error("the first connection was renewed")
	}
	if _, ok := table.RenewLease("ana", second, epochTime); !ok {
		t.Error("the second connection was not renewed")
	}
	changes, ok := table.Disconnect("ana", epochTime)
	if !ok || len(changes) != 1 || changes[0].Online || changes[0].User != "ana" {
		t.Errorf("disconnect: %+v, %v", changes, ok)
	}
	for name, op := range map[string]func() bool{
		"disconnect": func() bool { _, ok := table.Disconnect("ana", epochTime); return ok },
		"renew":      func() bool { _, ok := table.Renew("ana", epochTime); return ok },
		"renewLease": func() bool { _, ok := table.RenewLease("ana", second, epochTime); return ok },
		"lookup":     func() bool { _, ok := table.Lookup("ana"); return ok },
		"drop":       func() bool { return len(table.Drop("ana", epochTime)) > 0 },
		"ends":       func() bool { return table.Stats() != Stats{Nodes: 1} },
		"messages":   func() bool { return len(table.Flush(epochTime.Add(time.Hour))) > 0 },
		"not acked":  func() bool { return !table.Acked(table.Seq()) || !table.Ready(epochTime) },
	} {
		if op() {
			t.Errorf("%s: after the end, on a node that is alone", name)
		}
	}
}

// tickTo ticks as often as a directory does, so that the table does not take
// itself for paused.
func tickTo(table *Table, from, to time.Time) (changes []Change, end time.Time) {
	for now := from; now.Before(to); now = now.Add(50 * time.Millisecond) {
		changes = append(changes, table.Tick(now)...)
	}
	return changes, to
}

func TestSilentLeasesEndInTime(t *testing.T) {
	const lease = 8 * time.Second
	table := New(Options{Node: 1, Alone: true, Lease: lease}, epochTime)
	table.Connect("silent", place(1), epochTime)
	table.Connect("renewed", place(2), epochTime)
	now := epochTime
	for range 20 {
		var changes []Change
		changes, now = tickTo(table, now, now.Add(lease/4))
		switch ended := now.Sub(epochTime); {
		case len(changes) > 1, len(changes) == 1 && (changes[0].User != "silent" || changes[0].Online):
			t.Fatalf("after %v: %+v", ended, changes)
		case len(changes) == 1 && (ended <= lease || ended > lease+lease/4):
			t.Errorf("the silent lease ended within the %v before %v", lease/4, ended)
		}
		table.Renew("renewed", now)
	}
	if _, ok := table.Lookup("silent"); ok || table.Len() != 1 {
		t.Errorf("%d leases, the silent one: %v", table.Len(), ok)
	}
}

func TestLeasesWithoutLengthStay(t *testing.T) {
	table := New(Options{Node: 1, Remember: time.Minute}, epochTime)
	table.Connect("ana", place(1), epochTime)
	table.Connect("luis", place(1), epochTime)
	table.Disconnect("luis", epochTime)
	if got := table.Stats(); got.Leases != 1 || got.Ends != 1 {
		t.Errorf("before: %+v", got)
	}
	tickTo(table, epochTime, epochTime.Add(2*time.Minute))
	if got := table.Stats(); got.Leases != 1 || got.Ends != 0 {
		t.Errorf("after the end was to be forgotten: %+v", got)
	}
}

// A machine that was paused for longer than a lease gives those time who could
// not renew theirs, and the nodes that it did not hear.
func TestAfterAPauseEverybodyHasTime(t *testing.T) {
	s := newSim()
	a, b := s.join(), s.join()
	s.connect(a, "ana", 1)
	s.connect(b, "luis", 2)
	s.run(testSilence)
	a.inbox = nil
	now := s.now.Add(3 * testLease)
	if changes := a.Tick(now); len(changes) > 0 {
		t.Errorf("at once: %+v", changes)
	}
	if got := a.Stats(); got.Leases != 2 || got.Held != 1 || got.Nodes != 2 {
		t.Errorf("at once: %+v", got)
	}
	changes, now := tickTo(a.Table, now, now.Add(testLease/2))
	if got := a.Stats(); got.Nodes != 1 || got.Held != 2 || len(changes) != 1 {
		t.Errorf("after half a lease, with nobody heard: %+v, %+v", got, changes)
	}
	if tickTo(a.Table, now, now.Add(2*testLease)); a.Len() > 0 {
		t.Errorf("after some more: %+v", a.Stats())
	}
}

func TestSlotsAreUsedAgain(t *testing.T) {
	table := New(Options{Node: 1, Lease: time.Minute}, epochTime)
	now := epochTime
	for i := range 10 * chunkSize {
		user := lonja.UserName([]byte{'u', byte(1 + i%100)})
		table.Connect(user, place(1), now)
		table.Flush(now)
		if _, now = tickTo(table, now, now.Add(100*time.Millisecond)); i%3 > 0 {
			table.Disconnect(user, now)
		}
	}
	if len(table.slab.chunks) != 1 {
		t.Errorf("%d chunks for 100 users", len(table.slab.chunks))
	}
	entries := 0
	for _, b := range table.wheel.buckets {
		entries += len(b)
	}
	if entries > 1000 {
		t.Errorf("%d entries in the wheel for 100 users", entries)
	}
}

// What is due for very many takes several ticks, one at once after the other.
func TestManyLeasesEndInSteps(t *testing.T) {
	table := New(Options{Node: 1, Alone: true, Lease: time.Minute}, epochTime)
	for _, user := range userNames(3 * tickStep) {
		table.Connect(user, place(1), epochTime)
	}
	table.Flush(epochTime)
	_, now := tickTo(table, epochTime, epochTime.Add(time.Minute))
	steps := 0
	for ; table.Len() > 0 && now.Before(epochTime.Add(2*time.Minute)); now = now.Add(50 * time.Millisecond) {
		for again := true; again; again = table.Pending() {
			if ended := len(table.Tick(now)); ended > tickStep {
				t.Errorf("%d leases ended in one step", ended)
			} else if ended > 0 {
				steps++
			}
			table.Flush(now)
		}
		if steps > 0 && table.Len() > 0 {
			t.Fatalf("%d leases wait for another tick", table.Len())
		}
	}
	if steps < 3 || table.Len() > 0 {
		t.Errorf("%d steps, %d leases left", steps, table.Len())
	}
}
