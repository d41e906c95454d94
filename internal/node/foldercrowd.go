package node

import (
	"cmp"
	"context"
	"net"
	"slices"
	"sync"

	"lonja"
	"lonja/internal/folderfetch"
	"lonja/internal/swarm"
)

// A folderCrowd is who has a folder, for all that fetches of it: the swarms of its big
// files, and what fetches the small ones. Its methods may be called by any number of
// goroutines at once.
type folderCrowd struct {
	slow func(conn net.Conn, each *swarm.Limit) net.Conn // to the rates
	each func() *swarm.Limit                             // of one holder

	mu       sync.Mutex // guards the rest
	holders  map[lonja.Member]crowdHolder
	rank, of int
	looked   bool // those who are fetching it too are known
	fetches  map[part]func()
	past     map[lonja.Member]swarm.HolderState // of what is done

	// counting guards live. Whoever holds it waits for nothing: it is taken when
	// something has come, whatever is locked then.
	counting sync.Mutex
	live     []part // as fetches
}

// A crowdHolder is one of them.
type crowdHolder struct {
	swarm.Holder
	partial bool
	each    *swarm.Limit // of all that comes from it; or nil
}

// A part is something that fetches of a folder.
type part interface {
	crowd
	Expect() (done func())
	states() []swarm.HolderState
	received() int64 // bytes that are here, and not counted by who runs it
}

// A bigFile is the part that fetches one file.
type bigFile struct{ swarmCrowd }

func (b bigFile) states() []swarm.HolderState { return b.Holders() }
func (b bigFile) received() int64             { return b.Received() }

// smallFiles are the part that fetches many.
type smallFiles struct{ *folderfetch.Fetch }

func (s smallFiles) join(h swarm.Holder, partial bool) {
	s.Join(folderfetch.Holder{User: h.User, Key: h.Key, Dial: h.Dial, Partial: partial})
}

func (s smallFiles) received() int64 { return 0 }

func (s smallFiles) states() []swarm.HolderState {
	all := s.Holders()
	states := make([]swarm.HolderState, len(all))
	for i, h := range all {
		states[i] = swarm.HolderState{
			User: h.User, Key: h.Key, At: h.At, Conns: h.Conns, Has: h.Has, Bytes: h.Bytes, Pieces: h.Files, Speed: h.Speed,
			Place: h.Place, Err: h.Err, Again: h.Again, Partial: h.Partial, Lied: h.Lied,
		}
	}
	return states
}

func newFolderCrowd(d *secureDialect) *folderCrowd {
	near := d.near()
	return &folderCrowd{
		slow: func(conn net.Conn, each *swarm.Limit) net.Conn { return swarm.Slow(conn, near, d.down, each) },
		each: func() *swarm.Limit { return swarm.NewLimit(d.Rates.DownEach) },

		holders: make(map[lonja.Member]crowdHolder), fetches: make(map[part]func()), past: make(map[lonja.Member]swarm.HolderState),
	}
}

// join implements crowd. One holder keeps to one limit, whatever is fetched from it.
func (c *folderCrowd) join(h swarm.Holder, partial bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := lonja.Member{User: h.User, Key: h.Key}
	known, there := c.holders[id]
	dial, each := h.Dial, known.each
	if !there {
		each = c.each()
	}
	h.Dial = func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return c.slow(conn, each), nil
	}
	c.holders[id] = crowdHolder{h, partial, each} // by the ways to it that are known now
	for f := range c.fetches {
		f.join(h, partial)
	}
}

// Leave implements crowd.
func (c *folderCrowd) Leave(user lonja.UserName, key lonja.PublicKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.holders, lonja.Member{User: user, Key: key})
	for f := range c.fetches {
		f.Leave(user, key)
	}
}

// Place implements crowd.
func (c *folderCrowd) Place(rank, of int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rank, c.of = rank, of
	for f := range c.fetches {
		f.Place(rank, of)
	}
}

// hasLooked tells that those who are fetching it too are known.
func (c *folderCrowd) hasLooked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = true
	for _, known := range c.fetches {
		known()
	}
}

// add has something fetch from all of them, and from whoever comes; done is called
// when it has ended, and calls landed, if that is not nil, in the moment in which what
// it has received is counted there no more.
func (c *folderCrowd) add(f part) (done func(landed func())) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.Place(c.rank, c.of)
	for _, h := range c.holders {
		f.join(h.Holder, h.partial)
	}
	known := f.Expect()
	if c.looked {
		known()
	}
	c.fetches[f] = known
	c.count(func() { c.live = append(c.live, f) })
	return func(landed func()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.fetches, f)
		for _, s := range f.states() {
			s.Conns, s.Speed, s.Place, s.Has = 0, 0, 0, false
			c.past[memberOf(s)] = merged(c.past[memberOf(s)], s)
		}
		c.count(func() {
			c.live = slices.DeleteFunc(c.live, func(other part) bool { return other == f })
			if landed != nil {
				landed()
			}
		})
	}
}

func (c *folderCrowd) count(change func()) {
	c.counting.Lock()
	defer c.counting.Unlock()
	change()
}

func memberOf(s swarm.HolderState) lonja.Member { return lonja.Member{User: s.User, Key: s.Key} }

// merged adds up how it goes with one holder in two places.
func merged(a, b swarm.HolderState) swarm.HolderState {
	sum := b
	sum.At, sum.Trip, sum.Place = cmp.Or(b.At, a.At), cmp.Or(b.Trip, a.Trip), max(a.Place, b.Place)
	sum.Route = cmp.Or(b.Route, a.Route)
	sum.Conns += a.Conns
	sum.Bytes += a.Bytes
	sum.Pieces += a.Pieces
	sum.Speed += a.Speed
	sum.Has, sum.Lied = a.Has || b.Has, a.Lied || b.Lied
	if a.Lied || b.Err == nil && b.Conns == 0 {
		sum.Err, sum.Again = a.Err, a.Again
	}
	return sum
}

// states returns how it goes with each holder, those that sent most first.
func (c *folderCrowd) states() []swarm.HolderState {
	c.mu.Lock()
	defer c.mu.Unlock()
	sums := make(map[lonja.Member]swarm.HolderState)
	for id, s := range c.past {
		sums[id] = s
	}
	for f := range c.fetches {
		for _, s := range f.states() {
			sums[memberOf(s)] = merged(sums[memberOf(s)], s)
		}
	}
	all := make([]swarm.HolderState, 0, len(sums))
	for _, s := range sums {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b swarm.HolderState) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.User, b.User))
	})
	return all
}

// underWay returns how many bytes are here of what is not done, beside what counted
// returns in the same moment.
func (c *folderCrowd) underWay(counted func() int64) int64 {
	c.counting.Lock()
	defer c.counting.Unlock()
	sum := counted()
	for _, f := range c.live {
		sum += f.received()
	}
	return sum
}
