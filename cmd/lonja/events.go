package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lonja"
)

type eventsOptions struct {
	askOptions
	presence bool
	matching string
	holders  []string
}

func newEventsCommand() *cobra.Command {
	var opts eventsOptions
	cmd := &cobra.Command{
		Use:   "events",
		Short: "tell what happens at a directory",
		Long: `Tells who connects and leaves, and what is published and withdrawn, a line each,
until it is stopped. With --matching, only publications that these words find; with
--presence, only who comes and goes; with --holders, only who has that content now
("appeared": with it, its holder has connected, or published it) and who has not any
more ("gone"); with several of them, all of these. A NAME stands for the contents that
connected users have by that name when it begins.

It begins with "lost", and says so again when it may have missed something because
the directory was away or this was too slow: look at everything anew then.`,
		Example: `  lonja events
  lonja events --matching "shelley poem" --json
  lonja events --holders poem.txt`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEvents(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.presence, "presence", false, "who comes and goes")
	cmd.Flags().StringVar(&opts.matching, "matching", "", "publications with these `words` in their name or description")
	cmd.Flags().StringArrayVar(&opts.holders, "holders", nil, "who has this content: its `NAME|ID`, again for each further one")
	notSettings(cmd.Flags(), "presence", "matching", "holders")
	return cmd
}

// filter says what is to be told: everything, if nothing is asked for.
func (o *eventsOptions) filter() (lonja.EventFilter, error) {
	all := !o.presence && o.matching == "" && len(o.holders) == 0
	f := lonja.EventFilter{Presence: o.presence || all}
	if all || o.matching != "" {
		f.Matching = &lonja.Query{Words: o.matching}
		if err := f.Matching.Check(); err != nil {
			return f, usagef("--matching: %w", err)
		}
	}
	return f, nil
}

// wanted reads which contents are to be watched.
func (o *eventsOptions) wanted() ([]lonja.Wanted, error) {
	all := make([]lonja.Wanted, len(o.holders))
	for i, text := range o.holders {
		var err error
		if all[i].File, err = lonja.ParseFileID(text); err == nil {
			continue
		}
		if all[i].Name, err = lonja.ParsePublishedName(text); err != nil {
			return nil, usagef("--holders: %w", err)
		}
	}
	return all, nil
}

// contents finds what is wanted by name among what connected users have.
func (a *asker) contents(ctx context.Context, wanted []lonja.Wanted) ([]lonja.FileID, error) {
	found := make(map[lonja.FileID]bool)
	for _, w := range wanted {
		if !w.File.IsZero() {
			found[w.File] = true
			continue
		}
		holders, err := a.errand.Holders(ctx, w, "")
		if err != nil && !errors.Is(err, lonja.NoHolder) {
			return nil, err
		}
		holders = slices.DeleteFunc(holders, func(h lonja.Holder) bool { return h.Proof == nil }) // classic: of unknown content
		if len(holders) == 0 {
			return nil, fmt.Errorf("no connected user has %s over TLS, so it is not known which content that is: say its id", lonja.Printable(string(w.Name)))
		}
		for _, h := range holders {
			found[h.Proof.File] = true
		}
	}
	if len(found) > lonja.MaxWatched {
		return nil, usagef("--holders: %d contents, at most %d can be watched: say which by their ids", len(found), lonja.MaxWatched)
	}
	return slices.Collect(maps.Keys(found)), nil
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
	wanted, err := opts.wanted()
	if err != nil {
		return err
	}
	return opts.as(cmd, func(a *asker) error {
		ctx := cmd.Context()
		if filter.Holders, err = a.contents(ctx, wanted); err != nil {
			return err
		}
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
	lonja.HolderAppeared: "appeared", lonja.HolderLeft: "gone", lonja.KeyRevoked: "revoked", lonja.EventsLost: "lost",
}

// An eventLine is an event as programs are told it.
type eventLine struct {
	Event   string   `json:"event"`
	User    string   `json:"user,omitempty"`
	Name    string   `json:"name,omitempty"`
	Size    *int64   `json:"size,omitempty"`
	File    string   `json:"file,omitempty"`
	Kind    string   `json:"kind,omitempty"`
	Files   *int64   `json:"files,omitempty"`
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
		line.setPeer(e.Peer)
	case lonja.Published, lonja.Withdrawn, lonja.HolderLeft:
		line.setListing(e.Listing)
	case lonja.HolderAppeared:
		line.setPeer(e.Peer)
		line.setListing(e.Listing)
	case lonja.KeyRevoked:
		line.Key = e.Key.ID().String()
	}
	if asJSON {
		return writeJSONLine(cmd.OutOrStdout(), line)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line.text(time.Now()))
	return err
}

func (l *eventLine) setPeer(p lonja.Peer) {
	shown := presentUser(p)
	l.Dialect, l.Ways, l.Key = shown.Dialect, shown.Ways, shown.Key
}

func (l *eventLine) setListing(listing lonja.Listing) {
	l.Name, l.Dialect = string(listing.Name), dialectOf(listing)
	l.NameBytes = notText(l.Name)
	l.Kind, l.Files = kindOf(listing)
	if listing.Size >= 0 {
		l.Size = &listing.Size
	}
	if listing.Proof != nil {
		l.File = listing.Proof.File.String()
	}
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
