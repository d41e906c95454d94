package bench

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// WriteTable writes the report for people to read.
func (r *APIReport) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `%s
The same read, the holders of a name that ten have, by %d nodes with one connection each
(classic: a new one for each), and handshakes with client certificates by %d at once; TLS 1.3,
loopback, clients and server in one process. Each figure is the median of %d rounds of %s, in turns.

`, r.Machine, r.Nodes, handshakers, r.Rounds, time.Duration(r.Duration))
	t := newTabWriter(&b)
	fmt.Fprintln(t, "load\tper second\tof its limit\tCPU us each\t")
	limits := map[APILoad]APILoad{FrameReads: BareFrames, ConnectReads: BareConnect, Handshakes: BareHandshakes}
	for _, p := range r.Points {
		share := ""
		if limit, ok := limits[p.Load]; ok && r.rate(limit) > 0 {
			share = fmt.Sprintf("%.2f", p.Rate/r.rate(limit))
		}
		fmt.Fprintf(t, "%s\t%.0f\t%s\t%.1f\t\n", p.Load, p.Rate, share, float64(p.CPU)/float64(time.Microsecond))
	}
	_ = t.Flush() // to memory
	if classic := r.rate(ClassicReads); classic > 0 {
		fmt.Fprintf(&b, "\nReads in frames are %.1f times those in classic.\n", r.rate(FrameReads)/classic)
	}
	_, err := w.Write(b.Bytes())
	return err
}
