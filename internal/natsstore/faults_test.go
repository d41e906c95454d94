//go:build interop

package natsstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"lonja"
	"lonja/internal/natsstore/natscluster"
	"lonja/internal/store"
)

// leader returns the index of the node that leads s's stream.
func leader(t *testing.T, c *natscluster.Cluster, s *Store) int {
	t.Helper()
	i, err := c.Leader(t.Context(), s.name)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func ready(t *testing.T, c *natscluster.Cluster, s *Store) {
	t.Helper()
	if err := errors.Join(c.WaitReady(t.Context()), c.WaitCurrent(t.Context(), s.name)); err != nil {
		t.Fatal(err)
	}
}

// contents returns the records that a new feed of s tells.
func contents(t *testing.T, s *Store) map[store.Key]string {
	t.Helper()
	got, err := tryContents(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func tryContents(t *testing.T, s *Store) (map[store.Key]string, error) {
	got := map[store.Key]string{}
	err := s.Feed(t.Context(), func(e store.Event) error {
		switch {
		case e.Key == "":
			return errEnough
		case e.Value == nil:
			delete(got, e.Key)
		default:
			got[e.Key] = string(e.Value)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return got, err
}

// A race is writers that want the same names, through several nodes.
type race struct {
	mu      sync.Mutex
	winners map[store.Key][]string
	unknown map[store.Key][]string // were told neither that they won nor that they lost
	won     atomic.Int64
	running sync.WaitGroup
	stop    context.CancelFunc
}

func startRace(t *testing.T, nodes []*Store) *race {
	ctx, stop := context.WithCancel(t.Context())
	r := &race{winners: map[store.Key][]string{}, unknown: map[store.Key][]string{}, stop: stop}
	for i, s := range nodes {
		for j := range 8 {
			r.running.Go(func() { r.write(ctx, t, s, fmt.Sprintf("%d/%d", i, j)) })
		}
	}
	return r
}

func (r *race) write(ctx context.Context, t *testing.T, s *Store, who string) {
	for n := 0; ctx.Err() == nil; n++ {
		key := store.Key(fmt.Sprintf("name/%d", n))
		_, err := s.Apply(context.Background(), []store.Change{{Key: key, Value: []byte(who)}})
		r.mu.Lock()
		switch {
		case err == nil:
			r.winners[key] = append(r.winners[key], who)
			r.won.Add(1)
		case errors.Is(err, lonja.Unavailable):
			r.unknown[key] = append(r.unknown[key], who)
		case !errors.Is(err, lonja.Conflict):
			t.Errorf("apply: %v", err)
		}
		r.mu.Unlock()
	}
}

// goOn waits until n more names are won.
func (r *race) goOn(t *testing.T, n int64) {
	t.Helper()
	goal := r.won.Load() + n
	for deadline := time.Now().Add(60 * time.Second); r.won.Load() < goal; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is written any more")
		}
	}
}

// check ends the race and compares who won with what each node sees.
func (r *race) check(t *testing.T, nodes []*Store) {
	t.Helper()
	r.stop()
	r.running.Wait()
	for i, s := range nodes {
		got := contents(t, s)
		for key, winners := range r.winners {
			if len(winners) > 1 || got[key] != winners[0] {
				t.Errorf("node %d: %s is %q's, and was won by %q", i, key, got[key], winners)
			}
		}
		for key, owner := range got {
			if len(r.winners[key]) == 0 && !slices.Contains(r.unknown[key], owner) {
				t.Errorf("node %d: %s is %q's, who was told to have lost it", i, key, owner)
			}
		}
	}
	t.Logf("%d names, %d without an answer", len(r.winners), len(r.unknown))
}

// TestLeaderKilled: the leader dies again and again under racing writers, and a
// feed goes on all the time.
func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	name := newName()
	nodes := []*Store{mustOpen(t, c, Options{Name: name}), mustOpen(t, c, Options{Name: name})}
	seen := newFollower(t, nodes[1])
	r := startRace(t, nodes)
	for range 2 {
		r.goOn(t, 200)
		i := leader(t, c, nodes[0])
		c.Kill(i)
		r.goOn(t, 50)
		if err := c.Restart(i); err != nil {
			t.Fatal(err)
		}
		ready(t, c, nodes[0])
	}
	r.goOn(t, 50)
	r.check(t, nodes)
	seen.check(t, nodes[0])
}

// TestLeaderPaused: the leader freezes, so that answers are lost but not
// connections, and comes back as one that is none any more.
func TestLeaderPaused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	name := newName()
	nodes := []*Store{mustOpen(t, c, Options{Name: name}), mustOpen(t, c, Options{Name: name})}
	seen := newFollower(t, nodes[1])
	r := startRace(t, nodes)
	for range 2 {
		r.goOn(t, 200)
		i := leader(t, c, nodes[0])
		c.Pause(i)
		r.goOn(t, 50)
		c.Resume(i)
		ready(t, c, nodes[0])
	}
	r.check(t, nodes)
	seen.check(t, nodes[0])
}

// TestOwnWriteIsNoConflict: one writer alone, whose answers are lost in
// elections, never hears that somebody else was there.
func TestOwnWriteIsNoConflict(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	s := mustOpen(t, c, Options{})
	i := leader(t, c, s)
	paused := make(chan struct{})
	var writing sync.WaitGroup
	for w := range 32 {
		writing.Go(func() {
			var rev store.Rev
			for n := 0; ; n++ {
				next, err := s.Apply(context.Background(), []store.Change{{Key: store.Key(fmt.Sprint(w)), Value: fmt.Append(nil, n), Expect: rev}})
				if err != nil {
					t.Errorf("apply: %v", err)
					return
				}
				rev = next
				select {
				case <-paused:
					return
				default:
				}
			}
		})
	}
	for before := s.highest.Load(); s.highest.Load() < before+200; {
		time.Sleep(time.Millisecond)
	}
	c.Pause(i)
	close(paused) // what is under way has no answer
	writing.Wait()
	c.Resume(i)
}

// TestLaggingReplica: a feed that is served by a replica which has just come
// back does not take its short stream for all there is.
func TestLaggingReplica(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	s := mustOpen(t, c, Options{})
	put(t, s, "first", "x", 0)
	follower := (leader(t, c, s) + 1) % 3
	const batches = 40
	c.Kill(follower)
	for i := range batches {
		batch := make([]store.Change, store.MaxBatch)
		for j := range batch {
			batch[j] = store.Change{Key: store.Key(fmt.Sprintf("k/%d/%d", i, j)), Value: []byte("x")}
		}
		if _, err := s.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Restart(follower); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, c, Options{Name: s.name, Servers: c.URL(follower)})
	for range 5 { // the reader is placed anywhere
		if got, want := len(contents(t, other)), 1+batches*store.MaxBatch; got != want {
			t.Errorf("got %d records, want %d", got, want)
		}
	}
}

// TestFlippedBit: a bit that flips on the disk of one replica is healed by the
// others. If the server was stopped in order, which it does not notice, the
// feed does: it never passes for whole without the record, and another replica
// is read the next time.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	s := mustOpen(t, c, Options{})
	const records = 500
	for i := range records {
		put(t, s, store.Key(fmt.Sprintf("k/%d", i)), fmt.Sprintf("value-of-%d", i), 0)
	}
	ready(t, c, s)
	victim := leader(t, c, s)
	c.Shutdown(victim)
	flipBit(t, c.Data(victim), []byte("value-of-250"))
	if err := c.Restart(victim); err != nil {
		t.Fatal(err)
	}
	ready(t, c, s)
	keepMarking(t, s)
	whole := func(times int) (damaged int) {
		for range times {
			got, err := tryContents(t, s)
			if errors.Is(err, lonja.Damaged) {
				damaged++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range records {
				if key := store.Key(fmt.Sprintf("k/%d", i)); got[key] != fmt.Sprintf("value-of-%d", i) {
					t.Errorf("%s is %q, and the feed does not complain", key, got[key])
				}
			}
		}
		return damaged
	}
	if damaged := whole(20); damaged > 1 {
		t.Errorf("the damaged replica was asked %d times", damaged)
	}
	c.Shutdown(victim)
	indexes, err := filepath.Glob(filepath.Join(c.Data(victim), "jetstream", "*", "streams", s.name, "msgs", "index.db"))
	if err != nil || len(indexes) != 1 {
		t.Fatalf("got %v, %v; want one index", indexes, err)
	}
	if err := os.Remove(indexes[0]); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(victim); err != nil {
		t.Fatal(err)
	}
	ready(t, c, s)
	s.short = nil
	if damaged := whole(10); damaged > 0 {
		t.Errorf("it was not healed: %d", damaged)
	}
}

// keepMarking has another node of the directory write its marks, which come
// between a feed's own mark and the leader's count.
func keepMarking(t *testing.T, s *Store) {
	ctx, stop := context.WithCancel(t.Context())
	var marking sync.WaitGroup
	marking.Go(func() {
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				_, _, _ = s.request(ctx, nats.NewMsg(s.name+markSubject)) // while the node restarts none is written
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() {
		stop()
		marking.Wait()
	})
}

// flipBit flips one bit in what, wherever a block of a stream below dir has it.
func flipBit(t *testing.T, dir string, what []byte) {
	t.Helper()
	flipped := 0
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range blocks {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(content, what); i >= 0 {
			content[i] ^= 0x10
			flipped++
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if flipped == 0 {
		t.Fatalf("%q is in none of %v", what, blocks)
	}
}

// TestServerComesBackUnsynced: a server that was away when the others were
// asked is asked once it is back.
func TestServerComesBackUnsynced(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	s := mustOpen(t, c, Options{})
	i := (leader(t, c, s) + 1) % 3
	c.Kill(i)
	other := mustOpen(t, c, Options{Name: s.name}) // two of three are enough
	if err := c.SetUnsynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(i); err != nil {
		t.Fatal(err)
	}
	ready(t, c, s)
	other.keepSafe()
	if err := other.Health(); err == nil || !bytes.Contains([]byte(err.Error()), []byte("syncs now and then only")) {
		t.Errorf("got health %v, want that a server does not sync", err)
	}
}

// TestNoMajority: while most servers are down writes are refused and Health
// says so; afterwards all goes on by itself, feeds among it.
func TestNoMajority(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	s := mustOpen(t, c, Options{})
	seen := newFollower(t, s)
	put(t, s, "before", "x", 0)
	c.Kill(0)
	c.Kill(1)
	if _, err := s.Apply(t.Context(), []store.Change{{Key: "meanwhile", Value: []byte("x")}}); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("apply: got error %v, want kind %v", err, lonja.Unavailable)
	}
	if err := s.Health(); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("health: got error %v, want kind %v", err, lonja.Unavailable)
	}
	if err := errors.Join(c.Restart(0), c.Restart(1)); err != nil {
		t.Fatal(err)
	}
	ready(t, c, s)
	put(t, s, "after", "x", 0)
	if err := s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	seen.check(t, s)
}

// TestEverythingRestarted: all servers one after the other, in order and not,
// and then all at once, under a node that stays.
func TestEverythingRestarted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	s := mustOpen(t, c, Options{})
	seen := newFollower(t, s)
	r := startRace(t, []*Store{s})
	for i := range 3 {
		r.goOn(t, 50)
		c.Shutdown(i)
		if err := c.Restart(i); err != nil {
			t.Fatal(err)
		}
		ready(t, c, s)
	}
	r.goOn(t, 50)
	for i := range 3 {
		c.Kill(i)
	}
	for i := range 3 {
		if err := c.Restart(i); err != nil {
			t.Fatal(err)
		}
	}
	ready(t, c, s)
	r.goOn(t, 50)
	r.check(t, []*Store{s})
	seen.check(t, s)
}

// A follower is a feed that goes on in the background.
type follower struct {
	mu     sync.Mutex
	values map[store.Key]string
	rev    store.Rev
	moved  chan struct{}
}

func newFollower(t *testing.T, s *Store) *follower {
	f := &follower{values: map[store.Key]string{}, moved: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Feed(ctx, f.take); !errors.Is(err, lonja.Canceled) {
			t.Errorf("feed: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return f
}

func (f *follower) take(e store.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case e.Key == "":
		f.rev = e.Rev
	case e.Value == nil:
		delete(f.values, e.Key)
	default:
		f.values[e.Key] = string(e.Value)
	}
	select {
	case f.moved <- struct{}{}:
	default:
	}
	return nil
}

// check waits until the follower has all, and compares it with a new feed.
func (f *follower) check(t *testing.T, s *Store) {
	t.Helper()
	barrier, err := s.Barrier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := contents(t, s)
	for late := time.After(30 * time.Second); ; {
		f.mu.Lock()
		if f.rev >= barrier {
			break
		}
		f.mu.Unlock()
		select {
		case <-f.moved:
		case <-late:
			t.Fatal("the feed does not come to the barrier")
		}
	}
	defer f.mu.Unlock()
	if len(f.values) != len(want) {
		t.Errorf("the feed has told %d records, a new one tells %d", len(f.values), len(want))
	}
	for key, value := range want {
		if f.values[key] != value {
			t.Errorf("the feed has told %s=%q, a new one tells %q", key, f.values[key], value)
		}
	}
}
