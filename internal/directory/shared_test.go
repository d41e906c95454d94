package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirtest"
	"lonja/internal/memstore"
	"lonja/internal/store"
)

// openNodes opens directories on one store, as nodes that know of each other.
func openNodes(t *testing.T, s store.Store, count int) []*Directory {
	t.Helper()
	return openNodesWith(t, Options{Store: s, Shared: true, testOnlyBeat: 20 * time.Millisecond}, count)
}

func openNodesWith(t *testing.T, opts Options, count int) []*Directory {
	t.Helper()
	nodes := make([]*Directory, count)
	var opening sync.WaitGroup
	for i := range nodes {
		opening.Go(func() {
			d, err := Open(t.Context(), opts)
			if err != nil {
				t.Errorf("open node %d: %v", i, err)
				return
			}
			nodes[i] = d
			t.Cleanup(func() { _ = d.Close() })
		})
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return nodes
}

// An anyNode sends each operation to another node. A client that does so sees
// presence at once; publications and accounts once its node has them, which it
// waits for here.
type anyNode struct {
	*testing.T
	nodes []*Directory
	turn  *atomic.Int64
}

func (a anyNode) next() *Directory {
	d := a.nodes[int(a.turn.Add(1))%len(a.nodes)]
	barrier, err := d.store.Barrier(context.Background())
	if err == nil {
		err = d.wait(context.Background(), barrier)
	}
	if err != nil {
		a.Errorf("catch up: %v", err)
	}
	return d
}

func (a anyNode) Register(ctx context.Context, u lonja.UserName) error {
	return a.next().Register(ctx, u)
}

func (a anyNode) Unregister(ctx context.Context, u lonja.UserName) error {
	return a.next().Unregister(ctx, u)
}

func (a anyNode) Connect(ctx context.Context, u lonja.UserName, at lonja.Endpoint) error {
	return a.next().Connect(ctx, u, at)
}

func (a anyNode) Disconnect(ctx context.Context, u lonja.UserName) error {
	return a.next().Disconnect(ctx, u)
}

func (a anyNode) Publish(ctx context.Context, u lonja.UserName, l lonja.Listing) error {
	return a.next().Publish(ctx, u, l)
}

func (a anyNode) Delete(ctx context.Context, u lonja.UserName, n lonja.FileName) error {
	return a.next().Delete(ctx, u, n)
}

func (a anyNode) ListUsers(ctx context.Context, u lonja.UserName) (lonja.PeerList, error) {
	return a.next().ListUsers(ctx, u)
}

func (a anyNode) ListContent(ctx context.Context, u, o lonja.UserName) ([]lonja.Listing, error) {
	return a.next().ListContent(ctx, u, o)
}

func (a anyNode) Holders(ctx context.Context, u lonja.UserName, n lonja.FileName) ([]lonja.Holder, error) {
	return a.next().Holders(ctx, u, n)
}

func (a anyNode) Search(ctx context.Context, u lonja.UserName, q lonja.Query) (lonja.FoundPage, error) {
	return a.next().Search(ctx, u, q)
}

// TestContractOnSeveralNodes: three nodes together are one directory.
func TestContractOnSeveralNodes(t *testing.T) {
	dirtest.Run(t, netip.MustParseAddr("127.0.0.1"), func(t *testing.T) lonja.Directory {
		return anyNode{t, openNodes(t, memstore.New(), 3), new(atomic.Int64)}
	})
}

// TestNodeThatLeaves: its users stay connected, and one that comes late learns
// of them.
func TestNodeThatLeaves(t *testing.T) {
	s := memstore.New()
	nodes := openNodes(t, s, 2)
	ctx := t.Context()
	for _, err := range []error{
		nodes[0].Register(ctx, "ana"), nodes[0].Connect(ctx, "ana", somewhere), nodes[0].Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	late := openNodes(t, s, 1)[0]
	for _, d := range []*Directory{nodes[1], late} {
		peers, err := d.ListUsers(ctx, "ana")
		if want := []lonja.Peer{{User: "ana", At: somewhere}}; err != nil || !slices.Equal(slices.Collect(peers.All()), want) {
			t.Errorf("got %v, %v; want %v", peers, err, want)
		}
	}
}

var somewhere = lonja.EndpointFrom(netip.MustParseAddr("192.0.2.1"), 4000)

// A torn is a store whose feeds can be torn off.
type torn struct {
	store.Store
	mu    sync.Mutex
	feeds []context.CancelCauseFunc
	held  chan struct{} // while not nil, new feeds fail
}

var errTorn = lonja.E(lonja.Unavailable, "feed", errors.New("torn off"))

func (s *torn) Feed(ctx context.Context, tell func(store.Event) error) error {
	ctx, tear := context.WithCancelCause(ctx)
	s.mu.Lock()
	s.feeds = append(s.feeds, tear)
	held := s.held != nil
	s.mu.Unlock()
	if held {
		return errTorn
	}
	err := s.Store.Feed(ctx, tell)
	if cause := context.Cause(ctx); errors.Is(cause, errTorn) {
		return cause
	}
	return err
}

func (s *torn) tear(hold bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = nil
	if hold {
		s.held = make(chan struct{})
	}
	for _, tear := range s.feeds {
		tear(errTorn)
	}
	s.feeds = nil
}

// TestFeedTornOff: reads go on, writes are refused, and all is well again when
// the store is back, with what happened meanwhile.
func TestFeedTornOff(t *testing.T) {
	s := &torn{Store: memstore.New()}
	d, err := Open(t.Context(), Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.Register(ctx, "ana"))
	must(d.Connect(ctx, "ana", somewhere))
	must(d.Publish(ctx, "ana", lonja.Listing{Name: "/before"}))

	s.tear(true)
	for d.Ready() == nil { // until it is noticed
	}
	if err := d.Publish(ctx, "ana", lonja.Listing{Name: "/meanwhile"}); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got error %v, want %v", err, lonja.Unavailable)
	}
	if listed, err := d.ListContent(ctx, "ana", "ana"); err != nil || len(listed) != 1 {
		t.Errorf("got %v, %v; want what was there", listed, err)
	}

	s.tear(false)
	deadline := time.Now().Add(30 * time.Second)
	for d.Ready() != nil {
		if time.Now().After(deadline) {
			t.Fatalf("it does not recover: %v", d.Ready())
		}
	}
	must(d.Publish(ctx, "ana", lonja.Listing{Name: "/after"}))
	listed, err := d.ListContent(ctx, "ana", "ana")
	must(err)
	var names []string
	for _, l := range listed {
		names = append(names, l.Name.String())
	}
	if want := []string{"/after", "/before"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if _, err := d.ListUsers(ctx, "ana"); err != nil {
		t.Errorf("presence is lost: %v", err)
	}
}

// TestRestoreSeenByOthers: a backup in which an account was removed and made
// again is restored in that order, so that another node never takes files for
// those of nobody.
func TestRestoreSeenByOthers(t *testing.T) {
	const files = 1500
	from, ctx := open(t, memstore.New()), t.Context()
	s := &interrupted{Store: from.store, between: func() {
		err := errors.Join(from.Unregister(ctx, "ana"), from.Register(ctx, "ana"), from.Connect(ctx, "ana", somewhere))
		for f := range files {
			err = errors.Join(err, from.Publish(ctx, "ana", lonja.Listing{Name: lonja.FileName(fmt.Sprint("/", f))}))
		}
		if err != nil {
			t.Error(err)
		}
	}}
	if err := from.Register(ctx, "ana"); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := store.Backup(ctx, s, &backup); err != nil {
		t.Fatal(err)
	}
	nodes := openNodes(t, memstore.New(), 2)
	if err := nodes[0].Restore(ctx, &backup); err != nil {
		t.Fatal(err)
	}
	other := nodes[1]
	barrier, err := other.store.Barrier(ctx)
	if err := errors.Join(err, other.wait(ctx, barrier)); err != nil {
		t.Fatal(err)
	}
	if a, _ := other.account("ana"); a.Publications != files {
		t.Errorf("the other node has %d publications, want %d", a.Publications, files)
	}
}

// An interrupted is a store on which something happens while its feed begins.
type interrupted struct {
	store.Store
	between func()
}

func (s *interrupted) Feed(ctx context.Context, tell func(store.Event) error) error {
	done := false
	var barrier store.Rev
	return s.Store.Feed(ctx, func(e store.Event) error {
		if e.Key == "" && !done {
			done = true
			s.between()
			var err error
			if barrier, err = s.Store.Barrier(ctx); err != nil {
				return err
			}
			return nil // the beginning goes on until what happened meanwhile has been told
		}
		if err := tell(e); err != nil || !done || e.Rev < barrier {
			return err
		}
		return tell(store.Event{Rev: e.Rev})
	})
}
