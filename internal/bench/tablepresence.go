package bench

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// WriteTable writes the report for people to read.
func (r *PresenceReport) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `%s
Renewals of leases, %d users connected, alone and beside the mix of operations,
inside the process. Each figure is the median of %d rounds of %s, in turns; max is
the worst of them. Latencies are those of the operations.

`, r.Machine, r.Users, r.Rounds, time.Duration(r.Duration))
	t := newTabWriter(&b)
	fmt.Fprintln(t, "load\trenewals/s\toperations/s\tp50 ms\tp90 ms\tp99 ms\tmax ms\t")
	for _, p := range r.Points {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%s\n", p.Load, p.Renewals, p.Operations, cells(p.Latency))
	}
	_ = t.Flush() // to memory
	for _, p := range r.Points {
		if p.Load != PacedRenewals {
			continue
		}
		fmt.Fprintf(&b, "\nThe operations beside %.0f renewals/s\n", p.Renewals)
		t := newTabWriter(&b)
		fmt.Fprintln(t, "operation\tp50 ms\tp90 ms\tp99 ms\tmax ms\t")
		for _, e := range p.Each {
			fmt.Fprintf(t, "%s\t%s\n", e.Operation, cells(e.Latency))
		}
		_ = t.Flush()
	}
	_, err := w.Write(b.Bytes())
	return err
}

// cells are those of a latency in a table.
func cells(l Latency) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t", milliseconds(l.P50), milliseconds(l.P90), milliseconds(l.P99), milliseconds(l.Max))
}
