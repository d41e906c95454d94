package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"lonja"
	"lonja/internal/identity"
)

// maxPassphrase bounds what is read of a file of one.
const maxPassphrase = 4096

// keyOptions say where the key of this node is, and how it is opened.
type keyOptions struct {
	configDir      string
	passphraseFile string
}

func (o *keyOptions) addFlags(f *pflag.FlagSet) {
	addConfigDirFlag(f, &o.configDir)
	f.StringVar(&o.passphraseFile, "passphrase-file", "", "`file` whose first line is the passphrase of a sealed key; otherwise the terminal is asked")
}

func addConfigDirFlag(f *pflag.FlagSet, dir *string) {
	f.StringVar(dir, "config-dir", "", "`directory` of the key and of what is trusted (default $XDG_CONFIG_HOME/lonja)")
}

// file returns where the key is.
func (o *keyOptions) file() (identity.File, error) {
	dir, err := configDir(o.configDir)
	if err != nil {
		return identity.File{}, err
	}
	return identity.File{Dir: dir, Ask: o.askFor("Passphrase of the key")}, nil
}

// askFor returns a function that gets a passphrase: from the file that was
// named, or from the terminal, which must be that of a person.
func (o *keyOptions) askFor(what string) func() (identity.Passphrase, error) {
	return func() (identity.Passphrase, error) {
		if o.passphraseFile != "" {
			return readPassphrase(o.passphraseFile)
		}
		text, err := askTerminal(what)
		return identity.NewPassphrase(text), err
	}
}

func readPassphrase(path string) (identity.Passphrase, error) {
	file, err := os.Open(path)
	if err != nil {
		return identity.Passphrase{}, usagef("--passphrase-file: %w", err)
	}
	defer file.Close()
	line, err := bufio.NewReader(io.LimitReader(file, maxPassphrase)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return identity.Passphrase{}, fmt.Errorf("--passphrase-file: %w", err)
	}
	return identity.NewPassphrase(strings.TrimRight(line, "\r\n")), nil
}

// askTerminal asks the terminal of this process, whatever its input and output
// are, and shows nothing of what is typed.
func askTerminal(what string) (_ string, err error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", lonja.E(lonja.Forbidden, "ask for a passphrase", errors.New("there is no terminal to ask on; use --passphrase-file"))
	}
	defer tty.Close()
	// Raw before it asks: who types at once must not see it either.
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask for a passphrase: %w", err)
	}
	text, err := term.NewTerminal(tty, "").ReadPassword(what + ": ")
	if err := errors.Join(err, term.Restore(int(tty.Fd()), before)); err != nil {
		return "", lonja.E(lonja.Canceled, "ask for a passphrase", err)
	}
	return text, nil
}

// newPassphrase gets a new one: from a file that was named for it, or from the
// terminal, twice.
func newPassphrase(path string) (identity.Passphrase, error) {
	if path != "" {
		return readPassphrase(path)
	}
	first, err := askTerminal("New passphrase")
	if err != nil {
		return identity.Passphrase{}, err
	}
	second, err := askTerminal("The same again")
	if err != nil {
		return identity.Passphrase{}, err
	}
	if first != second {
		return identity.Passphrase{}, usagef("the two passphrases are not the same")
	}
	return identity.NewPassphrase(first), nil
}
