//go:build interop

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMain lets the tests be one side of a bare transfer, as the program is.
func TestMain(m *testing.M) {
	if is, err := runBare(os.Args[1:]); is {
		exit(err)
	}
	os.Exit(m.Run())
}

// TestCompareTransfer compares with all that is installed, in a small way: each
// contestant brings the file or is named as missing, and nothing is left, neither
// files nor processes.
func TestCompareTransfer(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "lonja")
	if out, err := exec.Command("go", "build", "-o", binary, "lonja/cmd/lonja").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := t.TempDir()
	var out, notes bytes.Buffer
	if err := run(t.Context(), options{lonja: binary, dir: dir, size: 4, rounds: 1, json: true}, &out, &notes); err != nil {
		t.Fatalf("%v\n%s", err, &notes)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	for _, c := range contestants() {
		row := slices.IndexFunc(r.Rows, func(x row) bool { return x.Name == c.name })
		absent := slices.ContainsFunc(r.Missing, func(a absence) bool { return a.Name == c.name && len(a.Missing) > 0 })
		if row < 0 != absent || strings.HasPrefix(c.name, "lonja") && absent {
			t.Errorf("%s: row %d, missing %v", c.name, row, absent)
		} else if row >= 0 && (r.Rows[row].Rate <= 0 || r.Rows[row].Client.CPU <= 0 || r.Rows[row].Client.Memory < 1<<20 || r.Rows[row].OfThis <= 0) {
			t.Errorf("implausible: %+v", r.Rows[row])
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(dir)) {
			t.Errorf("still runs: %q", line)
		}
	}
}
