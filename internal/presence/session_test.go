package presence

import (
	"fmt"
	"testing"
	"time"

	"lonja"
)

// TestSessionsEndByTheirOwnLength: whatever the length of other leases is, also
// when those never end.
func TestSessionsEndByTheirOwnLength(t *testing.T) {
	for _, lease := range []time.Duration{0, time.Second, time.Hour} {
		t.Run(fmt.Sprint(lease), func(t *testing.T) {
			const length = 8 * time.Second
			table := New(Options{Node: 1, Alone: true, Lease: lease, Session: length}, epochTime)
			s := Session{Length: length, Detail: "key"}
			table.ConnectSession("silent", place(1), s, epochTime)
			table.ConnectSession("renewed", place(2), s, epochTime)
			now := epochTime
			for now.Before(epochTime.Add(length)) {
				_, now = tickTo(table, now, now.Add(length/4))
				if _, ok := table.RenewSession("renewed", place(2), s, now); !ok {
					t.Fatal("the session is gone that was renewed")
				}
			}
			if _, ok := table.Lookup("silent"); !ok {
				t.Error("the silent session ended early")
			}
			tickTo(table, now, now.Add(length/4))
			if _, ok := table.Lookup("silent"); ok {
				t.Error("the silent session is still there")
			}
			if lease, ok := table.Lookup("renewed"); !ok || lease.Detail != "key" {
				t.Errorf("the session that was renewed: %+v, %v", lease, ok)
			}
		})
	}
}

// TestSessionsAreNotAskedFor: Walk tells those that somebody has to ask.
func TestSessionsAreNotAskedFor(t *testing.T) {
	table := New(Options{Node: 1, Alone: true}, epochTime)
	table.Connect("ana", place(1), epochTime)
	table.ConnectSession("luis", place(2), Session{time.Minute, "key"}, epochTime)
	var told []lonja.UserName
	table.Walk(0, 10, func(user lonja.UserName, _ Lease) { told = append(told, user) })
	if len(told) != 1 || told[0] != "ana" {
		t.Errorf("told %v, want ana", told)
	}
	if s := table.Stats(); s.Held != 2 || s.Sessions != 1 {
		t.Errorf("got %+v", s)
	}
	table.RenewSession("ana", place(1), Session{time.Minute, "key"}, epochTime)
	if s := table.Stats(); s.Sessions != 2 {
		t.Errorf("a lease that became a session: %+v", s)
	}
}

// TestSessionsTravel: with their details, and what they are renewed with; and
// they are adopted with their length.
func TestSessionsTravel(t *testing.T) {
	s, nodes := cluster(2)
	a, b := nodes[0], nodes[1]
	s.connectSession(a, "ana", 1, "before")
	s.run(testSilence)
	if got, _ := b.Lookup("ana"); got.Detail != "before" || got.At != place(1) {
		t.Errorf("got %+v", got)
	}
	changes, _ := a.RenewSession("ana", place(2), Session{testSession, "after"}, s.now)
	a.take(changes)
	s.run(testSilence / 2)
	if got, _ := b.Lookup("ana"); got.Detail != "after" || got.At != place(2) {
		t.Errorf("renewed: got %+v", got)
	}
	s.kill(a)
	s.silent["ana"] = true
	s.run(2 * testSilence)
	if got, ok := b.Lookup("ana"); !ok || !got.Mine || got.Detail != "after" {
		t.Errorf("adopted: got %+v, %v", got, ok)
	}
	s.run(2 * testSession)
	if _, ok := b.Lookup("ana"); ok {
		t.Error("a session that nobody renews stays")
	}
}
