package telemetry

import (
	"net/http"
	"runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lonja/internal/limits"
	"lonja/internal/operator"
)

// Metrics are the figures that a directory shows to Prometheus. All methods
// may be called by any number of goroutines, but each Watch once for each
// thing that is watched: a second time panics.
//
// What changes often is counted by wrappers, see Instrument and
// InstrumentStore; what can be asked for is asked for when somebody looks.
type Metrics struct {
	registry   *prometheus.Registry
	operations operationMetrics
	members    memberMetrics
	store      storeMetrics
	refused    []prometheus.Counter // by limits.Reason
}

// latencyBuckets bound the classes of durations, in seconds: from an answer
// out of the index to a disk that is about to give up.
var latencyBuckets = []float64{
	50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10,
}

// NewMetrics returns Metrics that know the Go runtime, the process, and the
// version of the program.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.operations, m.members = newOperationMetrics(m.registry)
	m.store = newStoreMetrics(m.registry)
	m.refused = newRefusals(m.registry)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.gauge(prometheus.Opts{
		Name: "lonja_build_info", Help: "1; its labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	}, func() float64 { return 1 })
	return m
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// A Watched directory tells how it is; operator.Directory is one.
type Watched interface {
	Stats() operator.Stats
	Ready() error
}

// WatchDirectory shows the size of a directory's index, who is connected, and
// whether it can be used. Stats and Ready are called for each scrape.
func (m *Metrics) WatchDirectory(dir Watched) {
	m.registry.MustRegister(newIndexCollector(dir.Stats))
	m.gauge(prometheus.Opts{Name: "lonja_ready", Help: "1 while the directory can be read and written, else 0; /readyz says why."},
		func() float64 { return boolean(dir.Ready() == nil) })
}

// WatchConnections shows how many connections are being served in the classic
// dialect, or have not said yet which one they speak.
func (m *Metrics) WatchConnections(served func() int) {
	m.gauge(prometheus.Opts{Name: "lonja_connections", Help: "Connections of clients being served in the classic protocol, or still silent."},
		func() float64 { return float64(served()) })
}

// WatchSessions shows how many connections are being served in the secure
// dialect, by their carrier.
func (m *Metrics) WatchSessions(served func() (inFrames, overHTTP int)) {
	const help = "Connections of clients being served over TLS."
	m.gauge(prometheus.Opts{Name: "lonja_secure_connections", Help: help, ConstLabels: prometheus.Labels{"carrier": "frames"}},
		func() float64 { n, _ := served(); return float64(n) })
	m.gauge(prometheus.Opts{Name: "lonja_secure_connections", Help: help, ConstLabels: prometheus.Labels{"carrier": "http"}},
		func() float64 { _, n := served(); return float64(n) })
}

// WatchOperationLog shows how many entries wait for the operation log, and how
// many were dropped.
func (m *Metrics) WatchOperationLog(queued func() int, dropped func() uint64) {
	m.gauge(prometheus.Opts{Name: "lonja_operation_log_queue", Help: "Entries that wait for the operation log."},
		func() float64 { return float64(queued()) })
	m.counter(prometheus.Opts{Name: "lonja_operation_log_dropped_total", Help: "Entries that the operation log never got."}, dropped)
}

// Limited counts what was refused for that reason.
func (m *Metrics) Limited(reason limits.Reason) { m.refused[reason].Inc() }

func newRefusals(registry *prometheus.Registry) []prometheus.Counter {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lonja_refused_total", Help: "Connections and requests that were refused because they were over a limit.",
	}, []string{"limit"})
	registry.MustRegister(vec)
	reasons := limits.Reasons()
	refused := make([]prometheus.Counter, slices.Max(reasons)+1)
	for _, reason := range reasons {
		refused[reason] = vec.WithLabelValues(reason.String())
	}
	refused[limits.None] = prometheus.NewCounter(prometheus.CounterOpts{Name: "unused"}) // shown nowhere
	return refused
}

func (m *Metrics) gauge(opts prometheus.Opts, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts), value))
}

func (m *Metrics) counter(opts prometheus.Opts, value func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts(opts), func() float64 { return float64(value()) }))
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
