package natsstore

import (
	"testing"

	"lonja/internal/store"
	"lonja/internal/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return mustOpen(t, nil, Options{}) })
}
