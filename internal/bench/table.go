package bench

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"lonja"
)

// WriteTable writes the report for people to read.
func (r *Report) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", r.Machine)
	fmt.Fprintf(&b, `Each figure is the median of %d rounds of %s, limit and lonja in turns; max, errors
and memory are the worst of them. Latencies are those of the operation, from
connecting to the end of the answer; "and time" is its p99 with asking the
date-time service before. Seed %d.
`, r.Rounds, r.Duration, r.Seed)
	usual, worst := r.disturbance()
	fmt.Fprintf(&b, "Other programs took %.0f %% of the processors meanwhile, %.0f %% at worst.\n", 100*usual, 100*worst)
	points := r.Points()
	for len(points) > 0 {
		services := points[0].Services
		n := 0
		for n < len(points) && points[n].Services == services {
			n++
		}
		fmt.Fprintf(&b, "\nServices: %s\n", services)
		writePoints(&b, points[:n])
		points = points[n:]
	}
	r.writeLoggerEffects(&b)
	r.writeStatuses(&b)
	r.writeFailures(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func newTabWriter(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// The tables are written to memory, so what they return is always nil.

func writePoints(w io.Writer, points []Point) {
	t := newTabWriter(w)
	defer t.Flush()
	fmt.Fprintln(t, "clients\tlimit op/s\tlonja op/s\tof limit\tof best\tp50 ms\tp90 ms\tp99 ms\tmax ms\tand time\terrors\tundated\tCPU µs/op\tMiB\t")
	for _, p := range points {
		l := p.Lonja
		fmt.Fprintf(t, "%d\t%.0f\t%.0f\t%.2f\t%.2f\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%.1f\t%.1f\t\n",
			p.Clients, p.Limit.Throughput, l.Throughput, p.OfLimit, p.OfBest,
			milliseconds(l.Latency.P50), milliseconds(l.Latency.P90), milliseconds(l.Latency.P99),
			milliseconds(l.Latency.Max), milliseconds(l.WaitP99),
			l.Failed, l.Undated, microseconds(l.ServerCPU), mebibytes(l.PeakMemory))
	}
}

func (r *Report) writeLoggerEffects(w io.Writer) {
	effects := r.LoggerEffects()
	if len(effects) == 0 {
		return
	}
	fmt.Fprintf(w, "\nThe operation log at %d clients, with the date-time service\n", effects[0].Clients)
	t := newTabWriter(w)
	defer t.Flush()
	fmt.Fprintln(t, "logger\tlonja op/s\tof none\t")
	for _, e := range effects {
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t\n", e.Logger, e.Throughput, e.OfNone)
	}
}

func (r *Report) writeStatuses(w io.Writer) {
	fmt.Fprintln(w, "\nAnswers of lonja by operation and status")
	t := newTabWriter(w)
	defer t.Flush()
	fmt.Fprintln(t, "operation\t0\t1\t2\t3\t4\t")
	sums := r.statuses()
	for _, op := range operations {
		fmt.Fprintf(t, "%s\t", op)
		for status := range statusCount(op) {
			fmt.Fprintf(t, "%d\t", sums[op][status])
		}
		fmt.Fprintln(t)
	}
}

func (r *Report) writeFailures(w io.Writer) {
	fmt.Fprintln(w, "\nErrors, warming up included")
	t := newTabWriter(w)
	fmt.Fprintln(t, "\tlimit\tlonja\t")
	limit, limitCauses := r.failures(Limit)
	own, ownCauses := r.failures(Lonja)
	for f := range failureCount {
		fmt.Fprintf(t, "%s\t%d\t%d\t\n", f, limit[f], own[f])
	}
	t.Flush()
	for f := range failureCount {
		for _, cause := range []error{limitCauses[f], ownCauses[f]} {
			if cause != nil {
				fmt.Fprintf(w, "First %s: %s\n", f, lonja.Printable(cause.Error()))
			}
		}
	}
}

// String returns the state in a word.
func (s LoggerState) String() string {
	return [...]string{NoLogger: "none", LoggerRunning: "running", LoggerStopped: "stopped"}[s]
}

// milliseconds returns d with a precision that suits its size.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.2f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
