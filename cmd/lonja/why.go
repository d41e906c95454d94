package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/downloads"
	"lonja/internal/shell"
)

func newWhyCommand() *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "why DOWNLOAD",
		Short: "say why a download is as fast, or slow, as it is",
		Long: `Says of each holder of a download that is running where it was reached and what kind
of way that is (LAN, Internet; IPv6; through a port that its router has mapped, or
that somebody forwards to it), whether it has a part only, how long an answer takes, how fast it sends, how
many pieces came from it, its place in that holder's queue, and the last error. Of one
that is not running, it says why not, and what to do.

DOWNLOAD is the beginning of its id, as "lonja downloads" shows it, or the base name
of its file.`,
		Example: `  lonja why k7
  lonja why film.mkv --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.on(args[0], func(list *downloads.List, d downloads.Download) error {
				return runWhy(cmd, list, d, opts.json)
			})
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// A whyLine is the answer of "lonja why" for programs.
type whyLine struct {
	downloadLine
	Status *downloads.Status `json:"status,omitempty"` // absent where nobody fetches it
	Advice string            `json:"advice,omitempty"`
}

func runWhy(cmd *cobra.Command, list *downloads.List, d downloads.Download, asJSON bool) error {
	line := whyLine{downloadLine: lineOf(d), Advice: adviceFor(d)}
	if d.State == downloads.Running {
		s, there, err := list.StatusOf(d.ID)
		if err != nil {
			return fmt.Errorf("process %d, which fetches download %s, does not answer: %w", d.Process, d.ID, err)
		}
		if !there {
			return errors.New("it has ended just now: ask again")
		}
		line.Status, line.Received, line.Size, line.Speed = &s, s.Received, s.Size, s.Speed
	}
	out := cmd.OutOrStdout()
	if asJSON {
		return writeJSONLine(out, line)
	}
	what := fmt.Sprintf("%s of %s", shell.FormatSize(line.Received), shell.FormatSize(line.Size))
	facts := []fact{{"download", d.ID + ", " + string(d.State)}, {"file", string(d.Name)}, {"to", d.Target}, {"here", what}}
	if line.Status != nil {
		facts = append(facts, fact{"goes", progressText(*line.Status)})
	}
	if d.Error != "" {
		facts = append(facts, fact{"error", firstLine(d.Error)})
	}
	if line.Advice != "" {
		facts = append(facts, fact{"to do", line.Advice})
	}
	writeFacts(out, facts...)
	if line.Status == nil || len(line.Status.Holders) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	head := []string{"HOLDER", "ADDRESS", "WAY", "TRIP", "SPEED", "PIECES", "QUEUE", "STATE"}
	return writeRows(out, false, head, line.Status.Holders, func(h downloads.Holder) []string { return holderCells(h, time.Now()) })
}

func holderCells(h downloads.Holder, now time.Time) []string {
	at, way, trip, place := h.At, h.Way, "-", "-"
	if at == "" {
		at, way = "-", "-"
	}
	switch h.Route {
	case routeMapped:
		way += ", mapped by its router"
	case routeSeen:
		way += ", forwarded to it"
	}
	if h.IP == "IPv6" {
		way += ", IPv6"
	}
	if h.Trip > 0 {
		trip = strconv.FormatFloat(h.Trip, 'f', 1, 64) + " ms"
	}
	if h.Place > 0 {
		place = strconv.Itoa(h.Place)
	}
	return []string{h.User, at, way, trip, shell.FormatSize(h.Speed) + "/s", strconv.FormatInt(h.Pieces, 10), place, holderText(h, now)}
}

// holderText says how it is with a holder.
func holderText(h downloads.Holder, now time.Time) string {
	text := "being connected"
	switch {
	case h.Lied:
		return "lied, and is asked no more: " + firstLine(h.Error)
	case h.Place > 0:
		text = "waits in its queue"
	case h.Conns == 1:
		text = "1 connection"
	case h.Conns > 1:
		text = fmt.Sprintf("%d connections", h.Conns)
	case h.Again.After(now):
		text = "tried again in " + h.Again.Sub(now).Round(time.Second).String()
	}
	if h.Part {
		text += ", has a part only"
	}
	if h.Conns > 0 && h.Speed == 0 && h.Place == 0 {
		text += ", and sends nothing"
	}
	if h.Error != "" {
		text += "; last error: " + firstLine(h.Error)
	}
	return text
}

// adviceFor says what to do about a download that is not running.
func adviceFor(d downloads.Download) string {
	id := lonja.Printable(d.ID)
	switch d.State {
	case downloads.Paused:
		return fmt.Sprintf("\"lonja resume %s\" goes on", id)
	case downloads.Failed:
		return fmt.Sprintf("once the cause is gone, \"lonja resume %s\" goes on", id)
	case downloads.Queued, downloads.Interrupted:
		return fmt.Sprintf("\"lonja share\", \"lonja client\" or \"lonja downloads run\" fetches it, \"lonja resume %s\" at once", id)
	case downloads.Damaged:
		return fmt.Sprintf("\"lonja cancel %s\" takes it off the list", id)
	}
	return ""
}
