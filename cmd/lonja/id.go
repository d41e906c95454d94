package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/identity"
)

func newIDCommand() *cobra.Command {
	var opts keyOptions
	var asJSON bool
	show := func(cmd *cobra.Command, _ []string) error { return runIDShow(cmd, opts, asJSON) }
	cmd := &cobra.Command{
		Use:   "id",
		Short: "show and keep the key that this machine acts with",
		Long: `Shows the key with which this machine acts for its user, and makes it at first
use. Others compare its fingerprint, in words or in hexadecimal, to know that a
name is really yours.

The key is in identity.key in the directory of the settings, for its owner only.
Who has a copy of it is you: seal it with a passphrase, or keep the file safe.`,
		Example: `  lonja id
  lonja id seal
  lonja id export -o my-key.age`,
		RunE: show,
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	notSettings(cmd.Flags(), "json")
	cmd.AddCommand(newIDShowCommand(), newIDExportCommand(), newIDImportCommand(), newIDSealCommand(), newIDUnsealCommand(),
		newIDCertificateCommand(), newIDKeysCommand(), newIDClaimCommand(), newIDAddCommand(), newIDEndorseCommand(), newIDRevokeCommand())
	return cmd
}

func newIDShowCommand() *cobra.Command {
	var opts keyOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "show the key's fingerprint; make the key at first use",
		Long:    `Shows the fingerprint in words and in hexadecimal, and the public key.`,
		Example: `  lonja id show --json`,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runIDShow(cmd, opts, asJSON) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	notSettings(cmd.Flags(), "json")
	return cmd
}

// A fact is a line of what a command shows of one thing.
type fact struct{ name, value string }

func writeFacts(w io.Writer, facts ...fact) {
	width := 0
	for _, f := range facts {
		width = max(width, len(f.name))
	}
	for _, f := range facts {
		fmt.Fprintf(w, "%-*s  %s\n", width, f.name, lonja.Printable(f.value))
	}
}

// A shownKey is the answer of "lonja id" for programs.
type shownKey struct {
	Fingerprint string `json:"fingerprint"`
	Words       string `json:"words"`
	PublicKey   string `json:"public_key"`
	File        string `json:"file"`
	Sealed      bool   `json:"sealed"`
}

func runIDShow(cmd *cobra.Command, opts keyOptions, asJSON bool) error {
	file, err := opts.file()
	if err != nil {
		return err
	}
	key, made, err := file.LoadOrMake()
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintf(cmd.ErrOrStderr(), "made a new key: %s\n", lonja.Printable(file.Path()))
	}
	sealed, err := file.Sealed()
	if err != nil {
		return err
	}
	id := key.PublicKey().ID()
	if asJSON {
		return writeRows(cmd.OutOrStdout(), true, nil, []shownKey{{
			id.String(), identity.Words(id), key.PublicKey().String(), file.Path(), sealed,
		}}, nil)
	}
	kept := file.Path()
	if sealed {
		kept += " (sealed)"
	}
	writeFacts(cmd.OutOrStdout(), fact{"in words", identity.Words(id)}, fact{"fingerprint", identity.Hex(id)},
		fact{"public key", typed(key.PublicKey().String())}, fact{"kept in", kept})
	return nil
}

func newIDExportCommand() *cobra.Command {
	var opts keyOptions
	var out, newFile string
	var plain bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "write a copy of the key, sealed with a passphrase",
		Long: `Writes a copy of the key to standard output, or to a file that is not there yet:
for another machine, or to be kept. It is sealed with a passphrase of its own
("age -d" opens it too), unless --plain is given.`,
		Example: `  lonja id export -o my-key.age
  lonja id export --plain | ssh other lonja id import -`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := opts.load()
			if err != nil {
				return err
			}
			secret := key.PEM()
			if !plain {
				p, err := newPassphrase(newFile)
				if err != nil {
					return err
				}
				if secret, err = identity.Seal(key, p); err != nil {
					return err
				}
			}
			return writeSecret(cmd, out, secret.Bytes())
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` to make, for its owner only, instead of standard output")
	cmd.Flags().BoolVar(&plain, "plain", false, "do not seal it: who reads it has the key")
	addNewPassphraseFlag(cmd, &newFile)
	notSettings(cmd.Flags(), "output", "plain")
	return cmd
}

// load returns the key that must be there.
func (o *keyOptions) load() (identity.Key, error) {
	file, err := o.file()
	if err != nil {
		return identity.Key{}, err
	}
	return file.Load()
}

func addNewPassphraseFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "new-passphrase-file", "", "`file` whose first line is the new passphrase; otherwise the terminal is asked")
	notSettings(cmd.Flags(), "new-passphrase-file")
}

// writeSecret writes to a file that is not there yet, for its owner only, or to
// standard output.
func writeSecret(cmd *cobra.Command, path string, secret []byte) error {
	write := func(w io.Writer) error { _, err := w.Write(secret); return err }
	if path == "" || path == "-" {
		return write(cmd.OutOrStdout())
	}
	return writeWhole(path, false, write)
}

// readInput reads a small file, or standard input for "-".
func readInput(cmd *cobra.Command, path string) ([]byte, error) {
	const most = 1 << 20
	in := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, usageError{err}
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && len(text) > most {
		err = fmt.Errorf("%s is longer than %d bytes", strings.Replace(path, "-", "standard input", 1), most)
	}
	return text, err
}

func newIDImportCommand() *cobra.Command {
	var opts keyOptions
	var force bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "act with a key that was exported elsewhere",
		Long: `Keeps the key in FILE, or in standard input for -, sealed or not as it is there.
Another key that is here already is not touched, unless --force is given; then
it is set aside, in a file beside the new one.`,
		Example: `  lonja id import my-key.age`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := opts.file()
			if err != nil {
				return err
			}
			text, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			key, err := file.Import(text, force)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "acting with %s\n", identity.Hex(key.PublicKey().ID()))
			return nil
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "also where another key is")
	notSettings(cmd.Flags(), "force")
	return cmd
}

func newIDSealCommand() *cobra.Command {
	var opts keyOptions
	var newFile string
	cmd := &cobra.Command{
		Use:   "seal",
		Short: "have a passphrase protect the key, or another one",
		Long: `Seals the key with a passphrase, which every program that acts with it asks for
from then on. A key that is sealed already gets another passphrase.`,
		Example: `  lonja id seal`,
		RunE: func(*cobra.Command, []string) error {
			file, err := opts.file()
			if err != nil {
				return err
			}
			if _, err := file.Sealed(); err != nil { // before anybody types anything
				return err
			}
			p, err := newPassphrase(newFile)
			if err != nil {
				return err
			}
			return file.Seal(p)
		},
	}
	opts.addFlags(cmd.Flags())
	addNewPassphraseFlag(cmd, &newFile)
	return cmd
}

func newIDUnsealCommand() *cobra.Command {
	var opts keyOptions
	cmd := &cobra.Command{
		Use:   "unseal",
		Short: "take the passphrase off the key",
		Long: `Keeps the key without a passphrase: nothing but the rights of its file protects
it then.`,
		Example: `  lonja id unseal`,
		RunE: func(*cobra.Command, []string) error {
			file, err := opts.file()
			if err != nil {
				return err
			}
			return file.Unseal()
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}
