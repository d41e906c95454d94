package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/downloads"
	"lonja/internal/node"
	"lonja/internal/telemetry"
)

// addDownloadsFlag adds the flag that says how many downloads are fetched at once.
func addDownloadsFlag(f *pflag.FlagSet, most *int) {
	f.IntVar(most, "max-downloads", downloads.DefaultMost, "how many queued downloads are fetched at once; 0: none")
}

func checkDownloads(most int) error {
	if most < 0 || most > downloads.MaxDownloads {
		return usagef("--max-downloads %d: it is between 0 and %d", most, downloads.MaxDownloads)
	}
	return nil
}

func newDownloadsRunCommand() *cobra.Command {
	var opts resumeOptions
	var most int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "fetch what is queued",
		Long: `Fetches what is queued or was interrupted, several at once, those with the highest
priority first, until nothing is left. What fails for a reason that passes, nobody
there or a full disk, is tried again; what does not, stays on the list as failed, and
the exit status is 1. A running "lonja share" or "lonja client" does the same for its
user.`,
		Example: `  lonja downloads run
  lonja downloads run --max-downloads 10`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkDownloads(most), opts.partOptions.check()); err != nil || most == 0 {
				return err
			}
			return opts.runAll(cmd, most)
		},
	}
	opts.addFlags(cmd.Flags())
	addDownloadsFlag(cmd.Flags(), &most)
	return cmd
}

func (o *resumeOptions) runAll(cmd *cobra.Command, most int) error {
	list, err := o.list()
	if err != nil {
		return err
	}
	askers := &askersFor{options: o, cmd: cmd, known: make(map[string]*asker)}
	defer askers.close()
	sayer := &outcomeSayer{cmd: cmd, json: o.json}
	err = list.Work(cmd.Context(), downloads.WorkOptions{
		Most: most, UntilEmpty: true, Log: telemetry.NewLog(os.Stderr, logLevel(slog.LevelWarn, o.verbose)),
		Fetch: func(r *downloads.Active) (int64, error) {
			a, err := askers.of(r.Download)
			if err != nil {
				return r.Received, err
			}
			received, err := fetchListed(r, a.node, sayer)
			return received, a.explain(err)
		},
		Ended: sayer.ended,
	})
	if err == nil && sayer.failed > 0 {
		err = fmt.Errorf("%d of the downloads failed: \"lonja downloads\" says why", sayer.failed)
	}
	return err
}

// askersFor are those who ask for the downloads of a list: one for each user of each
// directory.
type askersFor struct {
	options *resumeOptions
	cmd     *cobra.Command

	mu    sync.Mutex // held while one is made, who may ask a person for a passphrase
	known map[string]*asker
}

func (f *askersFor) of(d downloads.Download) (*asker, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := d.Site + " " + string(d.User)
	if a := f.known[key]; a != nil {
		return a, nil
	}
	a, err := f.options.asks(d).askerNamed(f.cmd, d.User)
	if err == nil {
		f.known[key] = a
	}
	return a, err
}

func (f *askersFor) close() {
	for _, a := range f.known {
		a.close()
	}
}

// fetchListed fetches a download of the list with a node, as the user who wanted it,
// and returns the bytes that are here.
func fetchListed(r *downloads.Active, n *node.Node, sayer *outcomeSayer) (int64, error) {
	errand, err := n.Errand(r.User)
	if err != nil {
		return r.Received, err
	}
	t := newTransfer(r.Download, nil)
	r.Tell(t.status)
	names := &renameSayer{say: func(text string) { sayer.tell(r.Download, errors.New(text)) }}
	t.renamed = names.renamed
	got, err := t.fetch(r.Context(), errand)
	names.done()
	if err == nil {
		sayer.fetched(r.Download, got)
	}
	return t.received(), err
}

// An outcomeSayer says what came of downloads that nobody looks at. Any number of
// goroutines may use it.
type outcomeSayer struct {
	cmd  *cobra.Command
	json bool
	log  *slog.Logger // in place of cmd, where nothing may be printed

	mu     sync.Mutex
	failed int
}

func (s *outcomeSayer) fetched(d downloads.Download, got fetched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, liar := range got.Liars {
		s.warn(d, lied(liar, d))
	}
	switch {
	case s.cmd == nil:
		s.log.Info("fetched", slog.String("file", d.Target))
	case s.json:
		newEventWriter(s.cmd.OutOrStdout(), d.ID, d.Target).done(got, d)
	default:
		fmt.Fprintf(s.cmd.OutOrStdout(), "fetched %s (%d bytes)\n", lonja.Printable(d.Target), got.Bytes)
	}
}

// ended tells of a download that is not done.
func (s *outcomeSayer) ended(d downloads.Download, state downloads.State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	event := map[downloads.State]string{
		downloads.Failed: eventFailed, downloads.Queued: eventWaiting, downloads.Paused: eventPaused, "": eventCanceled,
	}[state]
	if state == downloads.Failed {
		s.failed++
	}
	if event == "" {
		return
	}
	if s.cmd != nil && s.json {
		newEventWriter(s.cmd.OutOrStdout(), d.ID, d.Target).tellEnd(event, err)
	}
	if event == eventFailed || event == eventWaiting && downloads.Passing(err) {
		s.warn(d, err)
	}
}

// tell is warn for whoever has not the lock.
func (s *outcomeSayer) tell(d downloads.Download, what error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warn(d, what)
}

func (s *outcomeSayer) warn(d downloads.Download, err error) {
	if s.cmd == nil {
		s.log.Warn("a download", slog.String("id", d.ID), slog.String("file", d.Target), slog.Any("error", err))
		return
	}
	fmt.Fprintf(s.cmd.ErrOrStderr(), "lonja: download %s, %s: %v\n", d.ID, lonja.Printable(d.Target), err)
}

// workOptions say which downloads a node fetches beside what else it does.
type workOptions struct {
	state string
	site  string
	most  int
	sayer *outcomeSayer
	log   *slog.Logger
}

// workOff has a node fetch what is queued for its user, until stop is called, which
// waits for that.
func workOff(n *node.Node, o workOptions) (stop func()) {
	if o.most == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = downloadsBelow(o.state).Work(ctx, downloads.WorkOptions{ // no error while it is not for UntilEmpty
			Most: o.most, Log: o.log,
			Mine:  func(d downloads.Download) bool { return n.Serving() && d.Site == o.site && d.User == n.User() },
			Fetch: func(r *downloads.Active) (int64, error) { return fetchListed(r, n, o.sayer) },
			Ended: o.sayer.ended,
		})
	}()
	return func() {
		cancel()
		<-done
	}
}
