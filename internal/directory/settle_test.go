package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"lonja"
	"lonja/internal/memstore"
	"lonja/internal/store"
)

// A purgeCounter counts what is purged.
type purgeCounter struct {
	*memstore.Store
	mu     sync.Mutex
	purged map[store.Key]int
	done   chan struct{} // gets one for each
}

func (c *purgeCounter) Purge(ctx context.Context, prefix store.Key) error {
	err := c.Store.Purge(ctx, prefix)
	c.mu.Lock()
	c.purged[prefix]++
	c.mu.Unlock()
	c.done <- struct{}{}
	return err
}

// TestEachIsPurgedOnce: what accounts left behind that are gone is purged at the
// start, all of it, and each account's once.
func TestEachIsPurgedOnce(t *testing.T) {
	const accounts, files = 30, 50
	c := &purgeCounter{Store: memstore.New(), purged: map[store.Key]int{}, done: make(chan struct{}, accounts*files)}
	for a := range accounts {
		var batch []store.Change
		for f := range files {
			batch = append(batch, store.Change{
				Key:   fileKey(lonja.UserName(fmt.Sprint("gone", a)), 7, lonja.FileName(fmt.Sprint("/", f))),
				Value: appendPublication(nil, lonja.Listing{}),
			})
		}
		if _, err := c.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, c)
	for range accounts {
		<-c.done
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if len(c.purged) != accounts {
		t.Errorf("%d accounts were purged, want %d", len(c.purged), accounts)
	}
	for prefix, times := range c.purged {
		if times != 1 {
			t.Errorf("%s was purged %d times", prefix, times)
		}
	}
}

// TestMoreThanOneStep: a user with many files is all there when CONNECT is
// answered, and all gone when DISCONNECT is.
func TestMoreThanOneStep(t *testing.T) {
	const files = 5 * settleSteps
	d := open(t, memstore.New())
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.Register(ctx, "eva"))
	must(d.Connect(ctx, "eva", somewhere))
	must(d.Register(ctx, "ana"))
	must(d.Connect(ctx, "ana", somewhere))
	for f := range files {
		must(d.Publish(ctx, "ana", lonja.Listing{Name: lonja.FileName(fmt.Sprint("/", f))}))
	}
	for range 3 {
		must(d.Disconnect(ctx, "ana"))
		if _, err := d.Holders(ctx, "eva", "/7"); !errors.Is(err, lonja.NoHolder) {
			t.Errorf("got error %v, want %v", err, lonja.NoHolder)
		}
		if page, err := d.Search(ctx, "eva", lonja.Query{Owner: "ana", Limit: 1}); err != nil || page.Found[0].Online != 0 {
			t.Errorf("got %v, %v; want nobody online", page, err)
		}
		must(d.Connect(ctx, "ana", somewhere))
		for f := range files {
			name := lonja.FileName(fmt.Sprint("/", f))
			if holders, err := d.Holders(ctx, "eva", name); err != nil || len(holders) != 1 {
				t.Fatalf("%s: got %v, %v; want one holder", name, holders, err)
			}
		}
	}
	must(d.Unregister(ctx, "ana"))
	if _, err := d.Holders(ctx, "eva", "/7"); !errors.Is(err, lonja.NoHolder) {
		t.Errorf("after UNREGISTER: got error %v, want %v", err, lonja.NoHolder)
	}
}

// TestExclusive: nobody else writes while somebody restores.
func TestExclusive(t *testing.T) {
	d := open(t, memstore.New())
	end, err := d.beginExclusive()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.beginExclusive(); !errors.Is(err, lonja.Conflict) {
		t.Errorf("a second time: got error %v, want %v", err, lonja.Conflict)
	}
	if err := d.Register(t.Context(), "ana"); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got error %v, want %v", err, lonja.Unavailable)
	}
	end()
	if err := d.Register(t.Context(), "ana"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
