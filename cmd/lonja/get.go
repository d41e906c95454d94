package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/downloads"
	"lonja/internal/incoming"
	"lonja/internal/link"
	"lonja/internal/node"
)

type getOptions struct {
	askOptions
	showOptions
	partOptions
	output     string
	from       string
	force      bool
	background bool
	priority   int

	include []string // of a folder
}

func newGetCommand() *cobra.Command {
	var opts getOptions
	cmd := &cobra.Command{
		Use:   "get NAME|ID|LINK",
		Short: "fetch a file or a folder from who has it",
		Long: `Fetches a file straight from the machines of those who have it, from all at once: by its name, by its id (which
"b3sum" prints), or by the lonja:// link that "lonja publish" shows. What comes is
checked against the id, piece by piece; when all is right the file appears. Until
then it grows in a hidden directory beside it, and the same command goes on with it.

While it comes, others are given what is here of it, and are told that by the
directory, unless your "lonja share" or "lonja client" is connected. You are
connected for that time, and what you have published is served too. When the command
ends nothing of that stays. --partial off does without.

It is on the list of "lonja downloads" from then on: another terminal can pause it,
or ask why it is slow ("lonja why"). With --background it is only put there; your
running "lonja share" or "lonja client" fetches it, or "lonja downloads run", and
tries again until it is there.

With --json, standard output has one event on a line each: started, progress,
holder-joined, holder-left, holder-lied, paused, canceled, failed, done.

If several contents go by that NAME, they are listed, and the exit status is 1: ask
for one by its id, or with --from. Nothing is overwritten without --force.

A folder becomes a directory; with --include, only those files of it come that a
pattern matches: * and ? within a name, ** for any directories, {a,b}, [a-z]. A
pattern that matches a directory stands for all that is in it. What is here already,
under whatever name, is not fetched again. The same command goes on with a folder
that was interrupted, and completes one that is there.`,
		Example: `  lonja get poem.txt
  lonja get poem.txt --from ana -o /tmp/
  lonja get 9b1f...e0 -o poem.txt
  lonja get film.mkv --background --priority 5
  lonja get photos --include "2026/**/*.jpg" -o /tmp/`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runGet(cmd, opts, args[0]) },
	}
	opts.askOptions.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&opts.output, "output", "o", "", "put it in this `file`, or directory (default: its base name, here)")
	cmd.Flags().StringVar(&opts.from, "from", "", "only from this `user`")
	opts.partOptions.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.force, "force", false, "also in the place of a file that is there")
	cmd.Flags().BoolVarP(&opts.background, "background", "b", false, "only put it on the list of downloads")
	cmd.Flags().IntVar(&opts.priority, "priority", 0, "`number` that says which of the queued downloads come first: the higher ones")
	opts.showOptions.addFlags(cmd.Flags())
	cmd.Flags().StringArrayVar(&opts.include, "include", nil, "of a folder, only files that this `pattern` matches; may be given again")
	notSettings(cmd.Flags(), "output", "from", "force", "background", "priority", "include")
	return cmd
}

// wanted reads what is to be fetched. A link says more than that.
func (o *getOptions) wanted(text string) (w lonja.Wanted, err error) {
	if strings.HasPrefix(text, "lonja://") {
		l, err := link.ParseFile(text)
		if err != nil {
			return w, err
		}
		o.server = l.Address.String()
		if l.Fingerprint != (lonja.PeerID{}) {
			o.server = link.Invitation{Address: l.Address, Fingerprint: l.Fingerprint}.String()
		}
		return lonja.Wanted{File: l.File, Name: l.Name}, nil
	}
	if id, err := lonja.ParseFileID(text); err == nil {
		return lonja.Wanted{File: id}, nil
	}
	w.Name, err = lonja.ParsePublishedName(text)
	return w, err
}

// target returns where a file goes, where nothing is yet that may not be replaced.
func (o *getOptions) target(name lonja.FileName) (string, error) {
	path, err := o.place(name)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) && !o.force {
		return "", fmt.Errorf("%s is there already: --force replaces it, -o gives another name", lonja.Printable(path))
	}
	return path, nil
}

