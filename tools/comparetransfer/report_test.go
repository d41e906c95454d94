package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	r := &report{Machine: "m", Bytes: 100 << 20, Rounds: 3, Missing: []absence{{"pigeon", []string{"pigeon (apt-get install birds)"}}}}
	for round, seconds := range []struct{ lonja, slow float64 }{{1, 2}, {2, 8}, {3, 30}} {
		for name, s := range map[string]float64{"lonja": seconds.lonja, "slow": seconds.slow} {
			r.Results = append(r.Results, result{Name: name, Round: round + 1, Seconds: s, Client: figures{s, 1 << 20}, bytes: r.Bytes})
		}
	}
	slow := &contestant{name: "slow", checked: "whole"}
	r.sum([]*contestant{slow, {name: "lonja"}})
	if got := r.Rows[0]; got.OfThis != 4 || got.Client.CPU != 8 || got.Rate != float64(r.Bytes)/1e6/8 || got.Checked != "whole" {
		t.Errorf("got %+v", got)
	}
	if got := r.Rows[1]; got.OfThis != 1 || got.Client.Memory != 1<<20 {
		t.Errorf("got %+v", got)
	}
	var text strings.Builder
	if err := r.writeTable(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"100 MiB", "whole", "no\n", "not compared: pigeon; not installed: pigeon (apt-get install birds)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("lacks %q:\n%s", want, text.String())
		}
	}
	alone := &report{Results: r.Results}
	if alone.sum([]*contestant{slow}); alone.Rows[0].OfThis != 0 {
		t.Errorf("compared with lonja, which was left out: %+v", alone.Rows[0])
	}
}

func TestWanted(t *testing.T) {
	for only, want := range map[string]bool{"": true, "curl": true, "scp, curl": true, "scp": false} {
		if got := wanted("curl from nginx", only); got != want {
			t.Errorf("%q: got %v", only, got)
		}
	}
}

func TestMissingPrograms(t *testing.T) {
	c := &contestant{needs: []program{debian("sh", "dash"), debian("no-such-program", "none")}}
	if got := c.missing(); len(got) != 1 || got[0] != "no-such-program (apt-get install none)" {
		t.Errorf("got %q", got)
	}
}

// TestStat: the name of a process may have blanks and brackets; the times of dead
// children count.
func TestStat(t *testing.T) {
	id, parent, cpu, err := parseStat("12 (a ) b) S 7 1 1 0 -1 0 0 0 0 0 100 20 3 4 20 0")
	if err != nil || id != 12 || parent != 7 || cpu != 1270*time.Millisecond {
		t.Errorf("got %d, %d, %v, %v", id, parent, cpu, err)
	}
	for _, bad := range []string{"", "12", "12 (a) S 7", "x (a) S 7 1 1 0 -1 0 0 0 0 0 100 20 3 4", "1 (a) S 7 1 1 0 -1 0 0 0 0 0 100 20 3 y"} {
		if _, _, _, err := parseStat(bad); err == nil {
			t.Errorf("%q is taken for the stat of a process", bad)
		}
	}
}

// TestUsed: of ourselves, who have used something, and of nobody.
func TestUsed(t *testing.T) {
	own, err := used(os.Getpid())
	if err != nil || own.memory < 1<<20 {
		t.Errorf("got %+v, %v", own, err)
	}
	if _, err := used(1 << 30); err == nil {
		t.Error("a process that is not there has used something")
	}
}
