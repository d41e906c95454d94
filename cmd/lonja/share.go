package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/node"
)

type shareOptions struct {
	askOptions
	offerOptions
	nodeOptions
	as     string
	rescan time.Duration
}

// nodeOptions say how a node serves.
type nodeOptions struct {
	listen  string
	mapping string
	classic string
	fetches int // downloads at once
	rateOptions
}

// defaultRescan is how often it is looked for changes that nobody told of.
const defaultRescan = time.Minute

func newShareCommand() *cobra.Command {
	var opts shareOptions
	cmd := &cobra.Command{
		Use:   "share DIR",
		Short: "publish what is in a directory, follow its changes, and serve it",
		Long: `Connects, publishes all that is in DIR, under its path from DIR's own name on, and
serves it, with all else that is published from here, until it is stopped. What
comes, changes and goes in DIR is published and taken off the list meanwhile; a file
that is being written is waited for. Hidden and unfinished files are left out, and
symbolic links not followed.

It says where it can be reached; "lonja who --me" says why. Meanwhile it fetches what
"lonja get --background" has queued, and what was interrupted.

Of two programs with one key, on a copy of this machine, say, the one that was
started last is connected. The other ends with exit status 3.`,
		Example: `  lonja share ~/Public
  lonja share photos --to luis,eva --listen :5000`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runShare(cmd, opts, args[0]) },
	}
	f := cmd.Flags()
	opts.askOptions.addFlags(f)
	f.StringVarP(&opts.description, "description", "d", "", "what others read of each file")
	f.StringSliceVar(&opts.to, "to", nil, "only for these `users`, with commas between them")
	f.StringVar(&opts.as, "as", "", "publish it below this `name` instead of DIR's own")
	f.StringVar(&opts.listen, "listen", "", "`address` on which files are served (default :4445 or the next free port)")
	f.StringVar(&opts.mapping, "port-mapping", switchOn, "`on`: have the router lead to that port; off: leave the router alone")
	f.StringVar(&opts.classic, "classic", switchOn, "`on`: serve classic peers too, unencrypted, where the directory does; off: TLS only")
	addDownloadsFlag(f, &opts.fetches)
	opts.rateOptions.addFlags(f)
	f.DurationVar(&opts.rescan, "rescan", defaultRescan, "how often it is looked for changes that the system did not tell of")
	notSettings(f, "description", "to", "as")
	return cmd
}

func (o *shareOptions) check(cmd *cobra.Command) error {
	switch {
	case o.mapping != switchOn && o.mapping != switchOff:
		return usagef("--port-mapping %s: it is on or off", o.mapping)
	case o.classic == classicOnly:
		return usagef("\"lonja share\" signs what it publishes, which the classic protocol cannot: --classic is on or off")
	case o.classic != switchOn && o.classic != switchOff:
		return usagef("--classic %s: it is on or off", o.classic)
	case o.rescan <= 0:
		return usagef("--rescan must be above zero")
	}
	o.listen = cmp.Or(o.listen, ":"+strconv.Itoa(node.DefaultPort))
	if err := checkListen(o.listen); err != nil {
		return usagef("--listen %s: %w", o.listen, err)
	}
	if err := errors.Join(checkDownloads(o.fetches), o.rateOptions.check()); err != nil {
		return err
	}
	return o.checkAudience(cmd)
}

// sharedDir returns the real path of a directory that a person named.
func sharedDir(named string) (string, error) {
	dir, err := filepath.Abs(named)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", usageError{err}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", usagef("%s is not a directory: \"lonja publish\" takes files", lonja.Printable(named))
	}
	return dir, nil
}

func runShare(cmd *cobra.Command, opts shareOptions, named string) error {
	if err := opts.check(cmd); err != nil {
		return err
	}
	dir, err := sharedDir(named)
	if err != nil {
		return err
	}
	defer spareMemory(largeShared)()
	opts.serving = &opts.nodeOptions
	return opts.askOptions.as(cmd, func(a *asker) error {
		offer, err := opts.offer(cmd.Context(), a)
		if err != nil {
			return err
		}
		if err := a.connect(cmd); err != nil {
			return err
		}
		defer keepStatus(a.node, &statusFile{state: a.state, directory: a.name(), program: "share", log: a.log})()
		if err := a.sayServing(cmd, dir, opts.json); err != nil {
			return err
		}
		defer workOff(a.node, workOptions{
			state: a.state, site: a.name(), most: opts.fetches, log: a.log, sayer: &outcomeSayer{cmd: cmd, json: opts.json},
		})()
		base, err := filepath.Abs(named)
		if err != nil {
			return err
		}
		f := &follower{
			asker: a, cmd: cmd, dir: dir, top: cmp.Or(opts.as, filepath.Base(base)), offer: offer, json: opts.json,
			known: make(map[string]fileState), pending: make(map[string]fileState),
		}
		return f.run(cmd.Context(), opts.rescan)
	})
}

// connect begins the session. A node of the same user that runs here has it, and
// would lose it.
func (a *asker) connect(cmd *cobra.Command) error {
	other, err := readStatus(a.state, statusName(a.name(), a.user))
	if err != nil {
		return err
	}
	if other != nil {
		return fmt.Errorf("\"lonja %s\", process %d, serves for %s already; \"lonja publish\" has it serve more", other.Program, other.Process, lonja.Printable(other.User))
	}
	err = a.node.Connect(cmd.Context(), a.user)
	if errors.Is(err, lonja.AlreadyConnected) {
		err = fmt.Errorf("%w: another node of %s runs elsewhere; one at a time can be connected", err, lonja.Printable(string(a.user)))
	}
	if err != nil {
		return err
	}
	a.errand, err = a.node.Errand(a.user) // with what is served
	return err
}

// A servingLine is what "lonja share" says first.
type servingLine struct {
	Serving string   `json:"serving"`
	User    string   `json:"user"`
	Ways    []string `json:"ways"`
}

func (a *asker) sayServing(cmd *cobra.Command, dir string, asJSON bool) error {
	at, err := reachOf(a.node, "share")
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSONLine(cmd.OutOrStdout(), servingLine{dir, at.User, at.Ways})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "serving %s as %s at %s\n", lonja.Printable(dir), lonja.Printable(at.User), strings.Join(at.Ways, ", "))
	return err
}
