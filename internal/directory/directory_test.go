package directory

import (
	"net/netip"
	"testing"

	"lonja"
	"lonja/internal/dirtest"
	"lonja/internal/memstore"
	"lonja/internal/store"
)

// inMemory returns a new, empty Directory.
func inMemory(t *testing.T) *Directory {
	t.Helper()
	return openOn(t, memstore.New())
}

func openOn(t *testing.T, s store.Store) *Directory {
	t.Helper()
	d, err := Open(t.Context(), Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func TestContract(t *testing.T) {
	dirtest.Run(t, netip.MustParseAddr("127.0.0.1"), func(t *testing.T) lonja.Directory { return inMemory(t) })
}

func TestListContentKeepsDescriptions(t *testing.T) {
	d := inMemory(t)
	for _, err := range []error{
		d.Register(t.Context(), "ana"),
		d.Connect(t.Context(), "ana", lonja.Endpoint{}),
		d.Publish(t.Context(), "ana", lonja.Listing{Name: "/f", Description: "a file"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.ListContent(t.Context(), "ana", "ana")
	if err != nil || len(got) != 1 || got[0].Description != "a file" {
		t.Errorf("got %v, %v; want the description that was published", got, err)
	}
}
