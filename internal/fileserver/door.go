package fileserver

import (
	"context"
	"net"
	"net/http"
	"sync"

	"lonja"
)

// A door counts the connections of a Server, in all and of each member.
type door struct {
	most, mostEach int

	mu       sync.Mutex
	open     int
	byMember map[lonja.UserName]int // without those that have none
}

func newDoor(most, mostEach int) *door {
	return &door{most: most, mostEach: mostEach, byMember: make(map[lonja.UserName]int)}
}

// enter counts a connection, and reports whether there is room for it.
func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open++
	return d.open <= d.most
}

// admit counts a connection as v's now, and reports whether there is room for
// it among those of that user. It may turn out to be another user's later: a
// name can change hands.
func (d *door) admit(v *visit, user lonja.UserName) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.user == user {
		return true
	}
	if v.gone || d.byMember[user] >= d.mostEach {
		return false
	}
	d.forget(v)
	v.user = user
	d.byMember[user]++
	return true
}

// forget takes v off its user's count; mu is held.
func (d *door) forget(v *visit) {
	if v.user == "" {
		return
	}
	if d.byMember[v.user]--; d.byMember[v.user] == 0 {
		delete(d.byMember, v.user)
	}
	v.user = ""
}

func (d *door) leave(v *visit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	if v != nil {
		d.forget(v)
		v.gone = true
	}
}

// A visit is one connection. The door guards it.
type visit struct {
	user lonja.UserName // empty until its first request
	gone bool
}

// visits are the connections of one listener.
type visits struct {
	door    *door
	running sync.WaitGroup

	mu  sync.Mutex
	all map[net.Conn]*visit
}

func (d *door) visits() *visits { return &visits{door: d, all: make(map[net.Conn]*visit)} }

type visitKey struct{}

// context gives the requests of a connection its visit.
func (v *visits) context(ctx context.Context, conn net.Conn) context.Context {
	v.mu.Lock()
	defer v.mu.Unlock()
	entry := &visit{}
	v.all[conn] = entry
	return context.WithValue(ctx, visitKey{}, entry)
}

func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

// changed is told by net/http what becomes of a connection: first that it is
// new, after context, and last that it is closed, when nothing works on it.
func (v *visits) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		v.running.Add(1)
		if !v.door.enter() {
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		v.mu.Lock()
		entry := v.all[conn]
		delete(v.all, conn)
		v.mu.Unlock()
		v.door.leave(entry)
		v.running.Done()
	}
}

// wait returns when all connections are closed.
func (v *visits) wait() { v.running.Wait() }
