package node

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lonja"
)

// cut ends all connections to the directory, which goes on at the same address and
// forgets nobody.
func (v *town) cut() {
	v.Helper()
	at := v.ports[0].at
	v.ports[0].stop()
	v.ports = nil
	v.open("again", at)
}

// TestACrowdComesBack: nodes that lose their connections at the same moment connect
// again over a time, and not at once, though each has a session and a watch to come
// back for; and they are told of revocations again.
func TestACrowdComesBack(t *testing.T) {
	const (
		crowd  = 24
		spread = 4 * time.Second
	)
	v := newTown(t)
	var mu sync.Mutex
	var times []time.Time
	v.dialled = func() {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Now())
	}
	all := make([]*citizen, crowd)
	for i := range all {
		all[i] = v.residentWith(lonja.UserName(fmt.Sprint("user", i)), func(o *Options) {
			o.Secure.period, o.Secure.spread = time.Hour, spread
		})
	}
	mu.Lock()
	times = nil // of the first connections
	mu.Unlock()
	v.cut()
	for _, c := range all {
		v.until("the session of "+string(c.user)+" is back", func() bool { return c.status().Session.Grant.Node == "again" })
	}
	mu.Lock()
	first, last := slices.MinFunc(times, time.Time.Compare), slices.MaxFunc(times, time.Time.Compare)
	mu.Unlock()
	// All within a quarter of the time: 24 * (1/4)^23, which is below 1e-12.
	if over := last.Sub(first); over < spread/4 {
		t.Errorf("%d nodes came back within %v", crowd, over)
	}
	lost := all[0]
	lost.revoke()
	for _, c := range all[1:] {
		v.until(string(c.user)+" knows of the revocation", func() bool {
			return c.current().keeps.revoked.has(lonja.Member{User: lost.user, Key: lost.key.PublicKey()}, 0)
		})
	}
}

// TestAPersonDoesNotWait until it is the node's turn to come back.
func TestAPersonDoesNotWait(t *testing.T) {
	v := newTown(t)
	ana := v.residentWith("ana", func(o *Options) { o.Secure.period, o.Secure.spread = 24*time.Hour, 24*time.Hour })
	v.cut()
	v.until("what ana asks is answered", func() bool {
		users, err := ana.ListUsers(t.Context())
		return err == nil && len(users) == 1
	})
	if s := ana.status().Session; s.Grant.Node != "first" {
		t.Errorf("the session was renewed at the directory %q before its time", s.Grant.Node)
	}
}
