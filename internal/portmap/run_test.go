package portmap

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

func TestMapperTellsNothingAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBox()
		m := newMapper(Options{Port: testPort, Changed: func(s State) { t.Errorf("told %q", s) }})
		m.look = func() network { return home }
		m.find = func(ctx context.Context, at network, port uint16) ([]router, error) {
			cancel() // as one that waits is told
			return b.find(ctx, at, port)
		}
		if err := m.run(ctx); err != nil || len(b.table) > 0 {
			t.Errorf("%v; the router has %v", err, b.table)
		}
	})
}

func TestMapperRunsUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 48*time.Hour - time.Second
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		b := newBox()
		m := newMapper(Options{Port: testPort})
		m.look, m.find = func() network { return home }, b.find
		begun := time.Now()
		if err := m.run(ctx); err != nil || len(b.table) > 0 {
			t.Errorf("%v; the router has %v", err, b.table)
		}
		if took := time.Since(begun); took != length || b.additions != 48*2 {
			t.Errorf("it ran for %v and asked %d times", took, b.additions)
		}
	})
}

func TestRunRefusesPort0(t *testing.T) {
	if err := Run(t.Context(), Options{}); !errors.Is(err, lonja.Invalid) {
		t.Errorf("got %v", err)
	}
}
