package directory_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"lonja"
	"lonja/internal/directory"
	"lonja/internal/memstore"
)

// TestOneAuthority: of the nodes of one store, however they start.
func TestOneAuthority(t *testing.T) {
	kept := memstore.New()
	defer kept.Close()
	open := func(shared bool) *directory.Directory {
		d, err := directory.Open(t.Context(), directory.Options{Store: kept, Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	first, second := open(true), open(true)
	one, two, three := lonja.PeerID{1}, lonja.PeerID{2}, lonja.PeerID{3}

	var starting sync.WaitGroup
	var errs [2]error
	for i, d := range []*directory.Directory{first, second} {
		starting.Go(func() { errs[i] = d.ShareAuthority(t.Context(), []lonja.PeerID{one, two}[i], nil, false) })
	}
	starting.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), lonja.Untrusted) {
		t.Fatalf("of two at once: got %v, want one of them to lose", errs)
	}
	mine := one
	if errs[0] != nil {
		mine = two
	}
	for _, c := range []struct {
		name    string
		d       *directory.Directory
		now     lonja.PeerID
		earlier []lonja.PeerID
		anew    bool
		want    error
	}{
		{"the same on another node", second, mine, nil, false, nil},
		{"another one", first, three, nil, false, lonja.Untrusted},
		{"one that was rotated into", second, three, []lonja.PeerID{mine}, false, nil},
		{"a node that has not heard of it", first, mine, nil, false, lonja.Untrusted},
		{"anew", first, lonja.PeerID{4}, nil, true, nil},
		{"after that", second, three, nil, false, lonja.Untrusted},
		{"on a store that is not shared", open(false), lonja.PeerID{5}, nil, false, nil},
	} {
		if err := c.d.ShareAuthority(context.Background(), c.now, c.earlier, c.anew); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}
