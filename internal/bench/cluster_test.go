package bench

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"lonja/internal/natsstore"
	"lonja/internal/natsstore/natscluster"
)

// newCluster starts a cluster of three nodes for the length of the test. Its
// data are where temporary files go, which should be a disk.
func newCluster(tb testing.TB) *natsstore.Options {
	tb.Helper()
	server, err := natscluster.Build(tb.Context(), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	c, err := natscluster.Start(tb.Context(), natscluster.Options{Server: server, Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Stop)
	return &natsstore.Options{Servers: c.URLs()}
}

func TestClusterIsMeasuredAndLeftEmpty(t *testing.T) {
	cluster := newCluster(t)
	o := fewListings(t)
	o.Cluster, o.Unique, o.Rounds, o.Duration = cluster, []bool{false}, 1, shortly
	index, err := RunIndex(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkIndexReport(t, index, o)
	store, err := RunStore(t.Context(), StoreOptions{Cluster: cluster, Writers: []int{8}, Rounds: 1, Duration: 2 * shortly})
	if err != nil {
		t.Fatal(err)
	}
	checkStoreReport(t, store, []int{8}, 1)

	conn, js, err := connectCluster(*cluster, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	streams := js.StreamNames(t.Context(), jetstream.WithStreamListSubject(">"))
	for name := range streams.Name() {
		t.Errorf("stream %s is left", name)
	}
	if err := streams.Err(); err != nil {
		t.Error(err)
	}
}

// The benchmarks start a cluster of three nodes and measure it as "lonja bench
// store" and "lonja bench index" do, and print the same tables. Once is enough:
// -benchtime 1x.

func BenchmarkClusterStore(b *testing.B) {
	cluster := newCluster(b)
	for b.Loop() {
		report, err := RunStore(b.Context(), StoreOptions{
			Cluster: cluster, Writers: DefaultWriters(),
			Rounds: DefaultRounds, Duration: DefaultDuration, Warmup: DefaultWarmup,
		})
		if err != nil {
			b.Fatal(err)
		}
		printTable(b, report)
		b.ReportMetric(report.point(256, StorePath).OfBare, "of-bare")
	}
}

func BenchmarkClusterIndex(b *testing.B) {
	cluster := newCluster(b)
	file, err := program()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		report, err := RunIndex(b.Context(), IndexOptions{
			Executable: file, Cluster: cluster, Users: DefaultUsers, PerUser: DefaultPerUser,
			Unique: []bool{false, true}, Seed: 1, Asked: 10 * time.Second, Writers: 16,
			Rounds: 1, Duration: DefaultDuration,
		})
		if err != nil {
			b.Fatal(err)
		}
		printTable(b, report)
	}
}

// printTable prints a report: what a benchmark logs is cut off.
func printTable(b *testing.B, report interface{ WriteTable(w io.Writer) error }) {
	b.Helper()
	if err := report.WriteTable(os.Stdout); err != nil {
		b.Fatal(err)
	}
}
