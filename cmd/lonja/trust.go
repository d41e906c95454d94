package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/identity"
	"lonja/internal/link"
	"lonja/internal/trust"
)

func newTrustCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "show and forget the directories and users that are trusted",
		Long: `At first contact this machine remembers the fingerprint of a directory, and the
key of each user that it meets there. What is another one later is refused,
until a person says here that the old one is to be forgotten.
` + exitHelp,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newTrustListCommand(), newTrustForgetCommand())
	return cmd
}

// A trusted is a line of "lonja trust list": a directory, or a user of one.
type trusted struct {
	Directory   string    `json:"directory"`
	User        string    `json:"user,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until,omitzero"`
}

func newTrustListCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "show what is trusted",
		Long:    `Shows the directories that are trusted, each with the users who were met there.`,
		Example: `  lonja trust list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := trustStore(dir)
			if err != nil {
				return err
			}
			all, err := store.List()
			if err != nil {
				return err
			}
			return writeRows(cmd.OutOrStdout(), asJSON, []string{"DIRECTORY", "USER", "FINGERPRINT", "SINCE"}, trustRows(all),
				func(t trusted) []string {
					return []string{t.Directory, t.User, t.Fingerprint, t.Since.Format(time.DateOnly)}
				})
		},
	}
	addConfigDirFlag(cmd.Flags(), &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each as a JSON object on a line of its own")
	notSettings(cmd.Flags(), "json")
	return cmd
}

func trustRows(all []trust.Directory) (rows []trusted) {
	for _, d := range all {
		name := strings.Join(d.Addresses, ",")
		for _, p := range d.Pins {
			rows = append(rows, trusted{Directory: name, Fingerprint: p.Fingerprint.String(), Since: p.Since, Until: p.Until})
		}
		for _, u := range d.Users {
			rows = append(rows, trusted{Directory: name, User: string(u.Name), Fingerprint: u.Key.ID().String(), Since: u.Since})
		}
	}
	return rows
}

func newTrustForgetCommand() *cobra.Command {
	var dir, user, fingerprint string
	cmd := &cobra.Command{
		Use:   "forget HOST[:PORT]",
		Short: "trust whoever comes next at an address, or under a user's name",
		Long: `Forgets the directory at an address, with all the users who were met there; or,
with --user, that user only. Do it when who runs the directory, or the user, has
told you the new fingerprint by another way; with --trust, it is the only one
that is taken from then on.`,
		Example: `  lonja trust forget market.example
  lonja trust forget market.example --user ana`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if user != "" && fingerprint != "" {
				return usagef("--user and --trust exclude each other: a user is trusted again at the next contact")
			}
			at, err := link.ParseAddress(args[0])
			if err != nil {
				return err
			}
			store, err := trustStore(dir)
			if err != nil {
				return err
			}
			if user != "" {
				return forgetUser(cmd, store, at, user)
			}
			return forgetDirectory(cmd, store, at, fingerprint)
		},
	}
	addConfigDirFlag(cmd.Flags(), &dir)
	cmd.Flags().StringVar(&user, "user", "", "forget that `user` only")
	cmd.Flags().StringVar(&fingerprint, "trust", "", "the `fingerprint` that the directory has now")
	notSettings(cmd.Flags(), "user", "trust")
	return cmd
}

func forgetUser(cmd *cobra.Command, store *trust.Store, at link.Address, name string) error {
	user, err := lonja.ParseMemberName(name)
	if err != nil {
		return err
	}
	found, err := store.ForgetUser(at, user)
	if err == nil && !found {
		err = fmt.Errorf("no user %s was met at %v", lonja.Printable(name), at)
	}
	if err == nil {
		fmt.Fprintf(cmd.OutOrStdout(), "forgot %s\n", lonja.Printable(name))
	}
	return err
}

func forgetDirectory(cmd *cobra.Command, store *trust.Store, at link.Address, fingerprint string) error {
	var next lonja.PeerID
	if fingerprint != "" {
		var err error
		if next, err = identity.ParseHex(fingerprint); err != nil {
			return err
		}
	}
	found, err := store.ForgetDirectory(at)
	if err != nil {
		return err
	}
	if !found && fingerprint == "" {
		return fmt.Errorf("nothing was trusted of %v", at)
	}
	if found {
		fmt.Fprintf(cmd.OutOrStdout(), "forgot %v\n", at)
	}
	if fingerprint == "" {
		return nil
	}
	if err := store.PinDirectory(at, next); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "trusting %v with %s\n", at, identity.Hex(next))
	return nil
}

func trustStore(dir string) (*trust.Store, error) {
	dir, err := configDir(dir)
	if err != nil {
		return nil, err
	}
	return trust.New(dir, nil), nil
}
