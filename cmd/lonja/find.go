package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/datetime"
	"lonja/internal/dirclient"
	"lonja/internal/node"
	"lonja/internal/shell"
)

type findOptions struct {
	askOptions
	classic   bool
	base      string
	extension string
	minSize   string
	maxSize   string
	owner     string
	online    bool
	limit     int
	all       bool
	datetime  string
}

func (o *findOptions) addFlags(f *pflag.FlagSet) {
	o.askOptions.addFlags(f)
	f.BoolVar(&o.classic, "classic", false, "speak the classic protocol, unencrypted; without --user, as a guest for the moment")
	f.StringVar(&o.base, "base", "", "only files with exactly this base `name`")
	f.StringVar(&o.extension, "ext", "", "only files with this `extension`")
	f.StringVar(&o.minSize, "min-size", "", "only files of at least this `size`: 500, 10MB, 1.5GiB")
	f.StringVar(&o.maxSize, "max-size", "", "only files of at most this `size`")
	f.StringVar(&o.owner, "owner", "", "only files of this `user`")
	f.BoolVar(&o.online, "online", false, "only files that somebody connected has")
	f.IntVar(&o.limit, "limit", lonja.DefaultFound, "show at most `n` results")
	f.BoolVar(&o.all, "all", false, "show all results")
	f.StringVar(&o.datetime, "datetime", envOr(datetimeVariable, datetime.DefaultURL),
		"`URL` of the date-time service, with --classic; $"+datetimeVariable)
	notSettings(f, "classic", "base", "ext", "min-size", "max-size", "owner", "online", "limit", "all")
}

