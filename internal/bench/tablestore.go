package bench

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// WriteTable writes the report for people to read.
func (r *StoreReport) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `%s
Durable writes on %s: one new record after the other, each waited for. Each
figure is the median of %d rounds of %s, in turns; max is the worst of them.
"bare" is the engine without lonja, "store" lonja's store on it, "publish" a
directory's whole way of a PUBLISH but for the network, "signed" with it: members
who sign what they publish over TLS, in the same process.
`, r.Machine, r.Engine, r.Rounds, time.Duration(r.Duration))
	others := medianOver(r.Results, func(x StoreResult) float64 { return x.Others })
	fmt.Fprintf(&b, "Other programs, the servers of a cluster among them, took %.0f %% of the processors meanwhile.\n\n", 100*others)
	t := newTabWriter(&b)
	fmt.Fprintln(t, "clients\tpath\twrites/s\tof bare\tp50 ms\tp90 ms\tp99 ms\tmax ms\t")
	for _, p := range r.Points {
		fmt.Fprintf(t, "%d\t%s\t%.0f\t%.2f\t%s\t%s\t%s\t%s\t\n", p.Writers, p.Path, p.Rate, p.OfBare,
			milliseconds(p.Latency.P50), milliseconds(p.Latency.P90), milliseconds(p.Latency.P99), milliseconds(p.Latency.Max))
	}
	_ = t.Flush() // to memory
	_, err := w.Write(b.Bytes())
	return err
}
