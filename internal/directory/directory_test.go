package directory_test

import (
	"net/netip"
	"testing"

	"lonja"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirtest"
)

func TestContract(t *testing.T) {
	dirtest.Run(t, netip.MustParseAddr("127.0.0.1"), func(t *testing.T) lonja.Directory { return directorytest.New(t) })
}

func TestSizesAreSearched(t *testing.T) {
	dirtest.RunSizes(t, func(t *testing.T) lonja.Directory { return directorytest.New(t) })
}

func TestListContentKeepsDescriptions(t *testing.T) {
	d := directorytest.New(t)
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
