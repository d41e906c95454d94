package natsstore

import (
	"sync"
	"testing"
)

// TestOpenTogether: nodes that start at one moment, each at another server,
// where there is no stream yet, all come to use the same one.
func TestOpenTogether(t *testing.T) {
	for range 5 {
		name := newName()
		var opening sync.WaitGroup
		for i := range 3 {
			dir := t.TempDir()
			opening.Go(func() {
				s, err := Open(t.Context(), Options{Servers: tests.shared.URL(i), Name: name, Dir: dir})
				if err != nil {
					t.Errorf("node %d: %v", i, err)
					return
				}
				_ = s.Close()
			})
		}
		opening.Wait()
	}
}
