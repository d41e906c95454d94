package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lonja"
)

// operationMetrics holds the counters of each operation, looked up once: a
// look-up by labels costs more than many an operation.
type operationMetrics []operationMetric // by lonja.Operation

type operationMetric struct {
	seconds prometheus.Observer
	ok      prometheus.Counter
	failed  []prometheus.Counter // by lonja.Kind
}

func newOperationMetrics(registry *prometheus.Registry) (operationMetrics, memberMetrics) {
	count := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lonja_operations_total", Help: "Operations performed, by how they ended.",
	}, []string{"operation", "status"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "lonja_operation_seconds", Help: "How long operations took in the directory, without the network.",
		Buckets: latencyBuckets,
	}, []string{"operation"})
	registry.MustRegister(count, seconds)

	newMetric := func(name string) operationMetric {
		m := operationMetric{
			seconds: seconds.WithLabelValues(name),
			ok:      count.WithLabelValues(name, statusOK),
			failed:  make([]prometheus.Counter, len(lonja.Kinds())),
		}
		for _, kind := range lonja.Kinds() {
			m.failed[kind] = count.WithLabelValues(name, statusNames[kind])
		}
		return m
	}
	operations := lonja.Operations()
	metrics := make(operationMetrics, operations[len(operations)-1]+1)
	for _, op := range operations {
		metrics[op] = newMetric(op.String())
	}
	members := make(memberMetrics, memberOperationCount)
	for op, name := range memberOperationNames {
		members[op] = newMetric(name)
	}
	return metrics, members
}

// done counts one operation that began at start and ended with err.
func (m *operationMetric) done(start time.Time, err error) {
	m.seconds.Observe(time.Since(start).Seconds())
	m.count(err)
}

// count counts one that is not timed.
func (m *operationMetric) count(err error) {
	if err == nil {
		m.ok.Inc()
		return
	}
	m.failed[lonja.KindOf(err)].Inc()
}

// Instrument returns dir, with its operations counted and timed.
func (m *Metrics) Instrument(dir lonja.Directory) lonja.Directory {
	return &instrumented{dir, m.operations}
}

type instrumented struct {
	dir     lonja.Directory
	metrics operationMetrics
}

// Bound passes on whether a name is bound to keys, for those who ask it of the
// directory.
func (i *instrumented) Bound(user lonja.UserName) bool {
	keyed, ok := i.dir.(interface{ Bound(lonja.UserName) bool })
	return ok && keyed.Bound(user)
}

// Register implements lonja.Accounts.
func (i *instrumented) Register(ctx context.Context, user lonja.UserName) error {
	start := time.Now()
	err := i.dir.Register(ctx, user)
	i.metrics[lonja.OpRegister].done(start, err)
	return err
}

// Unregister implements lonja.Accounts.
func (i *instrumented) Unregister(ctx context.Context, user lonja.UserName) error {
	start := time.Now()
	err := i.dir.Unregister(ctx, user)
	i.metrics[lonja.OpUnregister].done(start, err)
	return err
}

// Connect implements lonja.Accounts.
func (i *instrumented) Connect(ctx context.Context, user lonja.UserName, at lonja.Endpoint) error {
	start := time.Now()
	err := i.dir.Connect(ctx, user, at)
	i.metrics[lonja.OpConnect].done(start, err)
	return err
}

// Disconnect implements lonja.Accounts.
func (i *instrumented) Disconnect(ctx context.Context, user lonja.UserName) error {
	start := time.Now()
	err := i.dir.Disconnect(ctx, user)
	i.metrics[lonja.OpDisconnect].done(start, err)
	return err
}

// Publish implements lonja.Publications.
func (i *instrumented) Publish(ctx context.Context, user lonja.UserName, listing lonja.Listing) error {
	start := time.Now()
	err := i.dir.Publish(ctx, user, listing)
	i.metrics[lonja.OpPublish].done(start, err)
	return err
}

// Delete implements lonja.Publications.
func (i *instrumented) Delete(ctx context.Context, user lonja.UserName, name lonja.FileName) error {
	start := time.Now()
	err := i.dir.Delete(ctx, user, name)
	i.metrics[lonja.OpDelete].done(start, err)
	return err
}

// ListUsers implements lonja.Lookups.
func (i *instrumented) ListUsers(ctx context.Context, user lonja.UserName) (lonja.PeerList, error) {
	start := time.Now()
	peers, err := i.dir.ListUsers(ctx, user)
	i.metrics[lonja.OpListUsers].done(start, err)
	return peers, err
}

// ListContent implements lonja.Lookups.
func (i *instrumented) ListContent(ctx context.Context, user, owner lonja.UserName) ([]lonja.Listing, error) {
	start := time.Now()
	listings, err := i.dir.ListContent(ctx, user, owner)
	i.metrics[lonja.OpListContent].done(start, err)
	return listings, err
}

// Holders implements lonja.Lookups.
func (i *instrumented) Holders(ctx context.Context, user lonja.UserName, name lonja.FileName) ([]lonja.Holder, error) {
	start := time.Now()
	holders, err := i.dir.Holders(ctx, user, name)
	i.metrics[lonja.OpHolders].done(start, err)
	return holders, err
}

// Search implements lonja.Searcher.
func (i *instrumented) Search(ctx context.Context, user lonja.UserName, query lonja.Query) (lonja.FoundPage, error) {
	start := time.Now()
	page, err := i.dir.Search(ctx, user, query)
	i.metrics[lonja.OpSearch].done(start, err)
	return page, err
}
