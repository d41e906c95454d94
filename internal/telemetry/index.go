package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"lonja/internal/operator"
)

// An indexCollector shows all of one operator.Stats, so that the figures of a
// scrape belong together.
type indexCollector struct {
	stats  func() operator.Stats
	values []indexValue
}

type indexValue struct {
	desc *prometheus.Desc
	of   func(operator.Stats) float64
}

func newIndexCollector(stats func() operator.Stats) *indexCollector {
	c := &indexCollector{stats: stats}
	add := func(name, help string, of func(operator.Stats) float64) {
		c.values = append(c.values, indexValue{prometheus.NewDesc(name, help, nil, nil), of})
	}
	add("lonja_accounts", "Accounts.", func(s operator.Stats) float64 { return float64(s.Accounts) })
	add("lonja_publications", "Published files.", func(s operator.Stats) float64 { return float64(s.Publications) })
	add("lonja_connected_users", "Users who are connected.", func(s operator.Stats) float64 { return float64(s.Connected) })
	add("lonja_base_names", "Different base names of published files.", func(s operator.Stats) float64 { return float64(s.BaseNames) })
	add("lonja_search_words", "Different words that a search can find.", func(s operator.Stats) float64 { return float64(s.Words) })
	add("lonja_index_applied_revision", "The store's revision up to which the index has everything.",
		func(s operator.Stats) float64 { return float64(s.Applied) })
	add("lonja_index_lag_revisions", "By how many revisions the index is behind the store.",
		func(s operator.Stats) float64 { return float64(s.Lag) })
	return c
}

// Describe implements prometheus.Collector.
func (c *indexCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, v := range c.values {
		descs <- v.desc
	}
}

// Collect implements prometheus.Collector.
func (c *indexCollector) Collect(metrics chan<- prometheus.Metric) {
	stats := c.stats()
	for _, v := range c.values {
		metrics <- prometheus.MustNewConstMetric(v.desc, prometheus.GaugeValue, v.of(stats))
	}
}
