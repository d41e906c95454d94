package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lonja"
)

type eventsOptions struct {
	askOptions
	presence bool
	matching string
}

func newEventsCommand() *cobra.Command {
	var opts eventsOptions
	cmd := &cobra.Command{
		Use:   "events",
		Short: "tell what happens at a directory",
		Long: `Tells who connects and leaves, and what is published and withdrawn, a line each,
until it is stopped. With --matching, only publications that these words find; with
--presence, only who comes and goes; with both, both.

It begins with "lost", and says so again when it may have missed something because
the directory was away or this was too slow: look at everything anew then.`,
		Example: `  lonja events
  lonja events --matching "shelley poem" --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEvents(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.presence, "presence", false, "who comes and goes")
	cmd.Flags().StringVar(&opts.matching, "matching", "", "publications with these `words` in their name or description")
	notSettings(cmd.Flags(), "presence", "matching")
	return cmd
}

// filter says what is to be told: everything, if nothing is asked for.
func (o *eventsOptions) filter() (lonja.EventFilter, error) {
	all := !o.presence && o.matching == ""
	f := lonja.EventFilter{Presence: o.presence || all}
	if all || o.matching != "" {
		f.Matching = &lonja.Query{Words: o.matching}
		if err := f.Matching.Check(); err != nil {
			return f, usagef("--matching: %w", err)
		}
	}
	return f, nil
}

// The pauses before a directory is asked again that has gone away.
const (
	leastWatchPause = time.Second
	mostWatchPause  = 30 * time.Second
)

func runEvents(cmd *cobra.Command, opts eventsOptions) error {
	filter, err := opts.filter()
	if err != nil {
		return err
	}
	return opts.as(cmd, func(a *asker) error {
		ctx := cmd.Context()
		for pause := leastWatchPause; ; pause = min(2*pause, mostWatchPause) {
			err := a.client.Watch(ctx, a.self(), filter, func(e lonja.Event) error {
				pause = leastWatchPause
				return showEvent(cmd, e, opts.json)
			})
			if ctx.Err() != nil {
				return nil
			}
			if !errors.Is(err, lonja.Unavailable) {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "lonja: the directory is away: %v\n", err)
			if !wait(ctx, pause) {
				return nil
			}
		}
	})
}

// wait waits, and reports whether ctx still goes on.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// eventNames are what people and programs are told of each kind.
var eventNames = map[lonja.EventKind]string{
	lonja.UserConnected: "connected", lonja.UserLeft: "left", lonja.Published: "published", lonja.Withdrawn: "withdrawn",
	lonja.KeyRevoked: "revoked", lonja.EventsLost: "lost",
}

// An eventLine is an event as programs are told it.
type eventLine struct {
	Event   string   `json:"event"`
	User    string   `json:"user,omitempty"`
	Name    string   `json:"name,omitempty"`
	Size    *int64   `json:"size,omitempty"`
	File    string   `json:"file,omitempty"`
	Dialect string   `json:"dialect,omitempty"`
	Ways    []string `json:"ways,omitempty"`
	Key     string   `json:"key,omitempty"`

	UserBytes []byte `json:"user_bytes,omitempty"` // where User cannot say them; see notText
	NameBytes []byte `json:"name_bytes,omitempty"`
}

func showEvent(cmd *cobra.Command, e lonja.Event, asJSON bool) error {
	line := eventLine{Event: cmp.Or(eventNames[e.Kind], "other"), User: string(e.User), UserBytes: notText(string(e.User))}
	switch e.Kind {
	case lonja.UserConnected:
		p := presentUser(e.Peer)
		line.Dialect, line.Ways, line.Key = p.Dialect, p.Ways, p.Key
	case lonja.Published, lonja.Withdrawn:
		line.Name, line.Dialect = string(e.Listing.Name), dialectOf(e.Listing)
		line.NameBytes = notText(line.Name)
		if e.Listing.Size >= 0 {
			line.Size = &e.Listing.Size
		}
		if e.Listing.Proof != nil {
			line.File = e.Listing.Proof.File.String()
		}
	case lonja.KeyRevoked:
		line.Key = e.Key.ID().String()
	}
	if asJSON {
		return writeJSONLine(cmd.OutOrStdout(), line)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line.text(time.Now()))
	return err
}

func (l eventLine) text(now time.Time) string {
	if l.Event == eventNames[lonja.EventsLost] {
		return now.Format(time.TimeOnly) + "  lost       what happened before is not told: look at everything anew"
	}
	about := []string{l.Name}
	if l.Dialect == dialectClassic {
		about = append(about, "("+dialectClassic+")")
	}
	if len(l.Ways) > 0 {
		about = append(about, "at "+l.Ways[0])
	}
	if l.Event == eventNames[lonja.KeyRevoked] {
		about = append(about, "key "+l.Key[:shownDigits])
	}
	text := fmt.Sprintf("%s  %-9s  %s %s", now.Format(time.TimeOnly), l.Event, l.User, strings.TrimSpace(strings.Join(about, " ")))
	return lonja.Printable(strings.TrimRight(text, " "))
}
