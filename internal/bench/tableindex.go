package bench

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// WriteTable writes the report for people to read.
func (r *IndexReport) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nA directory with many listings, on %s.\n", r.Machine, r.Engine)
	for _, s := range r.Shapes {
		fmt.Fprintf(&b, "\n%d users with %d listings each, base names %s\n", s.Users, s.PerUser, s.Shape())
		s.writeStarts(&b)
		s.writeReads(&b, r)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (s *ShapeReport) writeStarts(w io.Writer) {
	t := newTabWriter(w)
	fmt.Fprintln(t, "start\tcache\tbare read s\tlistens after s\tof bare\tCPU s\tMiB then\tpeak\tMiB after questions\tpeak\t")
	for _, x := range s.Starts {
		cache, bare, ready := "warm", time.Duration(x.Bare).Seconds(), time.Duration(x.Ready).Seconds()
		if x.Cold {
			cache = "cold"
		}
		fmt.Fprintf(t, "%d\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%s\t%s\t\n", x.Round, cache, bare, ready, ratio(bare, ready), time.Duration(x.CPU).Seconds(),
			mebibytes(x.Memory), mebibytes(x.Peak), mebibytesIf(x.MemoryAsked), mebibytesIf(x.PeakAsked))
	}
	_ = t.Flush() // to memory
}

// mebibytesIf returns n in MiB, or nothing for 0.
func mebibytesIf(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", mebibytes(n))
}

func (s *ShapeReport) writeReads(w io.Writer, r *IndexReport) {
	fmt.Fprintf(w, `Answers inside the process, one after the other, one user in %d connected: medians
of %d rounds of %s, max the worst of them. "nothing" is a loop of %s.
`, connectedOneIn, r.Rounds, time.Duration(r.Duration), idling)
	t := newTabWriter(w)
	fmt.Fprintln(t, "question\tbeside writes/s\tanswers/s\tp50 µs\tp90 µs\tp99 µs\tmax µs\t")
	for _, p := range s.Reads {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t\n", p.Question, p.Writes, p.Rate,
			microseconds(p.Latency.P50), microseconds(p.Latency.P90), microseconds(p.Latency.P99), microseconds(p.Latency.Max))
	}
	_ = t.Flush()
}
