package memstore

import (
	"testing"

	"lonja/internal/store"
	"lonja/internal/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return New() })
}
