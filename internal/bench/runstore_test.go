package bench

import (
	"bytes"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lonja"
)

// shortly is how long tests measure: some answers must come even where many
// tests share a slow disk.
const shortly = 500 * time.Millisecond

func TestRunStoreMeasuresEveryPath(t *testing.T) {
	emptyTemp(t)
	var told []int
	report, err := RunStore(t.Context(), StoreOptions{
		Writers: []int{1, 8}, Rounds: 2, Duration: shortly,
		Progress: func(done, total int) { told = append(told, done, total) },
	})
	if err != nil {
		t.Fatal(err)
	}
	checkStoreReport(t, report, []int{1, 8}, 2)
	const trials = 2 * int(pathCount) * 2
	if len(told) != 2*(trials+1) || told[len(told)-2] != trials || told[len(told)-1] != trials {
		t.Errorf("progress told %v", told)
	}
}

func checkStoreReport(t *testing.T, r *StoreReport, writers []int, rounds int) {
	t.Helper()
	if want := len(writers) * int(pathCount); len(r.Points) != want || len(r.Results) != want*rounds {
		t.Fatalf("%d points and %d results", len(r.Points), len(r.Results))
	}
	for i, p := range r.Points {
		if p.Writers != writers[i/int(pathCount)] || p.Path != WritePath(i%int(pathCount)) {
			t.Errorf("point %d is %s with %d clients", i, p.Path, p.Writers)
		}
		if p.Rate <= 0 || p.OfBare <= 0 || p.Path == BarePath && p.OfBare != 1 || !ascends(p.Latency) {
			t.Errorf("implausible: %+v", p)
		}
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Error(err)
	}
	for _, want := range []string{r.Engine, "bare", "store", "publish", "of bare"} {
		if !bytes.Contains(table.Bytes(), []byte(want)) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}

// ascends reports whether a latency is one of something that took time.
func ascends(l Latency) bool { return 0 < l.P50 && l.P50 <= l.P90 && l.P90 <= l.P99 && l.P99 <= l.Max }

func TestRunStoreRefusesNonsense(t *testing.T) {
	right := StoreOptions{Writers: []int{1}, Rounds: 1, Duration: time.Second}
	tests := map[string]func(*StoreOptions){
		"no clients":   func(o *StoreOptions) { o.Writers = nil },
		"zero clients": func(o *StoreOptions) { o.Writers = []int{4, 0} },
		"no rounds":    func(o *StoreOptions) { o.Rounds = 0 },
		"no time":      func(o *StoreOptions) { o.Duration = 0 },
		"less warmup":  func(o *StoreOptions) { o.Warmup = -1 },
	}
	for name, spoil := range tests {
		o := right
		spoil(&o)
		if _, err := RunStore(t.Context(), o); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBareLogKeepsRows makes sure that the limit does what it is the limit of.
func TestBareLogKeepsRows(t *testing.T) {
	dir := t.TempDir()
	l, err := openBareLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 50
	var adding sync.WaitGroup
	for w := range writers {
		adding.Go(func() {
			for n := range each {
				if err := l.add(t.Context(), string(writtenKey(w, n)), writtenValue()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	adding.Wait()
	if err := l.add(t.Context(), string(writtenKey(0, 0)), nil); err == nil {
		t.Error("a key was taken twice")
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.Join(dir, "bare.db")}).EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT count(DISTINCT key) FROM records").Scan(&n); n != writers*each || err != nil {
		t.Errorf("%d rows, %v; want %d", n, err, writers*each)
	}
}

// TestFirstErrorEndsWriters: no trial goes on with a store that refuses.
func TestFirstErrorEndsWriters(t *testing.T) {
	e, err := place{disk: t.TempDir()}.openEngine(t.Context(), StorePath, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.write(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := keepWriting(t.Context(), 2, window{time.Now(), time.Now().Add(time.Hour)}, e.write); !errors.Is(err, lonja.Conflict) {
		t.Errorf("a key that was there gave %v", err)
	}
	if err := e.close(); err != nil {
		t.Error(err)
	}
}

func TestDiskDirIsWhereItIsWanted(t *testing.T) {
	base := t.TempDir()
	dir, err := DiskDir(base)
	if err != nil || filepath.Dir(dir) != base {
		t.Errorf("got %s, %v, want it in %s", dir, err, base)
	}
	if _, err := DiskDir(filepath.Join(base, "missing")); err == nil {
		t.Error("a directory below none")
	}
	if !inMemory("/dev/shm") || inMemory("/proc") {
		t.Error("tmpfs is not known")
	}
}
