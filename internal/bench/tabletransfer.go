package bench

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// WriteTable writes the report for people to read. MB are 1,000,000 bytes.
func (r *TransferReport) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	place := "a disk"
	if r.InMemory {
		place = "a tmpfs"
	}
	fmt.Fprintf(&b, `%s
From page cache over loopback and TLS 1.3 with certificates of both sides, into a file on %s;
nodes, directory and limit in one process. Medians of %d rounds, in turns. CPU is that of all sides.

`, r.Machine, place, r.Rounds)
	t := newTabWriter(&b)
	fmt.Fprintln(t, "who sends to whom\tMB\tMB/s\tideal\tof ideal\tof bare\tof one\tCPU s/GiB\tother programs\t")
	for _, p := range r.Points {
		fmt.Fprintf(t, "%s\t%.0f\t%.1f\t%s\t%s\t%s\t%s\t%.2f\t%.0f %%\t\n", r.words(p.Shape), float64(p.Bytes)/1e6, p.Rate/1e6,
			figure(p.Ideal/1e6, "%.1f"), figure(p.OfIdeal, "%.3f"), figure(p.OfBare, "%.2f"), figure(p.OfOne, "%.2f"),
			time.Duration(p.CPU).Seconds(), 100*p.Others)
	}
	_ = t.Flush() // to memory
	for _, p := range r.Points {
		if p.Shape == FlashCrowd {
			fmt.Fprintf(&b, "\nThe last of the crowd was done after %.2f times the ideal time.\n", ratio(1, p.OfIdeal))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// figure formats a figure that may not be there.
func figure(value float64, format string) string {
	if value == 0 {
		return ""
	}
	return fmt.Sprintf(format, value)
}

// words says what a shape is.
func (r *TransferReport) words(s TransferShape) string {
	slow := fmt.Sprintf("at %.3g MB/s each", float64(r.Rate)/1e6)
	return [...]string{
		BareTransfer:   "bare TLS, unchecked",
		OneHolder:      "one holder",
		SeveralHolders: fmt.Sprintf("%d holders", r.Holders),
		Throttled:      fmt.Sprintf("%d holders %s", r.Holders, slow),
		Uneven:         fmt.Sprintf("likewise, one of them at a %dth", slowShare),
		FlashCrowd:     fmt.Sprintf("one holder to %d, %s", r.Downloaders, slow),
	}[s]
}
