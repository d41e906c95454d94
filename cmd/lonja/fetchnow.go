package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/downloads"
	"lonja/internal/node"
	"lonja/internal/telemetry"
)

// showOptions say how a download is shown while it is fetched.
type showOptions struct {
	keepTrying bool
	every      time.Duration
}

func (o *showOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.keepTrying, "keep-trying", false, "if nobody sends it, or the disk is full, try again until it is there")
	f.DurationVar(&o.every, "progress", defaultProgress, "how often it is said how far it is, where there is no terminal to show it; 0: never")
	notSettings(f, "keep-trying")
}

// A foreground fetches one download while a person, or a program, looks on.
type foreground struct {
	*asker
	showOptions
	cmd    *cobra.Command
	path   string // of the target, as the person knows it
	json   bool
	active *downloads.Active // nil where there is no list
	*transfer
	events *eventWriter
}

// begin adds a download to the list and has this process fetch it. Without a list,
// because its disk is full, say, it is fetched all the same.
func (a *asker) begin(ctx context.Context, d downloads.Download) (*downloads.Active, error) {
	active, err := downloadsBelow(a.state).Begin(ctx, d)
	if err == nil || errors.Is(err, lonja.Conflict) {
		return active, err
	}
	a.log.Warn("the list of downloads will not have this one", slog.Any("error", err))
	return nil, nil
}

// fetchNow fetches a download, shows how it goes, and writes down what came of it.
func (f *foreground) fetchNow(d downloads.Download, choice *node.Choice) error {
	ctx := f.cmd.Context()
	if f.active != nil {
		d = f.active.Download
		ctx = f.active.Context()
	}
	if d.Folder {
		defer spareMemory(largeShared)() // of many files
	}
	f.transfer = newTransfer(d, choice)
	f.events = newEventWriter(f.cmd.OutOrStdout(), d.ID, f.path)
	if f.active != nil {
		f.active.Tell(f.status)
	}
	hide := f.show()
	names := &renameSayer{say: func(text string) { fmt.Fprintf(f.cmd.ErrOrStderr(), "lonja: %s\n", text) }}
	f.renamed = names.renamed
	got, err := f.tryOn(ctx)
	hide()
	names.done()
	state, failure := f.end(err)
	if failure != nil {
		f.log.Warn("what came of the download is not written down", slog.Any("error", failure))
	}
	if err != nil {
		return f.sayFailed(state, err)
	}
	return f.sayDone(got)
}

// show shows how it goes until the returned function is called.
func (f *foreground) show() (hide func()) {
	switch {
	case f.json:
		f.events.started(f.Download)
		stop := follow(f.every, f.status, f.events.progress)
		return func() {
			stop()
			f.events.holders(f.status().Holders, true)
		}
	case telemetry.IsTerminal(os.Stderr):
		bar := telemetry.NewDownloadBar(os.Stderr, lonja.Printable(filepath.Base(f.path)), f.Size, func() string { return progressText(f.status()) })
		f.report = func(received int64) { bar.Report(received, f.size()) }
		return bar.Done
	}
	return follow(f.every, f.status, progressLine(f.cmd.ErrOrStderr(), f.path))
}

// tryOn fetches it, more than once if it is to.
func (f *foreground) tryOn(ctx context.Context) (fetched, error) {
	before := f.Received
	for tries := 1; ; tries++ {
		got, err := f.fetch(ctx, f.errand)
		if err == nil || !f.keepTrying || ctx.Err() != nil || !downloads.Passing(err) {
			return got, err
		}
		if now := f.received(); now > before {
			before, tries = now, 1
		}
		wait := (downloads.Backoff{}).After(tries)
		f.wait(fmt.Errorf("tried again in %v: %w", wait, err))
		f.sayWaits(wait, err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return got, lonja.E(lonja.Canceled, "fetch", ctx.Err())
		}
		if f.errand, err = f.node.Errand(f.user); err != nil { // with a new certificate
			return got, err
		}
	}
}

func (f *foreground) sayWaits(wait time.Duration, err error) {
	if !f.json && !telemetry.IsTerminal(os.Stderr) {
		fmt.Fprintf(f.cmd.ErrOrStderr(), "lonja: %v; it is tried again in %v\n", err, wait)
	}
}

// end writes down what came of it, and returns the state that it is in.
func (f *foreground) end(err error) (downloads.State, error) {
	o := downloads.Outcome{State: downloads.Done, Err: err, Received: f.received()}
	switch {
	case err == nil:
	case f.cmd.Context().Err() != nil: // the person who looked on
		o.State, o.Err = downloads.Paused, nil
	default:
		o.State = downloads.Failed
	}
	if f.active == nil {
		return o.State, nil
	}
	return f.active.End(o)
}

// sayFailed is the error for a download that is not done, with what to do.
func (f *foreground) sayFailed(state downloads.State, err error) error {
	if f.active == nil {
		f.tell(eventFailed, err)
		return err
	}
	id := f.ID
	switch state {
	case downloads.Paused:
		f.tell(eventPaused, nil)
		return fmt.Errorf("%s is paused: \"lonja resume %s\" goes on with it", lonja.Printable(f.path), id)
	case "":
		f.tell(eventCanceled, nil)
		return fmt.Errorf("%s was canceled with \"lonja cancel\"", lonja.Printable(f.path))
	}
	f.tell(eventFailed, err)
	if downloads.Passing(err) {
		return fmt.Errorf("%w\n\"lonja resume %s\" tries again; with --background your running node, or \"lonja downloads run\", does until it is there", err, id)
	}
	return fmt.Errorf("%w\nonce that is mended, \"lonja resume %s\" goes on", err, id)
}

func (f *foreground) tell(event string, err error) {
	if f.json {
		f.events.tellEnd(event, err)
	}
}

// sayDone says what was fetched, and who lied.
func (f *foreground) sayDone(got fetched) error {
	for _, liar := range got.Liars {
		fmt.Fprintf(f.cmd.ErrOrStderr(), "lonja: %v\n", lied(liar, f.Download))
	}
	if f.json {
		f.events.done(got, f.Download)
		return f.events.err
	}
	text := gottenFolderOf(got.FetchedFolder, f.path).String()
	if !f.Folder {
		text = fmt.Sprintf("%s: %d bytes from %s", lonja.Printable(f.path), got.Bytes, lonja.Printable(strings.Join(gottenOf(got.Fetched, f.path).From, ", ")))
	}
	_, err := fmt.Fprintln(f.cmd.OutOrStdout(), text)
	return err
}

// lied says of a holder that it sent something else.
func lied(user lonja.UserName, d downloads.Download) error {
	what := "the file, which was"
	if d.Folder {
		what = "the files, which were"
	}
	return fmt.Errorf("%s sent something else than %s fetched from others", lonja.Printable(string(user)), what)
}
