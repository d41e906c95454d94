package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
		Long: `Fetches a file straight from a user's machine: by its name, by its id (which
"b3sum" prints), or by the lonja:// link that "lonja publish" shows. What comes is
checked against the id, whose owner has signed it; only then does the file appear.

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
	File  string `json:"file"`
	Name  string `json:"name"`
	From  string `json:"from"`
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
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
		holders, err := a.errand.Holders(cmd.Context(), asked, lonja.UserName(opts.from))
		if err != nil {
			return err
		}
		if contents := byContent(holders); len(contents) > 1 {
			return a.choose(cmd, opts, wanted.Name, contents)
		}
		path, err := opts.target(cmp.Or(wanted.Name, holders[0].Name))
		if err != nil {
			return err
		}
		return a.get(cmd, node.Fetching{Wanted: asked, Holders: holders, Local: path}, opts.json)
	})
}

func (a *asker) get(cmd *cobra.Command, f node.Fetching, asJSON bool) error {
	done := func() {}
	if telemetry.IsTerminal(os.Stderr) {
		f.Progress, done = telemetry.NewTransferBar(os.Stderr)(lonja.Printable(filepath.Base(f.Local)))
	}
	h, err := a.errand.Fetch(cmd.Context(), f)
	done()
	if err != nil {
		return err
	}
	info, err := os.Stat(f.Local)
	if err != nil {
		return err
	}
	got := gotten{h.Proof.File.String(), string(h.Name), string(h.User), f.Local, info.Size()}
	if asJSON {
		return writeJSONLine(cmd.OutOrStdout(), got)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes from %s\n", lonja.Printable(f.Local), got.Bytes, lonja.Printable(got.From))
	return nil
}

// A choice is one of several contents of a name.
type choice struct {
	File    string   `json:"file,omitempty"` // absent for what is published in the classic protocol
	Holders []string `json:"holders"`
	Name    string   `json:"name"`
}

// byContent sorts holders by what they have: what most have first.
func byContent(holders []lonja.Holder) (choices []choice) {
	for _, h := range holders {
		id := ""
		if h.Proof != nil {
			id = h.Proof.File.String()
		}
		i := slices.IndexFunc(choices, func(c choice) bool { return c.File == id })
		if i < 0 {
			i = len(choices)
			choices = append(choices, choice{File: id, Name: string(h.Name)})
		}
		choices[i].Holders = append(choices[i].Holders, string(h.User))
	}
	slices.SortStableFunc(choices, func(a, b choice) int { return cmp.Compare(len(b.Holders), len(a.Holders)) })
	return choices
}

// choose lists what there is to choose from, and fails.
func (a *asker) choose(cmd *cobra.Command, opts getOptions, name lonja.FileName, choices []choice) error {
	err := writeRows(cmd.OutOrStdout(), opts.json, []string{"ID", "NAME", "HOLDERS"}, choices, func(c choice) []string {
		return []string{cmp.Or(c.File, "unknown ("+dialectClassic+")"), c.Name, strings.Join(c.Holders, ",")}
	})
	if err != nil {
		return err
	}
	return fmt.Errorf("%s stands for %d contents: ask for one by its id, or say --from whom", lonja.Printable(string(name)), len(choices))
}
