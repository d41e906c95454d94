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
	"lonja/internal/link"
	"lonja/internal/node"
	"lonja/internal/telemetry"
)

type getOptions struct {
	askOptions
	output string
	from   string
	force  bool
}

func newGetCommand() *cobra.Command {
	var opts getOptions
	cmd := &cobra.Command{
		Use:   "get NAME|ID|LINK",
		Short: "fetch a file from who has it",
		Long: `Fetches a file straight from the machines of those who have it, from all at once: by its name, by its id (which
"b3sum" prints), or by the lonja:// link that "lonja publish" shows. What comes is
checked against the id, piece by piece; when all is right the file appears. Until
then it grows in a hidden directory beside it, and the same command goes on with it.

If several contents go by that NAME, they are listed, and the exit status is 1: ask
for one by its id, or with --from. Nothing is overwritten without --force.`,
		Example: `  lonja get poem.txt
  lonja get poem.txt --from ana -o /tmp/
  lonja get 9b1f...e0 -o poem.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runGet(cmd, opts, args[0]) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&opts.output, "output", "o", "", "put it in this `file`, or directory (default: its base name, here)")
	cmd.Flags().StringVar(&opts.from, "from", "", "only from this `user`")
	cmd.Flags().BoolVar(&opts.force, "force", false, "also in the place of a file that is there")
	notSettings(cmd.Flags(), "output", "from", "force")
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

// target returns where it goes: a name of others never leads out of a directory.
func (o *getOptions) target(name lonja.FileName) (string, error) {
	if o.output == "-" {
		return "", usagef("it cannot go to standard output: it is checked before it is seen. Give a file with -o")
	}
	base := lonja.FileName(filepath.Base(string(name))).Base()
	path := o.output
	if path == "" {
		path = base
	} else if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, base)
	}
	if path == "" || path == "." || path == ".." {
		return "", usagef("it has no name that a file can have: give one with -o")
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) && !o.force {
		return "", fmt.Errorf("%s is there already: --force replaces it, -o gives another name", lonja.Printable(path))
	}
	return path, nil
}

// A gotten is what "lonja get" answers.
type gotten struct {
	File  string   `json:"file"`
	Name  string   `json:"name"`
	From  []string `json:"from"` // the users whom it came from, who sent most first; none for what was here
	Path  string   `json:"path"`
	Bytes int64    `json:"bytes"`
}

func runGet(cmd *cobra.Command, opts getOptions, text string) error {
	wanted, err := opts.wanted(text)
	if err != nil {
		return err
	}
	if opts.output != "" && !strings.HasSuffix(opts.output, "/") || wanted.Name != "" {
		if _, err := opts.target(wanted.Name); err != nil { // before anybody is asked
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
			return err
		}
		if len(choices) > 1 {
			return a.choose(cmd, opts, wanted.Name, choices)
		}
		path, err := opts.target(cmp.Or(wanted.Name, choices[0].Holders[0].Name))
		if err != nil {
			return err
		}
		return a.get(cmd, node.Fetching{
			Wanted: asked, Choice: choices[0], From: lonja.UserName(opts.from), Local: path, Force: opts.force,
		}, opts.json)
	})
}

func (a *asker) get(cmd *cobra.Command, f node.Fetching, asJSON bool) error {
	done := func() {}
	if telemetry.IsTerminal(os.Stderr) {
		f.Progress, done = telemetry.NewSizedBar(os.Stderr, lonja.Printable(filepath.Base(f.Local)), f.Choice.Holders[0].Size)
	}
	fetched, err := a.errand.Fetch(cmd.Context(), f)
	done()
	if err != nil {
		return err
	}
	for _, liar := range fetched.Liars {
		fmt.Fprintf(cmd.ErrOrStderr(), "lonja: %s sent something else than the file, which was fetched from others\n", lonja.Printable(string(liar)))
	}
	from := make([]string, len(fetched.From))
	for i, user := range fetched.From {
		from[i] = string(user)
	}
	got := gotten{fetched.ID.String(), string(fetched.Name), from, f.Local, fetched.Bytes}
	if asJSON {
		return writeJSONLine(cmd.OutOrStdout(), got)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes from %s\n", lonja.Printable(f.Local), got.Bytes, lonja.Printable(strings.Join(from, ", ")))
	return nil
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
