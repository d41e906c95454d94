package presence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lonja"
)

func TestAckedOnceAllHaveIt(t *testing.T) {
	s, nodes := cluster(3)
	a, b, c := nodes[0], nodes[1], nodes[2]
	seq := a.Seq()
	s.connect(a, "ana", 1)
	if a.Seq() != seq+1 || a.Acked(a.Seq()) || !a.Acked(seq) {
		t.Errorf("before: seq %d, acked %v; the one before: %v", a.Seq(), a.Acked(a.Seq()), a.Acked(seq))
	}
	seq = a.Seq()
	deltas := a.Flush(s.now)
	for i, n := range []*simNode{b, c} {
		n.take(receive(t, s.now, n.Table, deltas))
		if a.Acked(seq) {
			t.Errorf("acknowledged by %d nodes only", i)
		}
		a.take(receive(t, s.now, a.Table, n.Flush(s.now)))
	}
	if !a.Acked(seq) {
		t.Error("not acknowledged by all")
	}
	s.connect(a, "luis", 1)
	s.kill(c)
	if s.run(testSilence / 2); a.Acked(a.Seq()) {
		t.Error("acknowledged by one that is dead, but not known to be")
	}
	if s.run(testSilence); !a.Acked(a.Seq()) {
		t.Error("the dead one is waited for")
	}
}

func TestWhoStartsCatchesUpInPages(t *testing.T) {
	const users = 8_000
	s, nodes := cluster(2)
	for i := range users {
		s.connect(nodes[i%2], lonja.UserName(fmt.Sprintf("a-user-of-usual-length-%d", i)), 1)
	}
	s.run(time.Second)
	pages, lost := 0, 0
	late := s.join()
	for range 40 {
		s.step()
		for i := len(late.inbox) - 1; i >= 0; i-- {
			if m := late.inbox[i]; kind(m.data[1]) == page {
				if pages++; pages == 2 {
					late.inbox, lost = append(late.inbox[:i:i], late.inbox[i+1:]...), 1
				}
			}
		}
		if ready := late.Ready(s.now); ready && late.Len() != users {
			t.Fatalf("ready with %d users", late.Len())
		}
	}
	if pages < 8 || lost == 0 {
		t.Errorf("%d pages, %d lost", pages, lost)
	}
	if !late.Ready(s.now) || late.Len() != users || !nodes[0].Acked(nodes[0].Seq()) {
		t.Errorf("ready %v with %d users", late.Ready(s.now), late.Len())
	}
	if _, err := late.view(); err != nil {
		t.Error(err)
	}
}

// A node that starts does not serve yet: nobody waits for it.
func TestWhoHasNotCaughtUpIsNotWaitedFor(t *testing.T) {
	a, b := New(Options{Node: 1}, epochTime), New(Options{Node: 2}, epochTime)
	a.Connect("ana", place(1), epochTime)
	a.Flush(epochTime)
	receive(t, epochTime, b, [][]byte{a.beat()})
	receive(t, epochTime, a, [][]byte{b.beat()})
	if a.Connect("luis", place(2), epochTime); a.Stats().Nodes != 2 || !a.Acked(a.Seq()) {
		t.Errorf("%+v, acked %v", a.Stats(), a.Acked(a.Seq()))
	}
	exchange(t, epochTime, a, b)
	if a.Connect("eva", place(3), epochTime); b.Len() != 2 || a.Acked(a.Seq()) {
		t.Errorf("it knows %d users; acked %v", b.Len(), a.Acked(a.Seq()))
	}
}

// Who asks while pages are sent that it cannot use any more gets them all.
func TestAskingInTheMiddleOfPages(t *testing.T) {
	table := New(Options{Node: 1}, epochTime)
	for i := range 2 * flushPages * pageSize / maxRecord {
		table.Connect(lonja.UserName(fmt.Sprintf("%0255d", i)), place(1), epochTime)
	}
	pages := func() (numbers []uint64) {
		for _, b := range table.Flush(epochTime) {
			if m, err := parseMessage(b); err == nil && m.kind == page {
				numbers = append(numbers, m.number)
			}
		}
		return numbers
	}
	table.sending.request()
	table.sending.request() // both are served by the same
	all := pages()
	table.sending.request()
	for table.sending.active {
		all = append(all, pages()...)
	}
	last := slices.Max(all)
	if want := 2 * int(last+1); last < flushPages || len(all) != want {
		t.Errorf("pages %v, want two times 0 to %d", all, last)
	}
}

// A fault that no number tells is found by the digest: a lease that is missing
// here, and one that should not be.
func TestDigestMendsWhatDiffers(t *testing.T) {
	s, nodes := cluster(2)
	a, b := nodes[0], nodes[1]
	s.connect(a, "missing", 1)
	s.connect(a, "extra", 2)
	s.run(time.Second)
	b.forget(b.slab.byUser["missing"])
	delete(b.seen, "missing")
	a.forget(a.slab.byUser["extra"])
	delete(a.seen, "extra")
	delete(a.mine, "extra")
	s.run(2*auditSilences*testSilence + testSilence)
	wantAt(t, nodes, "missing", place(1))
	wantGone(t, nodes, "extra")
}
