package bench

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lonja"
)

// measured returns the result of a trial with round figures.
func measured(services Services, clients int, target Target, round int, throughput float64) Result {
	ms := time.Duration(clients) * time.Millisecond
	return Result{
		Trial:      Trial{Services: services, Clients: clients, Target: target, Round: round},
		Throughput: throughput,
		Latency:    Latency{P50: ms, P90: 2 * ms, P99: 3 * ms, Max: time.Duration(3+round) * ms},
		Wait:       Latency{P50: 2 * ms, P99: 7 * ms, Max: 9 * ms},
		ServerCPU:  20 * time.Microsecond,
		PeakMemory: int64(round) << 20,
	}
}

// sample returns a report of two configurations, and the logger comparison.
func sample() *Report {
	r := &Report{Machine: Machine{Cores: 2, Go: "go"}, Rounds: 3, Duration: time.Second, Seed: 5}
	for _, services := range []Services{{}, {LoggerRunning, true}} {
		for i, clients := range []int{1, 10, 100} {
			for round, speed := range []float64{1000, 4000, 2000} { // of the machine
				speed *= float64(3 - i)
				r.Results = append(r.Results,
					measured(services, clients, Limit, round+1, speed),
					measured(services, clients, Lonja, round+1, speed*0.9))
			}
		}
	}
	for state, part := range []float64{1, 0.95, 0.97} {
		for round, speed := range []float64{1000, 4000, 2000} {
			result := measured(Services{LoggerState(state), true}, 10, Lonja, round+1, speed*part)
			result.Paired = true
			r.Results = append(r.Results, result)
		}
	}
	r.Results[0].Disturbance = 0.4
	r.Results[1].Statuses[lonja.OpPublish][3] = 12345
	r.Results[1].Failures[FailedSilence] = 2
	r.Results[1].Causes[FailedSilence] = errors.New("it hung up")
	return r
}

func near(got, want float64) bool { return got > want*0.999999 && got < want*1.000001 }

func TestPointsAreMediansAndPairedRatios(t *testing.T) {
	points := sample().Points()
	if len(points) != 6 {
		t.Fatalf("%d points, want 6", len(points))
	}
	p := points[1] // no services, 10 clients
	if p.Services != (Services{}) || p.Clients != 10 || p.Limit.Rounds != 3 || p.Lonja.Rounds != 3 {
		t.Errorf("point %+v", p)
	}
	if !near(p.Limit.Throughput, 4000) || !near(p.Lonja.Throughput, 3600) {
		t.Errorf("throughput %g and %g, want 4000 and 3600", p.Limit.Throughput, p.Lonja.Throughput)
	}
	if !near(p.OfLimit, 0.9) || !near(p.OfBest, 2.0/3) {
		t.Errorf("of limit %g, of best %g, want 0.9 and 0.667", p.OfLimit, p.OfBest)
	}
	if p.Lonja.Latency.P99 != 30*time.Millisecond || p.Lonja.Latency.Max != 60*time.Millisecond {
		t.Errorf("p99 %v, max %v, want 30ms and, of the worst round, 60ms", p.Lonja.Latency.P99, p.Lonja.Latency.Max)
	}
	if p.Lonja.WaitP99 != 70*time.Millisecond {
		t.Errorf("p99 with the time %v, want 70ms", p.Lonja.WaitP99)
	}
	if p.Lonja.PeakMemory != 3<<20 || points[0].Lonja.Failed != 2 {
		t.Errorf("memory %d, errors %d", p.Lonja.PeakMemory, points[0].Lonja.Failed)
	}
}

func TestPointsLeaveOutHalfAPoint(t *testing.T) {
	r := &Report{Results: []Result{
		measured(Services{}, 1, Limit, 1, 600), measured(Services{}, 1, Lonja, 1, 500),
		measured(Services{}, 3, Limit, 1, 600), // then it was stopped
	}}
	if points := r.Points(); len(points) != 1 || points[0].Clients != 1 {
		t.Errorf("points %+v, want the one with 1 client", points)
	}
}

func TestLoggerEffectsCompareWithinARound(t *testing.T) {
	effects := sample().LoggerEffects()
	if len(effects) != 3 {
		t.Fatalf("%d effects, want 3", len(effects))
	}
	for i, want := range []float64{1, 0.95, 0.97} {
		e := effects[i]
		if e.Logger != LoggerState(i) || e.Clients != 10 || !near(e.OfNone, want) || !near(e.Throughput, 2000*want) {
			t.Errorf("effect %+v, want %g of none", e, want)
		}
	}
}

