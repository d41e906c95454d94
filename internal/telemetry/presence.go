package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"lonja/internal/presence"
)

// WatchPresence shows the leases that this node holds, and the nodes that it
// hears. Stats is called for each scrape.
func (m *Metrics) WatchPresence(stats func() presence.Stats) {
	show := func(name, help string, of func(presence.Stats) int) {
		m.gauge(prometheus.Opts{Name: name, Help: help}, func() float64 { return float64(of(stats())) })
	}
	show("lonja_presence_leases_held", "Connected users that this node keeps connected.",
		func(s presence.Stats) int { return s.Held })
	show("lonja_presence_nodes", "Nodes of the directory that are alive, with this one.",
		func(s presence.Stats) int { return s.Nodes })
	show("lonja_presence_behind", "Of them, how many have told what is not known here yet.",
		func(s presence.Stats) int { return s.Behind })
}

// WatchProbes shows how probes of users ended, each of the outcomes from the
// beginning, and returns what counts one. That may be called by any number of
// goroutines.
func (m *Metrics) WatchProbes(outcomes []string) (ended func(outcome string)) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lonja_probes_total", Help: "Probes whether a connected user still listens.",
	}, []string{"outcome"})
	m.registry.MustRegister(vec)
	for _, outcome := range outcomes {
		vec.WithLabelValues(outcome)
	}
	return func(outcome string) { vec.WithLabelValues(outcome).Inc() }
}
