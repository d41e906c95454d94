package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/limits"
	"lonja/internal/memstore"
	"lonja/internal/operator"
	"lonja/internal/store"
)

// scrape returns what Prometheus would get, line by line.
func scrape(t *testing.T, m *Metrics) []string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("got status %d: %s", answer.Code, answer.Body)
	}
	return strings.Split(answer.Body.String(), "\n")
}

// wantLines reports the lines that a scrape lacks.
func wantLines(t *testing.T, m *Metrics, want ...string) {
	t.Helper()
	got := "\n" + strings.Join(scrape(t, m), "\n") + "\n"
	for _, line := range want {
		if !strings.Contains(got, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}

func TestEveryKindHasAStatus(t *testing.T) {
	seen := map[string]bool{statusOK: true}
	for _, kind := range lonja.Kinds() {
		name := statusNames[kind]
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" || seen[name] {
			t.Errorf("%v: status %q is none, or no label, or taken", kind, name)
		}
		seen[name] = true
	}
}

// A failing directory ends every operation with err.
type failing struct{ err error }

func (f failing) Register(context.Context, lonja.UserName) error                { return f.err }
func (f failing) Unregister(context.Context, lonja.UserName) error              { return f.err }
func (f failing) Connect(context.Context, lonja.UserName, lonja.Endpoint) error { return f.err }
func (f failing) Disconnect(context.Context, lonja.UserName) error              { return f.err }
func (f failing) Publish(context.Context, lonja.UserName, lonja.Listing) error  { return f.err }
func (f failing) Delete(context.Context, lonja.UserName, lonja.FileName) error  { return f.err }

func (f failing) ListUsers(context.Context, lonja.UserName) (lonja.PeerList, error) {
	return nil, f.err
}

func (f failing) ListContent(context.Context, lonja.UserName, lonja.UserName) ([]lonja.Listing, error) {
	return nil, f.err
}

func (f failing) Holders(context.Context, lonja.UserName, lonja.FileName) ([]lonja.Holder, error) {
	return nil, f.err
}

func (f failing) Search(context.Context, lonja.UserName, lonja.Query) (lonja.FoundPage, error) {
	return lonja.FoundPage{}, f.err
}

// performAll does each operation once.
func performAll(ctx context.Context, dir lonja.Directory) []error {
	var errs []error
	add := func(_ any, err error) { errs = append(errs, err) }
	add(nil, dir.Register(ctx, "ana"))
	add(nil, dir.Unregister(ctx, "ana"))
	add(nil, dir.Connect(ctx, "ana", lonja.Endpoint{}))
	add(nil, dir.Disconnect(ctx, "ana"))
	add(nil, dir.Publish(ctx, "ana", lonja.Listing{}))
	add(nil, dir.Delete(ctx, "ana", "f"))
	add(dir.ListUsers(ctx, "ana"))
	add(dir.ListContent(ctx, "ana", "luis"))
	add(dir.Holders(ctx, "ana", "f"))
	add(dir.Search(ctx, "ana", lonja.Query{}))
	return errs
}

// TestOperationsAreCounted: each under its own name and status, once.
func TestOperationsAreCounted(t *testing.T) {
	m := NewMetrics("v1")
	full := lonja.E(lonja.Limited, "x", nil)
	for _, err := range []error{nil, full, full} {
		for i, got := range performAll(t.Context(), m.Instrument(failing{err})) {
			if got != err {
				t.Errorf("operation %d: got %v, want %v", i, got, err)
			}
		}
	}
	var want []string
	for _, op := range lonja.Operations() {
		want = append(want,
			fmt.Sprintf(`lonja_operations_total{operation="%s",status="ok"} 1`, op),
			fmt.Sprintf(`lonja_operations_total{operation="%s",status="limited"} 2`, op),
			fmt.Sprintf(`lonja_operations_total{operation="%s",status="internal"} 0`, op),
			fmt.Sprintf(`lonja_operation_seconds_count{operation="%s"} 3`, op))
	}
	wantLines(t, m, want...)
}

// A sick store says that it is.
type sickStore struct{ store.Store }

func (sickStore) Health() error { return errors.New("the disk is gone") }

func TestStoreIsCounted(t *testing.T) {
	m := NewMetrics("v1")
	kept := m.InstrumentStore(memstore.New())
	defer kept.Close()
	two := []store.Change{{Key: "a", Value: []byte{1}}, {Key: "b", Value: []byte{}}}
	if _, err := kept.Apply(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Apply(t.Context(), two); !errors.Is(err, lonja.Conflict) {
		t.Fatal(err)
	}
	told := 0
	err := kept.Feed(t.Context(), func(e store.Event) error {
		if e.Key == "" {
			return errors.New("enough")
		}
		told++
		return nil
	})
	if err == nil || err.Error() != "enough" || told != 2 || kept.Told() != 2 {
		t.Errorf("got %v, %d events and %d counted", err, told, kept.Told())
	}
	wantLines(t, m, "lonja_store_changes_total 2", "lonja_store_write_seconds_count 2",
		`lonja_store_write_failures_total{status="conflict"} 1`, `lonja_store_write_failures_total{status="unavailable"} 0`,
		"lonja_store_events_total 2", "lonja_store_healthy 1")

	sick := NewMetrics("v1")
	sick.InstrumentStore(sickStore{memstore.New()})
	wantLines(t, sick, "lonja_store_healthy 0")
}

// A fixed directory has always the same to say.
type fixed struct {
	stats operator.Stats
	ready error
}

func (f fixed) Stats() operator.Stats { return f.stats }
func (f fixed) Ready() error          { return f.ready }

func TestWatched(t *testing.T) {
	m := NewMetrics("v7")
	m.WatchDirectory(fixed{stats: operator.Stats{
		Accounts: 1, Publications: 2, Connected: 3, BaseNames: 4, Words: 5, Applied: 6, Lag: 7,
	}})
	m.WatchConnections(func() int { return 8 })
	m.WatchOperationLog(func() int { return 9 }, func() uint64 { return 10 })
	for _, reason := range []limits.Reason{limits.None, limits.AddressConnections, limits.UserOperations, limits.UserOperations} {
		m.Limited(reason)
	}
	wantLines(t, m, "lonja_accounts 1", "lonja_publications 2", "lonja_connected_users 3", "lonja_base_names 4",
		"lonja_search_words 5", "lonja_index_applied_revision 6", "lonja_index_lag_revisions 7", "lonja_ready 1",
		"lonja_connections 8", "lonja_operation_log_queue 9", "lonja_operation_log_dropped_total 10",
		`lonja_refused_total{limit="address_connections"} 1`, `lonja_refused_total{limit="address_operations"} 0`,
		`lonja_refused_total{limit="user_operations"} 2`)

	broken := NewMetrics("v7")
	broken.WatchDirectory(fixed{ready: errors.New("not now")})
	wantLines(t, broken, "lonja_ready 0")
}

// BenchmarkInstrument is what counting adds to an operation.
func BenchmarkInstrument(b *testing.B) {
	dir := NewMetrics("v1").Instrument(failing{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = dir.Disconnect(b.Context(), "ana")
		}
	})
}

func BenchmarkInstrumentFailure(b *testing.B) {
	dir := NewMetrics("v1").Instrument(failing{lonja.E(lonja.NoSuchUser, "x", nil)})
	b.ReportAllocs()
	for b.Loop() {
		_ = dir.Disconnect(b.Context(), "ana")
	}
}
