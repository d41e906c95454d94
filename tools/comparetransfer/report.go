package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figures are what one side took.
type figures struct {
	CPU    float64 `json:"cpu_seconds"`
	Memory int64   `json:"peak_bytes"` // of the largest of its processes
}

// A result is one transfer.
type result struct {
	Name    string  `json:"name"`
	Round   int     `json:"round"`
	Seconds float64 `json:"seconds"`
	Client  figures `json:"client"`
	Server  figures `json:"server"`

	bytes int64
}

// rate is in MB/s, of 1,000,000 bytes.
func (r *result) rate() float64 { return float64(r.bytes) / 1e6 / r.Seconds }

// A row is a contestant: medians over the rounds.
type row struct {
	Name    string  `json:"name"`
	Rate    float64 `json:"mb_per_s"`
	Client  figures `json:"client"`
	Server  figures `json:"server"`
	Checked string  `json:"checked"` // what makes sure that the content is right
	// OfThis is the speed of lonja over that of this, in the same rounds; 0 if lonja
	// was left out.
	OfThis float64 `json:"lonja_of_this,omitempty"`
}

// An absence is a contestant that cannot take part.
type absence struct {
	Name    string   `json:"name"`
	Missing []string `json:"missing"`
}

// A report is what was measured and on what.
type report struct {
	Machine string    `json:"machine"`
	Started time.Time `json:"started"`
	Bytes   int64     `json:"bytes"`
	Rounds  int       `json:"rounds"`
	Rows    []row     `json:"rows"`
	Missing []absence `json:"missing,omitempty"`
	Results []result  `json:"results"` // in the order of measurement
}

// of returns the results of a contestant, by round.
func (r *report) of(name string) []result {
	of := slices.DeleteFunc(slices.Clone(r.Results), func(x result) bool { return x.Name != name })
	slices.SortFunc(of, func(a, b result) int { return a.Round - b.Round })
	return of
}

// sum makes the rows, in the order of the contestants. They are compared with the
// first of lonja.
func (r *report) sum(all []*contestant) {
	var lonja []result
	if i := slices.IndexFunc(all, func(c *contestant) bool { return strings.HasPrefix(c.name, "lonja") }); i >= 0 {
		lonja = r.of(all[i].name)
	}
	for _, c := range all {
		own := r.of(c.name)
		over := func(value func(i int) float64) float64 {
			values := make([]float64, len(own))
			for i := range own {
				values[i] = value(i)
			}
			return median(values)
		}
		side := func(of func(*result) figures) figures {
			return figures{
				over(func(i int) float64 { return of(&own[i]).CPU }),
				int64(over(func(i int) float64 { return float64(of(&own[i]).Memory) })),
			}
		}
		compared := 0.0
		if lonja != nil {
			compared = over(func(i int) float64 { return own[i].Seconds / lonja[i].Seconds })
		}
		r.Rows = append(r.Rows, row{
			Name: c.name, Checked: c.checked, Rate: over(func(i int) float64 { return own[i].rate() }),
			Client: side(func(x *result) figures { return x.Client }), Server: side(func(x *result) figures { return x.Server }),
			OfThis: compared,
		})
	}
}

// median returns the middle of values, of which there is at least one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (r *report) writeJSON(w io.Writer) error {
	lines := json.NewEncoder(w)
	lines.SetIndent("", "  ")
	return lines.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, `%s, %s
%d MiB from page cache over the loopback address into a file, from the start of the program that fetches to its end;
servers run already. Medians of %d rounds, in turns. CPU is in seconds; memory that of the largest process of each side, in MiB.

`, r.Started.Format("2 January 2006"), r.Machine, r.Bytes>>20, r.Rounds)
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tMB/s\tCPU here\tthere\tMiB here\tthere\tlonja / this\tcontent checked")
	for _, x := range r.Rows {
		checked := x.Checked
		if checked == "" {
			checked = "no"
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%d\t%d\t%.2f\t%s\n", x.Name, x.Rate, x.Client.CPU, x.Server.CPU,
			x.Client.Memory>>20, x.Server.Memory>>20, x.OfThis, checked)
	}
	_ = t.Flush() // to memory
	for _, a := range r.Missing {
		fmt.Fprintf(&text, "not compared: %s; not installed: %s\n", a.Name, strings.Join(a.Missing, ", "))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// machine says what this machine is.
func machine() string {
	name := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores (%s), %s", runtime.NumCPU(), name, runtime.Version())
}
