// Package directorytest gives tests a directory: the real rules on a store in
// memory. Only tests import it.
package directorytest

import (
	"testing"

	"lonja/internal/directory"
	"lonja/internal/memstore"
	"lonja/internal/store"
)

// New returns a new, empty directory that ends with the test.
func New(t testing.TB) *directory.Directory {
	t.Helper()
	return On(t, memstore.New())
}

// On returns a directory on what s holds. It ends with the test; s does not.
func On(t testing.TB, s store.Store) *directory.Directory {
	t.Helper()
	d, err := directory.Open(t.Context(), directory.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close the directory: %v", err)
		}
	})
	return d
}
