package bench

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
)

// program builds the lonja command once for all tests. It is the real one:
// what Run starts are its subcommands.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lonja-bench-test-")
	if err != nil {
		return "", err
	}
	programDir = dir
	file := filepath.Join(dir, "lonja")
	if out, err := exec.Command("go", "build", "-o", file, "lonja/cmd/lonja").CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return file, nil
})

// programDir is where program has put it, empty if no test needed it.
var programDir string

func TestMain(m *testing.M) {
	status := m.Run()
	if programDir != "" {
		_ = os.RemoveAll(programDir)
	}
	os.Exit(status)
}

// emptyTemp gives the processes of the test a place for their files, and fails
// the test if anything is left there: a process that was stopped leaves none.
func emptyTemp(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

func small(t *testing.T) Options {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	emptyTemp(t)
	return Options{
		Executable: file, Clients: []int{1, 4},
		Services:      []Services{{}, {LoggerRunning, true}},
		LoggerClients: 3,
		Rounds:        1, Duration: 100 * time.Millisecond, Timeout: time.Minute, Seed: 1,
	}
}

func TestRunMeasuresEverything(t *testing.T) {
	opts := small(t)
	var told []int
	opts.Progress = func(done, total int) { told = append(told, done, total) }
	report, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	const trials = 2*2*2 + 3
	if len(report.Results) != trials {
		t.Fatalf("%d results, want %d", len(report.Results), trials)
	}
	throughput := 0.0
	for _, r := range report.Results {
		throughput += r.Throughput // a machine that is busy otherwise may let one trial starve
		if r.PeakMemory == 0 || r.Latency.Max < r.Latency.P99 || r.Wait.P99 < r.Latency.P50 {
			t.Errorf("%+v: not measured: %+v", r.Trial, r)
		}
		if r.Failed() > 0 || r.Undated > 0 {
			t.Errorf("%+v: failures %v, causes %v, undated %d", r.Trial, r.Failures, r.Causes, r.Undated)
		}
	}
	if throughput == 0 {
		t.Error("nothing was done in all trials")
	}
	if len(told) != 2*(trials+1) || told[0] != 0 || told[len(told)-2] != trials || told[1] != trials {
		t.Errorf("progress was told as %v", told)
	}
	if points, effects := report.Points(), report.LoggerEffects(); len(points) != 4 || len(effects) != 3 {
		t.Errorf("%d points and %d effects, want 4 and 3", len(points), len(effects))
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	opts := small(t)
	opts.Duration = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opts.Services = []Services{{LoggerStopped, true}}
	opts.Progress = func(int, int) { time.AfterFunc(300*time.Millisecond, cancel) } // in the middle of the load
	if _, err := Run(ctx, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v, want the end of its context", err)
	}
}

// TestRunNamesTheProcessThatFails starts a program that is no lonja.
func TestRunNamesTheProcessThatFails(t *testing.T) {
	opts := small(t)
	opts.Executable = "/bin/sh" // it finds no script called "bench"
	_, err := Run(t.Context(), opts)
	if err == nil || !strings.Contains(err.Error(), "lonja bench") || !strings.Contains(err.Error(), "limit with 1 clients") {
		t.Errorf("error %v does not name the process and the measurement", err)
	}
	opts.Executable = filepath.Join(t.TempDir(), "missing")
	if _, err := Run(t.Context(), opts); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that the program does not exist", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{
		Clients: []int{1}, Services: []Services{{}}, Rounds: 1, Duration: 1, Timeout: 1,
	}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		spoil func(*Options)
	}{
		{"no client", func(o *Options) { o.Clients = []int{0} }},
		{"more clients than files", func(o *Options) { o.Clients = []int{1 << 30} }},
		{"more logger clients than files", func(o *Options) { o.LoggerClients = 1 << 30 }},
		{"descending clients", func(o *Options) { o.Clients = []int{3, 1} }},
		{"negative logger clients", func(o *Options) { o.LoggerClients = -1 }},
		{"no rounds", func(o *Options) { o.Rounds = 0 }},
		{"no duration", func(o *Options) { o.Duration = 0 }},
		{"no timeout", func(o *Options) { o.Timeout = 0 }},
		{"negative warm-up", func(o *Options) { o.Warmup = -1 }},
		{"nothing to do", func(o *Options) { o.Clients = nil }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bad := good
			test.spoil(&bad)
			if _, err := Run(t.Context(), bad); !errors.Is(err, lonja.Invalid) {
				t.Errorf("got %v, want an error of kind Invalid", err)
			}
		})
	}
}

func TestPlanTakesTurns(t *testing.T) {
	plan := Options{
		Clients: []int{1, 3}, Services: []Services{{}}, LoggerClients: 5, Rounds: 2,
	}.plan()
	both := func(l LoggerState) Services { return Services{l, true} }
	want := []Trial{
		{Services{}, 1, Limit, 1, false},
		{Services{}, 1, Lonja, 1, false},
		{Services{}, 1, Lonja, 2, false},
		{Services{}, 1, Limit, 2, false},
		{Services{}, 3, Limit, 1, false},
		{Services{}, 3, Lonja, 1, false},
		{Services{}, 3, Lonja, 2, false},
		{Services{}, 3, Limit, 2, false},
		{both(NoLogger), 5, Lonja, 1, true},
		{both(LoggerRunning), 5, Lonja, 1, true},
		{both(LoggerStopped), 5, Lonja, 1, true},
		{both(LoggerStopped), 5, Lonja, 2, true},
		{both(LoggerRunning), 5, Lonja, 2, true},
		{both(NoLogger), 5, Lonja, 2, true},
	}
	if len(plan) != len(want) {
		t.Fatalf("%d trials, want %d", len(plan), len(want))
	}
	for i := range want {
		if plan[i] != want[i] {
			t.Errorf("trial %d is %+v, want %+v", i, plan[i], want[i])
		}
	}
}

func TestServicesHaveNames(t *testing.T) {
	for _, logger := range []LoggerState{NoLogger, LoggerRunning, LoggerStopped} {
		for _, datetime := range []bool{false, true} {
			services := Services{logger, datetime}
			if got, err := ParseServices(services.String()); got != services || err != nil {
				t.Errorf("%q means %+v, %v, want %+v", services, got, err, services)
			}
		}
	}
	if _, err := ParseServices("all"); err == nil || !strings.Contains(err.Error(), "both") {
		t.Errorf("error %v does not say what there is", err)
	}
}
