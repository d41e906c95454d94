//go:build interop && linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"lonja"
)

// A meter measures for how long nothing succeeds at one node, while the node
// is there.
type meter struct {
	mu      sync.Mutex
	away    bool
	last    time.Time
	longest time.Duration
	count   int
}

// begin forgets what was measured.
func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.longest, m.count = time.Now(), 0, 0
}

// success notes one. It does not count while the node is away: what it was
// asked before may still be answered.
func (m *meter) success() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.away {
		m.count++
		m.measure()
	}
}

func (m *meter) measure() {
	if !m.away {
		m.longest = max(m.longest, time.Since(m.last))
	}
	m.last = time.Now()
}

func (m *meter) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.measure()
	m.away = away
}

// result returns the longest time without success, and how many there were.
func (m *meter) result() (time.Duration, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.measure()
	return m.longest, m.count
}

// A stay is a directory during one stay of its node: its operations end when
// the node goes away, and writes that were acknowledged are noted.
type stay struct {
	lonja.Directory
	ctx    context.Context // as long as the stay
	writes *meter
}

// do does an operation under ctx, as long as the node is there.
func (d stay) do(ctx context.Context, operation func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.ctx, func() { cancel(errAway) })()
	return operation(ctx)
}

func (d stay) write(ctx context.Context, operation func(context.Context) error) error {
	err := d.do(ctx, operation)
	if err == nil {
		d.writes.success()
	}
	return err
}

func (d stay) Register(ctx context.Context, user lonja.UserName) error {
	return d.write(ctx, func(ctx context.Context) error { return d.Directory.Register(ctx, user) })
}

func (d stay) Publish(ctx context.Context, user lonja.UserName, l lonja.Listing) error {
	return d.write(ctx, func(ctx context.Context) error { return d.Directory.Publish(ctx, user, l) })
}

func (d stay) Delete(ctx context.Context, user lonja.UserName, name lonja.FileName) error {
	return d.write(ctx, func(ctx context.Context) error { return d.Directory.Delete(ctx, user, name) })
}

func (d stay) Connect(ctx context.Context, user lonja.UserName, at lonja.Endpoint) error {
	return d.do(ctx, func(ctx context.Context) error { return d.Directory.Connect(ctx, user, at) })
}

func (d stay) ListUsers(ctx context.Context, user lonja.UserName) (peers lonja.PeerList, err error) {
	err = d.do(ctx, func(ctx context.Context) error {
		peers, err = d.Directory.ListUsers(ctx, user)
		return err
	})
	return peers, err
}

func (d stay) ListContent(ctx context.Context, user, owner lonja.UserName) (listed []lonja.Listing, err error) {
	err = d.do(ctx, func(ctx context.Context) error {
		listed, err = d.Directory.ListContent(ctx, user, owner)
		return err
	})
	return listed, err
}

// A clusterWorker is a crashWorker that has a node it likes, and goes on at
// another while that one is away.
type clusterWorker struct {
	*crashWorker
	home, at int
	lost     int // operations without an answer at nodes that were not away
}

// newClusterWorkers returns some whose users are registered and connected, each
// at its node.
func newClusterWorkers(s *clusterSite) []*clusterWorker {
	var workers []*clusterWorker
	for i, w := range newCrashWorkers() {
		w.mayRefuse = true // a node without its cluster does
		c := &clusterWorker{crashWorker: w, home: i % machines, at: i % machines}
		s.enrol(c.home, w.user)
		w.account = present
		workers = append(workers, c)
	}
	return workers
}

// enrol registers and connects a user at the node of machine i.
func (s *clusterSite) enrol(i int, user lonja.UserName) {
	s.Helper()
	dir := s.nodes[i].dir
	if err := errors.Join(dir.Register(s.Context(), user), dir.Connect(s.Context(), user, somewhere)); err != nil {
		s.Fatal(err)
	}
}

// work does operations until ctx ends.
func (w *clusterWorker) work(ctx context.Context, s *clusterSite) {
	for ctx.Err() == nil {
		if w.at != w.home && s.nodes[w.home].there() {
			w.settle(ctx, s, w.home)
		}
		at := s.nodes[w.at].stay()
		if w.step(s.T, at) {
			continue
		}
		w.giveUp()
		if at.ctx.Err() == nil {
			w.lost++
		}
		w.settle(ctx, s, (w.at+1)%machines)
	}
}

// settle goes to a node, or to the next one that is there.
func (w *clusterWorker) settle(ctx context.Context, s *clusterSite, to int) {
	for ; ctx.Err() == nil && !w.move(ctx, s, to); to = (to + 1) % machines {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// move goes to another node, and waits until that one shows all that others
// have acknowledged: reading one's own writes at once is promised by the node
// that acknowledged them only. False if the node goes away meanwhile.
func (w *clusterWorker) move(ctx context.Context, s *clusterSite, to int) bool {
	w.at = to
	n := s.nodes[to]
	at := n.stay()
	for deadline := time.Now().Add(patience); ctx.Err() == nil; {
		err := w.agrees(ctx, at)
		if err == nil {
			return true
		}
		if lonja.KindOf(err) == lonja.Unavailable {
			return false
		}
		if time.Now().After(deadline) {
			s.Errorf("%s: %v", n, err)
			return true
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return true
}

// giveUp never uses those names again of which it is not known what became of
// them: an operation whose answer was lost may be carried out yet.
func (w *clusterWorker) giveUp() {
	for i := range w.slots {
		if w.files[w.name(i)] == unknown {
			w.slots[i] += crashNames
		}
	}
}

// agrees returns what a node shows differently from what the worker knows.
func (w *clusterWorker) agrees(ctx context.Context, dir lonja.Directory) error {
	if err := dir.Connect(ctx, w.user, somewhere); err != nil && !errors.Is(err, lonja.AlreadyConnected) {
		return err
	}
	listed, err := dir.ListContent(ctx, w.user, w.user)
	if err != nil {
		return err
	}
	for name, known := range w.files {
		there := slices.ContainsFunc(listed, func(l lonja.Listing) bool { return l.Name == name })
		if known == present && !there || known == absent && there {
			return fmt.Errorf("%s is %d, and is listed: %t", name, known, there)
		}
	}
	return nil
}

// readPace is how often a reader reads: often enough to notice when that stops.
const readPace = 20 * time.Millisecond

// read lists the users at the node of machine i until ctx ends. While the node
// is there it answers, and shows everybody who is connected, also at others.
func (s *clusterSite) read(ctx context.Context, i int, everybody []lonja.UserName) {
	n, user := s.nodes[i], readerName(i)
	for tick := time.NewTicker(readPace); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		at := n.stay()
		peers, err := at.ListUsers(context.Background(), user)
		if at.ctx.Err() != nil {
			continue // the node is away
		}
		if err != nil {
			s.Errorf("reading at %s: %v", n, err)
			return
		}
		n.reads.success()
		for _, name := range everybody {
			if _, there := peers.Of(name); !there {
				s.Errorf("%s does not show that %s is connected", n, name)
				return
			}
		}
	}
}

func readerName(i int) lonja.UserName { return lonja.UserName(fmt.Sprint("reader-", i)) }
