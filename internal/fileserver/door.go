package fileserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"lonja"
	"lonja/internal/limits"
)

// A door counts the connections of a Server: those of members, in all and of each,
// and apart from them those on which no member has asked for anything yet. Of the
// latter the oldest gives way to the next, and an address has only so many: who
// comes and does not shake hands keeps no member out.
type door struct {
	most, mostEach int
	strangers      *limits.Room
	addresses      *limits.Limiter // of strangers

	mu       sync.Mutex
	members  int
	byMember map[lonja.UserName]int // without those that have none
}

func newDoor(o Options) *door {
	return &door{
		most: o.MaxConns, mostEach: o.MaxPerMember,
		strangers: limits.NewRoom(o.MaxStrangers),
		addresses: limits.New(limits.Options{ConnectionsPerAddress: o.StrangersPerAddress, Loopback: o.Loopback}, time.Now()),
		byMember:  make(map[lonja.UserName]int),
	}
}

// A visit is one connection. The door guards it.
type visit struct {
	user  lonja.UserName // empty until its first request
	guest *limits.Guest  // among the strangers, until then
	from  limits.Visit
	gone  bool
}

// enter counts a connection as a stranger's, and reports whether its address may
// have one more. If it has to give way, it is closed.
func (d *door) enter(v *visit, conn net.Conn) bool {
	v.from = d.addresses.Enter(addressOf(conn))
	v.guest = d.strangers.Enter(func() { _ = closeAtOnce(conn) })
	return v.from.Entry == limits.Serve
}

func addressOf(conn net.Conn) netip.Addr {
	if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return at.AddrPort().Addr()
	}
	return netip.Addr{}
}

// closeAtOnce closes a connection without a farewell, for which TLS would wait.
func closeAtOnce(conn net.Conn) error {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return conn.Close()
}

// admit counts a connection as one of user's now, and reports whether there is
// room for it. It may turn out to be another user's later: a name can change
// hands.
func (d *door) admit(v *visit, user lonja.UserName) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case v.user == user:
		return true
	case v.gone, d.byMember[user] >= d.mostEach:
		return false
	case v.user != "":
		d.forget(v)
	case d.members >= d.most || !d.strangers.Leave(v.guest):
		return false
	default:
		d.addresses.Leave(v.from)
	}
	v.user = user
	d.byMember[user]++
	d.members++
	return true
}

// forget takes v off its user's count; mu is held.
func (d *door) forget(v *visit) {
	d.members--
	if d.byMember[v.user]--; d.byMember[v.user] == 0 {
		delete(d.byMember, v.user)
	}
	v.user = ""
}

// leave counts a connection no more, which is closed.
func (d *door) leave(v *visit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v.gone = true
	if v.user != "" {
		d.forget(v)
		return
	}
	d.strangers.Leave(v.guest)
	d.addresses.Leave(v.from)
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

func (v *visits) of(conn net.Conn) *visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all[conn]
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
		if !v.door.enter(v.of(conn), conn) {
			_ = closeAtOnce(conn)
		}
	case http.StateClosed, http.StateHijacked:
		v.door.leave(v.of(conn))
		v.mu.Lock()
		delete(v.all, conn)
		v.mu.Unlock()
		v.running.Done()
	}
}

// wait returns when all connections are closed.
func (v *visits) wait() { v.running.Wait() }
