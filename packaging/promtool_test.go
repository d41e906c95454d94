//go:build interop

package packaging_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const alertsTestFile = "prometheus/testdata/alerts-test.yml"

// promtool runs Prometheus's own tool, of Debian's package prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// TestAlertsFire: each alert fires when it should, and none for a directory
// that is well.
func TestAlertsFire(t *testing.T) {
	promtool(t, "check", "rules", alertsFile)
	promtool(t, "test", "rules", alertsTestFile)
}

// TestEveryAlertIsTested keeps alerts from being left out of that.
func TestEveryAlertIsTested(t *testing.T) {
	alerts, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	tested, err := os.ReadFile(alertsTestFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(alerts)) {
		_, name, ok := strings.Cut(line, "- alert: ")
		if name = strings.TrimSpace(name); ok && !strings.Contains(string(tested), `alertname="`+name+`"`) {
			t.Errorf("no test lets %s fire", name)
		}
	}
}