func TestTableShowsWhatCounts(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"2 cores, go\n", "took 0 % of the processors meanwhile, 40 % at worst", "3 rounds of 1s", "Seed 5",
		"Services: none\n", "Services: both\n", "0.90", "0.67",
		"12345", "no answer", "First no answer: it hung up", "stopped", "LIST_CONTENT",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestTableOfNothing(t *testing.T) {
	if err := (&Report{}).WriteTable(io.Discard); err != nil {
		t.Error(err)
	}
}

func TestCSVHasARowForEachMeasurement(t *testing.T) {
	report := sample()
	var b bytes.Buffer
	if err := report.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll() // also checks that rows are of one length
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+len(report.Results) {
		t.Fatalf("%d rows, want a header and %d", len(rows), len(report.Results))
	}
	header := rows[0]
	if unique := slices.Compact(slices.Sorted(slices.Values(header))); len(unique) != len(header) {
		t.Errorf("columns share a name: %v", header)
	}
	value := func(row []string, column string) string {
		i := slices.Index(header, column)
		if i < 0 {
			t.Fatalf("no column %q in %v", column, header)
		}
		return row[i]
	}
	for column, want := range map[string]string{
		"services": "none", "clients": "1", "target": "lonja", "round": "1", "part": "sweep",
		"operations_per_s": "2700.000", "p99_ms": "3.000", "max_ms": "4.000", "wait_p99_ms": "7.000", "errors": "2",
		"error: no answer": "2", "PUBLISH 3": "12345", "server_peak_mib": "1.000",
		"server_cpu_us_per_operation": "20.000",
	} {
		if got := value(rows[2], column); got != want {
			t.Errorf("%s is %q, want %q", column, got, want)
		}
	}
	if last := rows[len(rows)-1]; value(last, "part") != "logger" || value(last, "services") != "stopped-logger+datetime" {
		t.Errorf("the last row is %v", last)
	}
}

func TestPlotsAreImages(t *testing.T) {
	single := &Report{Results: []Result{
		measured(Services{}, 3000, Limit, 1, 600), measured(Services{}, 3000, Lonja, 1, 500),
	}}
	failed := &Report{Results: []Result{
		{Trial: Trial{Clients: 1, Target: Limit, Round: 1}}, {Trial: Trial{Clients: 1, Target: Lonja, Round: 1}},
	}}
	tests := []struct {
		name   string
		report *Report
		want   []string
	}{
		{"two configurations", sample(), []string{
			"latency-both.png", "latency-both.svg", "latency-none.png", "latency-none.svg",
			"throughput-both.png", "throughput-both.svg", "throughput-none.png", "throughput-none.svg",
		}},
		{"one point", single, []string{
			"latency-none.png", "latency-none.svg", "throughput-none.png", "throughput-none.svg",
		}},
		{"nothing but errors", failed, []string{
			"latency-none.png", "latency-none.svg", "throughput-none.png", "throughput-none.svg",
		}},
		{"nothing", &Report{}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "plots")
			files, err := test.report.WritePlots(dir)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, file := range files {
				names = append(names, filepath.Base(file))
				checkImage(t, file)
			}
			if slices.Sort(names); !slices.Equal(names, test.want) {
				t.Errorf("files %v, want %v", names, test.want)
			}
		})
	}
}

func checkImage(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(file) == ".png" {
		if image, err := png.Decode(bytes.NewReader(content)); err != nil || image.Bounds().Dx() < 400 {
			t.Errorf("%s: no image, or a small one: %v", file, err)
		}
		return
	}
	elements := 0
	for decoder := xml.NewDecoder(bytes.NewReader(content)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if start, ok := token.(xml.StartElement); ok {
			if elements == 0 && start.Name.Local != "svg" {
				t.Errorf("%s begins with %s", file, start.Name.Local)
			}
			elements++
		}
	}
	for _, label := range []string{"clients at once", "lonja directory"} {
		if !bytes.Contains(content, []byte(label)) {
			t.Errorf("%s is not labelled %q", file, label)
		}
	}
}