// place returns where it goes: a name of others never leads out of a directory.
func (o *getOptions) place(name lonja.FileName) (string, error) {
	if o.output == "-" {
		return "", usagef("it cannot go to standard output: it is checked before it is seen. Give a file with -o")
	}
	base := lonja.FileName(filepath.Base(string(name))).Base()
	path := o.output
	if path == "" {
		path = base
	} else if isDir(path) && !incoming.IsBegun(path) { // a folder goes on where it began
		path = filepath.Join(path, base)
	}
	if path == "" || path == "." || path == ".." {
		return "", usagef("it has no name that a file can have: give one with -o")
	}
	return path, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// A gotten is a file that is there.
type gotten struct {
	File  string   `json:"file"`
	Name  string   `json:"name"`
	From  []string `json:"from"` // the users whom it came from, who sent most first; none for what was here
	Path  string   `json:"path"`
	Bytes int64    `json:"bytes"`
}

func gottenOf(fetched node.Fetched, path string) gotten {
	from := make([]string, len(fetched.From))
	for i, user := range fetched.From {
		from[i] = string(user)
	}
	return gotten{fetched.ID.String(), string(fetched.Name), from, path, fetched.Bytes}
}

func runGet(cmd *cobra.Command, opts getOptions, text string) error {
	wanted, err := opts.wanted(text)
	if err != nil {
		return err
	}
	if err := errors.Join(opts.checkInclude(), opts.partOptions.check()); err != nil {
		return err
	}
	opts.part = &opts.partOptions
	if opts.output != "" && !strings.HasSuffix(opts.output, "/") || wanted.Name != "" {
		path, err := opts.place(wanted.Name) // before anybody is asked
		if err == nil && !isDir(path) {      // which may be the folder that is meant
			_, err = opts.target(wanted.Name)
		}
		if err != nil {
			return err
		}
	}
	return opts.as(cmd, func(a *asker) error {
		asked := wanted
		if !asked.File.IsZero() {
			asked.Name = ""
		}
		choices, err := a.errand.Choices(cmd.Context(), asked, lonja.UserName(opts.from))
		if err != nil {
			return a.whyAbsent(cmd.Context(), asked, lonja.UserName(opts.from), err)
		}
		if len(choices) > 1 {
			return a.choose(cmd, opts, wanted.Name, choices)
		}
		name := cmp.Or(wanted.Name, choices[0].First().Name)
		place := opts.target
		if choices[0].IsFolder() {
			place = opts.place // which may be there: it is completed
		} else if len(opts.include) > 0 {
			return usagef("%s is a file: --include is for folders", lonja.Printable(string(name)))
		}
		path, err := place(name)
		if err != nil {
			return err
		}
		return opts.fetch(cmd, a, path, choices[0])
	})
}

// fetch fetches a content to path, or has it fetched.
func (o *getOptions) fetch(cmd *cobra.Command, a *asker, path string, choice node.Choice) error {
	d, err := o.download(a, path, choice)
	if err != nil {
		return err
	}
	if o.background {
		return a.queue(cmd, d, o.json)
	}
	f := &foreground{asker: a, showOptions: o.showOptions, cmd: cmd, path: path, json: o.json}
	if !d.File.IsZero() { // else it will not be fetched, and the error says why
		if f.active, err = a.begin(cmd.Context(), d); err != nil {
			return err
		}
	}
	return f.fetchNow(d, &choice)
}

// download is what the list has of what is fetched.
func (o *getOptions) download(a *asker, path string, choice node.Choice) (d downloads.Download, err error) {
	first := choice.First()
	d = downloads.Download{
		File: choice.ID, Name: first.Name, Size: max(0, first.Size), Directory: a.addressList(), Site: a.name(), User: a.user,
		From: lonja.UserName(o.from), Folder: choice.IsFolder(), Include: o.include, Force: o.force, Priority: o.priority,
	}
	d.Target, err = filepath.Abs(path)
	return d, err
}

// queue puts a download on the list, for another process.
func (a *asker) queue(cmd *cobra.Command, d downloads.Download, asJSON bool) error {
	if d.File.IsZero() {
		return errors.New("what is published in the classic protocol has no id by which it could be fetched later: fetch it with \"lonja client --classic\"")
	}
	d, err := downloadsBelow(a.state).Add(d)
	if err != nil {
		return err
	}
	if err := (&listOptions{json: asJSON}).said(cmd, d, "queued"); err != nil {
		return err
	}
	return sayWhoFetches(cmd, a.state, d)
}

// sayWhoFetches says what to do where nobody is there to fetch what is queued.
func sayWhoFetches(cmd *cobra.Command, state string, d downloads.Download) error {
	running, err := readStatus(state, statusName(d.Site, d.User))
	if err == nil && running == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "lonja: no node of yours runs here: \"lonja share\", \"lonja client\" or \"lonja downloads run\" will fetch it")
	}
	return err
}

// A choice is one of several contents of a name.
type choice struct {
	File    string   `json:"file,omitempty"` // absent for what is published in the classic protocol
	Holders []string `json:"holders"`
	Name    string   `json:"name"`
}

func choiceOf(c node.Choice) choice {
	told := choice{Name: string(c.Holders[0].Name)}
	if !c.ID.IsZero() {
		told.File = c.ID.String()
	}
	for _, h := range c.Holders {
		told.Holders = append(told.Holders, string(h.User))
	}
	return told
}

// choose lists what there is to choose from, and fails.
func (a *asker) choose(cmd *cobra.Command, opts getOptions, name lonja.FileName, choices []node.Choice) error {
	rows := make([]choice, len(choices))
	for i, c := range choices {
		rows[i] = choiceOf(c)
	}
	err := writeRows(cmd.OutOrStdout(), opts.json, []string{"ID", "NAME", "HOLDERS"}, rows, func(c choice) []string {
		return []string{cmp.Or(c.File, "unknown ("+dialectClassic+")"), c.Name, strings.Join(c.Holders, ",")}
	})
	if err != nil {
		return err
	}
	return fmt.Errorf("%s stands for %d contents: ask for one by its id, or say --from whom", lonja.Printable(string(name)), len(choices))
}