func newFindCommand() *cobra.Command {
	var opts findOptions
	cmd := &cobra.Command{
		Use:   "find [WORDS...]",
		Short: "look for files in a directory",
		Long: `Shows which files a directory's users have published. All WORDS must be in a
file's published name or its description, in upper or lower case; the last one
may be only the beginning of a word. Files of one base name are one result. What
most users have in reach comes first.

What is marked "classic" was published in the unencrypted protocol: nothing proves
whose it is; its size is unknown, and fits no bound. Nothing found is no failure:
standard error says so.

With --classic, the directory is asked in that protocol, in which it answers
connected users only. Without --user, a guest by the name of find-... is registered
and connected while this takes, and then unregistered.`,
		Example: `  lonja find poem shel
  lonja find --ext ogg --online --all --json song
  lonja find --classic -s localhost poem`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, words []string) error {
			if opts.all && cmd.Flags().Changed("limit") {
				return usagef("--all and --limit exclude each other")
			}
			if opts.classic {
				return runFindClassic(cmd.Context(), opts, words, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return runFind(cmd, opts, words)
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// runFind searches as a member.
func runFind(cmd *cobra.Command, opts findOptions, words []string) error {
	query, err := opts.query(words)
	if err != nil {
		return err
	}
	return opts.as(cmd, func(a *asker) error {
		found := newFoundWriter(cmd.OutOrStdout(), opts.json)
		found.marks = true
		return showFound(cmd.Context(), func(ctx context.Context, q lonja.Query) (lonja.FoundPage, error) {
			return a.client.Search(ctx, a.user, q)
		}, query, opts.all, found, cmd.ErrOrStderr())
	})
}

// runFindClassic searches as the user of the options, or as a guest who is gone
// afterwards. Results go to stdout, all else to stderr.
func runFindClassic(ctx context.Context, opts findOptions, words []string, stdout, stderr io.Writer) error {
	if opts.server == "" {
		return usagef(`-s HOST is missing: which directory? (see "lonja find --help")`)
	}
	where, err := opts.site()
	if err != nil {
		return err
	}
	query, err := opts.query(words)
	if err != nil {
		return err
	}
	clock, err := datetime.NewClient(datetime.Options{URL: opts.datetime})
	if err != nil {
		return usagef("--datetime: %w", err)
	}
	defer clock.Close()

	dir := dirclient.New(dirclient.Options{
		Address: where.name(), Timestamp: clock.Now,
	})
	found := newFoundWriter(stdout, opts.json)
	show := func(search searchFunc) error { return showFound(ctx, search, query, opts.all, found, stderr) }
	if opts.user == "" {
		err = asGuest(ctx, dir, show, stderr)
	} else {
		err = asUser(dir, opts.user, show)
	}
	if errors.Is(err, syscall.EPIPE) {
		return nil // the reader has seen enough
	}
	return err
}

// query returns what the flags and words say, or a usage error.
func (o *findOptions) query(words []string) (lonja.Query, error) {
	q := lonja.Query{Words: strings.Join(words, " "), OnlineOnly: o.online}
	for _, f := range []struct{ flag, filter, value string }{
		{"base", "base", o.base},
		{"ext", "ext", o.extension},
		{"owner", "owner", o.owner},
		{"min-size", "min", o.minSize},
		{"max-size", "max", o.maxSize},
	} {
		if f.value == "" {
			continue
		}
		if err := shell.SetFilter(&q, f.filter, f.value); err != nil {
			return q, usagef("--%s %s: %w", f.flag, lonja.Printable(f.value), err)
		}
	}
	if q == (lonja.Query{}) && !o.all {
		return q, usagef(`what to look for? give words or a filter, or --all for everything (see "lonja find --help")`)
	}
	if o.limit < 1 || o.limit > lonja.MaxFound {
		return q, usagef("--limit %d is not between 1 and %d; --all shows all", o.limit, lonja.MaxFound)
	}
	q.Limit = o.limit
	if o.all {
		q.Limit = lonja.MaxFound
	}
	if err := q.Check(); err != nil {
		if e, ok := errors.AsType[*lonja.Error](err); ok && e.Err != nil {
			err = e.Err // without the wire's word for it
		}
		return q, usageError{err}
	}
	return q, nil
}

// A searchFunc asks for one page of results.
type searchFunc func(context.Context, lonja.Query) (lonja.FoundPage, error)

// asUser lets show search as a user who is connected somewhere.
func asUser(dir lonja.Directory, name string, show func(searchFunc) error) error {
	user, err := lonja.ParseUserName(name)
	if err != nil {
		return usagef("--user: %w", err)
	}
	err = show(func(ctx context.Context, q lonja.Query) (lonja.FoundPage, error) {
		return dir.Search(ctx, user, q)
	})
	if errors.Is(err, lonja.NotConnected) || errors.Is(err, lonja.NoSuchUser) {
		err = fmt.Errorf("%s: %w; connect in a running \"lonja client\", or leave --user out", lonja.Printable(name), err)
	}
	return err
}

// leaveTimeout bounds the farewell of a guest.
const leaveTimeout = 3 * time.Second

// asGuest lets show search as a user who exists only meanwhile: also a signal
// leaves no guest behind. Directories look whether a connected user listens, so
// the guest does, and serves nothing.
func asGuest(ctx context.Context, dir lonja.Directory, show func(searchFunc) error, stderr io.Writer) error {
	guest := node.New(node.Options{Directory: dir})
	defer guest.Close()
	name := lonja.UserName("find-" + strings.ToLower(rand.Text()[:10]))
	err := guest.Register(ctx, name)
	switch {
	case errors.Is(err, lonja.NameInUse):
		return err // somebody else's
	case err == nil:
		if err = guest.Connect(ctx, name); err == nil {
			err = show(guest.Search)
		}
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	// Registering may have failed only for us: its answer may have been lost.
	left := guest.Unregister(leaving, name)
	if left != nil && !errors.Is(left, lonja.NoSuchUser) && !errors.Is(err, lonja.Unavailable) {
		fmt.Fprintf(stderr, "lonja: the guest %s stays registered: %v\n", name, left)
	}
	return err
}

// mostEmptyPages bounds the pages with nothing on them that are passed over.
const mostEmptyPages = 1000

// showFound writes the first page of results, or all, and says on stderr when
// there is none, or more.
func showFound(ctx context.Context, search searchFunc, query lonja.Query, all bool, out *foundWriter, stderr io.Writer) error {
	for empty := 0; ; {
		page, err := search(ctx, query)
		if err != nil {
			return err
		}
		if err := out.write(page.Found); err != nil {
			return err
		}
		switch {
		case page.Next == "" && out.written == 0:
			fmt.Fprintln(stderr, "lonja: nothing found")
			return nil
		case page.Next == "":
			return nil
		case page.Next == query.After || empty > mostEmptyPages:
			return lonja.E(lonja.Malformed, "find", errors.New("the directory's pages do not end"))
		case len(page.Found) == 0:
			empty++ // it has looked at much that does not match: that is where it goes on
		case !all:
			fmt.Fprintln(stderr, "lonja: there is more: see --limit and --all")
			return nil
		}
		query.After = page.Next
	}
}
