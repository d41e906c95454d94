package limits

import (
	"container/list"
	"sync"
)

// A Room holds those who have not shown yet what they come for: connections that
// are silent, handshakes that are not finished. When it is full, who has been
// in it for longest gives way: honest ones need it for a moment, so a crowd of
// others cannot keep them out.
type Room struct {
	most int

	mu     sync.Mutex
	guests list.List // of *Guest, the longest there first
}

// A Guest is one in a Room.
type Guest struct {
	giveWay func()
	place   *list.Element // nil once it has left
}

// NewRoom returns a Room for at most so many.
func NewRoom(most int) *Room { return &Room{most: max(most, 1)} }

// Enter lets one more in. giveWay is called, once at most and by another
// goroutine, if it has to leave before it called Leave; it must not block.
func (r *Room) Enter(giveWay func()) *Guest {
	g := &Guest{giveWay: giveWay}
	r.mu.Lock()
	var oldest *Guest
	if r.guests.Len() >= r.most {
		oldest = r.takeOldest()
	}
	g.place = r.guests.PushBack(g)
	r.mu.Unlock()
	if oldest != nil {
		oldest.giveWay()
	}
	return g
}

// Leave lets one out. It is false if that one had to give way.
func (r *Room) Leave(g *Guest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g.place == nil {
		return false
	}
	r.guests.Remove(g.place)
	g.place = nil
	return true
}

// Thin lets who has been there for longest give way if more than so many are.
func (r *Room) Thin(most int) {
	r.mu.Lock()
	var oldest *Guest
	if r.guests.Len() > most {
		oldest = r.takeOldest()
	}
	r.mu.Unlock()
	if oldest != nil {
		oldest.giveWay()
	}
}

// Len returns how many are there.
func (r *Room) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.guests.Len()
}

// takeOldest is called with mu held, and at least one guest.
func (r *Room) takeOldest() *Guest {
	g := r.guests.Remove(r.guests.Front()).(*Guest)
	g.place = nil
	return g
}
