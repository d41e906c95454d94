package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/identity"
)

// caOptions say which directory is meant, as "lonja server" does.
type caOptions struct {
	data string
	port int
}

func (o *caOptions) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.data, "data", "", "`directory` of the data; by default that of \"lonja server\" on the port")
	cmd.Flags().IntVarP(&o.port, "port", "p", 4444, "`port` of the directory whose data is meant")
}

func (o *caOptions) options() (authority.Options, error) {
	store := storeOptions{data: o.data}
	dir, err := store.dataDir(o.port)
	if err == nil && dir == inMemory {
		err = usagef("--data %s: a directory that keeps nothing has no authority to look after", inMemory)
	}
	return authority.Options{Dir: dir}, err
}

func (o *caOptions) load() (*authority.Authority, error) {
	options, err := o.options()
	if err != nil {
		return nil, err
	}
	return authority.Load(options)
}

func newServerCACommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "look after a directory's authority",
		Long: `A directory signs the certificates of its members with a key that it makes at
its first start. Members know the directory by that key's fingerprint. These
commands work on its files, in the data directory; a directory that runs
notices within seconds.
` + exitHelp,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newCAShowCommand(), newCARotateCommand(), newCAExportCommand(), newCAImportCommand())
	return cmd
}

// A shownCA is the answer of "lonja server ca show" for programs.
type shownCA struct {
	Fingerprint string      `json:"fingerprint"`
	Words       string      `json:"words"`
	File        string      `json:"file"`
	Earlier     []earlierCA `json:"earlier"`
}

type earlierCA struct {
	Fingerprint string    `json:"fingerprint"`
	Until       time.Time `json:"until"`
}

func newCAShowCommand() *cobra.Command {
	var opts caOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "show the fingerprint by which members know the directory",
		Long: `Shows the fingerprint, in words and in hexadecimal, and earlier ones that hold
still after a rotation.`,
		Example: `  lonja server ca show`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := opts.load()
			if err != nil {
				return err
			}
			return showCA(cmd, a, asJSON)
		},
	}
	opts.addTo(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	notSettings(cmd.Flags(), "json")
	return cmd
}

func showCA(cmd *cobra.Command, a *authority.Authority, asJSON bool) error {
	id := a.Fingerprint()
	shown := shownCA{id.String(), identity.Words(id), a.Path(), []earlierCA{}}
	facts := []fact{{"in words", shown.Words}, {"fingerprint", identity.Hex(id)}, {"kept in", a.Path()}}
	for _, e := range a.Set().Earlier(time.Now()) {
		until := e.Until.UTC()
		shown.Earlier = append(shown.Earlier, earlierCA{e.ID.String(), until})
		facts = append(facts, fact{"before", identity.Hex(e.ID) + ", until " + until.Format(time.RFC3339)})
	}
	if asJSON {
		return writeRows(cmd.OutOrStdout(), true, nil, []shownCA{shown}, nil)
	}
	writeFacts(cmd.OutOrStdout(), facts...)
	return nil
}

func newCARotateCommand() *cobra.Command {
	var opts caOptions
	var overlap time.Duration
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "give the directory a new key",
		Long: `Makes a new key for the authority. During the overlap members that know the old
fingerprint learn the new one by themselves; those who do not come by in that
time have to be told. The private part of the old key is gone.

If the old key was stolen, use --overlap 0: nothing follows from it then, and
every member has to be told the new fingerprint.

On a cluster, rotate on one node, then "export" there and "import --force" on
the others.`,
		Example: `  lonja server ca rotate
  lonja server ca rotate --overlap 0`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := opts.load()
			if err != nil {
				return err
			}
			if err := a.Rotate(overlap); err != nil {
				return err
			}
			return showCA(cmd, a, false)
		},
	}
	opts.addTo(cmd)
	cmd.Flags().DurationVar(&overlap, "overlap", authority.DefaultOverlap, "how `long` the old key holds beside the new one")
	notSettings(cmd.Flags(), "overlap")
	return cmd
}

func newCAExportCommand() *cobra.Command {
	var opts caOptions
	var out string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "write a copy of the authority, for another node or to be kept",
		Long: `Writes the authority, its private key in the clear, to standard output or to a
file that is not there yet. All nodes of a cluster need the same one. Who reads
it can sign for the directory.`,
		Example: `  lonja server ca export | ssh other lonja server ca import -`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := opts.load()
			if err != nil {
				return err
			}
			return writeSecret(cmd, out, a.Export())
		},
	}
	opts.addTo(cmd)
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` to make, for its owner only, instead of standard output")
	notSettings(cmd.Flags(), "output")
	return cmd
}

func newCAImportCommand() *cobra.Command {
	var opts caOptions
	var force bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "put an exported authority in its place",
		Long: `Reads an authority from FILE, or from standard input for -, into the data
directory. Another one that is there is not touched unless --force is given:
members who know its fingerprint would take the directory for a false one.`,
		Example: `  lonja server ca import authority.pem`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := opts.options()
			if err != nil {
				return err
			}
			text, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			id, err := authority.Import(options, text, force)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the directory's fingerprint is %s\n", lonja.Printable(identity.Hex(id)))
			return nil
		},
	}
	opts.addTo(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "also in the place of another one")
	notSettings(cmd.Flags(), "force")
	return cmd
}
