// Package packaging_test compares what is given to operators with the program.
package packaging_test

import (
	"bufio"
	"encoding/json"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lonja/internal/memstore"
	"lonja/internal/operator"
	"lonja/internal/presence"
	"lonja/internal/telemetry"
)

const (
	dashboardFile = "grafana/lonja.json"
	alertsFile    = "prometheus/lonja-alerts.yml"
)

// idle is a directory that does nothing.
type idle struct{}

func (idle) Stats() operator.Stats { return operator.Stats{} }
func (idle) Ready() error          { return nil }

// exported returns the series that a directory shows, by name: true for those
// that lonja makes up itself.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	m := telemetry.NewMetrics("test")
	kept := m.InstrumentStore(memstore.New())
	t.Cleanup(func() { _ = kept.Close() })
	m.WatchDirectory(idle{})
	m.WatchConnections(func() int { return 0 })
	m.WatchPresence(func() presence.Stats { return presence.Stats{} })
	m.WatchProbes([]string{"reached"})
	m.WatchOperationLog(func() int { return 0 }, func() uint64 { return 0 })
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	names := map[string]bool{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if name := seriesName.FindString(lines.Text()); name != "" {
			names[name] = strings.HasPrefix(name, "lonja_")
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d series", len(names))
	}
	return names
}

var (
	seriesName = regexp.MustCompile(`^[a-z_]+`)
	metricName = regexp.MustCompile(`\b(lonja|go|process)_[a-z_]+\b`)
	inQuotes   = regexp.MustCompile(`"[^"]*"`)
)

// named returns the series that an expression names.
func named(expr string) []string {
	return metricName.FindAllString(inQuotes.ReplaceAllString(expr, `""`), -1)
}

type dashboard struct {
	UID    string
	Title  string
	Panels []panel
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr, RefID string }
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || len(d.Panels) == 0 {
		t.Fatalf("the dashboard lacks what Grafana wants: %+v", d)
	}
	return d
}

// TestDashboardShowsWhatThereIs: every series that it names is exported, and
// all that lonja exports of itself is to be seen.
func TestDashboardShowsWhatThereIs(t *testing.T) {
	names := exported(t)
	shown := map[string]bool{}
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			series := named(target.Expr)
			if len(series) == 0 {
				t.Errorf("panel %q shows nothing of ours: %s", p.Title, target.Expr)
			}
			for _, name := range series {
				shown[strings.TrimSuffix(name, "_bucket")] = true
				if _, ok := names[name]; !ok {
					t.Errorf("panel %q shows %s, which is not exported", p.Title, name)
				}
			}
		}
	}
	for name, own := range names {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		if own && !shown[name] {
			t.Errorf("%s is exported, and no panel shows it", name)
		}
	}
}

// TestDashboardFits: panels have ids of their own and do not lie on each other.
func TestDashboardFits(t *testing.T) {
	panels := readDashboard(t).Panels
	for i, p := range panels {
		g := p.GridPos
		if g.X < 0 || g.W < 1 || g.X+g.W > 24 || g.H < 1 {
			t.Errorf("panel %q lies outside: %+v", p.Title, g)
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q has nothing to show", p.Title)
		}
		for _, q := range panels[:i] {
			o := q.GridPos
			if p.ID == q.ID || g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
				t.Errorf("panels %q and %q have the same id or lie on each other", p.Title, q.Title)
			}
		}
	}
}

// TestAlertsWatchWhatThereIs: every alert names series that are exported, and
// is complete. That the file is what Prometheus wants, and that the alerts
// fire, is tested with promtool.
func TestAlertsWatchWhatThereIs(t *testing.T) {
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	names := exported(t)
	alerts := strings.Split(string(text), "- alert: ")[1:]
	if len(alerts) == 0 {
		t.Fatal("no alerts")
	}
	for _, alert := range alerts {
		title, rest, _ := strings.Cut(alert, "\n")
		expr, found := field(rest, "expr")
		if !found {
			t.Errorf("%s has no expression on one line", title)
		}
		for _, name := range named(expr) {
			if _, ok := names[name]; !ok {
				t.Errorf("%s watches %s, which is not exported", title, name)
			}
		}
		if len(named(expr)) == 0 && !strings.HasPrefix(expr, "up{") {
			t.Errorf("%s watches nothing of ours: %s", title, expr)
		}
		severity, _ := field(rest, "severity")
		if !slices.Contains([]string{"critical", "warning", "info"}, severity) {
			t.Errorf("%s has the severity %q", title, severity)
		}
		if summary, _ := field(rest, "summary"); !strings.Contains(summary, "$labels.instance") {
			t.Errorf("%s does not say where: %s", title, summary)
		}
	}
}

// field returns the value of the first line of text that begins with name.
func field(text, name string) (value string, found bool) {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), name+": "); found {
			return value, true
		}
	}
	return "", false
}
