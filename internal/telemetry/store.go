package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lonja"
	"lonja/internal/store"
)

// storeMetrics holds the counters of a store, looked up once.
type storeMetrics struct {
	seconds prometheus.Observer
	changes prometheus.Counter
	failed  []prometheus.Counter // by lonja.Kind
}

func newStoreMetrics(registry *prometheus.Registry) storeMetrics {
	seconds := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "lonja_store_write_seconds", Help: "How long writes took until they were durable, the waiting for their turn included.",
		Buckets: latencyBuckets,
	})
	changes := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "lonja_store_changes_total", Help: "Changes that were made durable.",
	})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lonja_store_write_failures_total", Help: "Writes that failed; status conflict is no fault, but two who wanted the same.",
	}, []string{"status"})
	registry.MustRegister(seconds, changes, failures)
	m := storeMetrics{seconds: seconds, changes: changes, failed: make([]prometheus.Counter, len(lonja.Kinds()))}
	for _, kind := range lonja.Kinds() {
		m.failed[kind] = failures.WithLabelValues(statusNames[kind])
	}
	return m
}

// InstrumentStore returns s with its writes timed and its feeds counted, and
// shows whether the engine is healthy, which each scrape asks it. It may be
// called once.
func (m *Metrics) InstrumentStore(s store.Store) *Store {
	watched := &Store{Store: s, metrics: m.store}
	m.gauge(prometheus.Opts{Name: "lonja_store_healthy", Help: "1 while the engine can be read and written, else 0; /readyz says why."},
		func() float64 { return boolean(s.Health() == nil) })
	m.counter(prometheus.Opts{Name: "lonja_store_events_total", Help: "Records and changes that the store told: to the index, and to backups and checks."}, watched.Told)
	return watched
}

// A Store is a store.Store whose work is counted.
type Store struct {
	store.Store
	metrics storeMetrics
	told    atomic.Uint64
}

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, batch []store.Change) (store.Rev, error) {
	start := time.Now()
	rev, err := s.Store.Apply(ctx, batch)
	s.metrics.seconds.Observe(time.Since(start).Seconds())
	if err != nil {
		s.metrics.failed[lonja.KindOf(err)].Inc()
		return rev, err
	}
	s.metrics.changes.Add(float64(len(batch)))
	return rev, nil
}

// Feed implements store.Store.
func (s *Store) Feed(ctx context.Context, tell func(store.Event) error) error {
	return s.Store.Feed(ctx, func(e store.Event) error {
		if e.Key != "" {
			s.told.Add(1)
		}
		return tell(e)
	})
}

// Told returns how many records and changes the feeds have told so far: while
// an index is being built, how far that is.
func (s *Store) Told() uint64 { return s.told.Load() }
