package telemetry

import (
	"testing"

	"lonja/internal/presence"
)

func TestPresenceAndProbes(t *testing.T) {
	m := NewMetrics("v1")
	m.WatchPresence(func() presence.Stats { return presence.Stats{Leases: 9, Held: 4, Nodes: 3, Behind: 1} })
	ended := m.WatchProbes([]string{"reached", "silent"})
	ended("reached")
	ended("reached")
	wantLines(t, m, `lonja_presence_leases_held 4`, `lonja_presence_nodes 3`, `lonja_presence_behind 1`,
		`lonja_probes_total{outcome="reached"} 2`, `lonja_probes_total{outcome="silent"} 0`)
}
