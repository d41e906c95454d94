package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/identity"
	"lonja/internal/statement"
)

func newRegisterCommand() *cobra.Command {
	var opts askOptions
	var invitation string
	cmd := &cobra.Command{
		Use:   "register NAME [LINK]",
		Short: "take a name at a directory, for the key of this machine",
		Long: `Registers NAME at a directory and binds it to the key of this machine (see
"lonja id"): nobody else can use it. LINK is the lonja:// link of whoever runs the
directory; it says where that is, what its fingerprint is, and may have the
invitation that some directories want.

It is remembered here, so that other commands need not be told who asks.`,
		Example: `  lonja register ana -s market.example
  lonja register ana lonja://market.example:4444#2c26b46b...c2.k3Qx...`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				opts.server = args[1]
			}
			return runRegister(cmd, opts, args[0], lonja.Invitation(invitation))
		},
	}
	opts.memberOptions.addFlags(cmd.Flags())
	addJSONFlag(cmd.Flags(), &opts.json)
	cmd.Flags().StringVar(&invitation, "invitation", "", "the `secret` of an invitation, where it is not in the link")
	notSettings(cmd.Flags(), "invitation")
	return cmd
}

// A registration is what "lonja register" answers.
type registration struct {
	User      string `json:"user"`
	Directory string `json:"directory"`
	Authority string `json:"authority"` // the directory's fingerprint
	Key       string `json:"key"`       // the fingerprint of this machine's key
	Before    bool   `json:"before"`    // it was this key's already
}

func runRegister(cmd *cobra.Command, opts askOptions, text string, invitation lonja.Invitation) error {
	name, err := lonja.ParseMemberName(text)
	if err != nil {
		return err
	}
	a, err := opts.askerNamed(cmd, name)
	if err != nil {
		return err
	}
	defer a.close()
	if invitation == "" {
		invitation = a.invitation
	}
	ctx := cmd.Context()
	before := false
	err = a.client.RegisterMember(ctx, a.self(), invitation)
	switch {
	case errors.Is(err, lonja.NameInUse):
		if before, err = a.speaks(ctx, name); err == nil && !before {
			err = fmt.Errorf("%s is somebody else's at %s: choose another name; if it is yours, on another device, see \"lonja id add --help\"",
				lonja.Printable(text), a.name())
		}
	case errors.Is(err, lonja.Forbidden):
		err = fmt.Errorf("%w; ask who runs the directory for an invitation, and give its link, or --invitation", err)
	case err == nil:
		a.node.Forget(name)
	}
	if err != nil {
		return err
	}
	if err := rememberName(a.state, a.name(), name); err != nil {
		return fmt.Errorf("registered %s, but that is not remembered here: %w", lonja.Printable(text), err)
	}
	r := registration{text, a.name(), a.set().Fingerprint().String(), a.key.PublicKey().ID().String(), before}
	if opts.json {
		return writeRows(cmd.OutOrStdout(), true, nil, []registration{r}, nil)
	}
	said := "registered " + text
	if before {
		said = text + " is registered already, for the key here,"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s at %s\nyour key is  %s\n", said, a.name(), identity.Hex(a.key.PublicKey().ID()))
	return nil
}

// speaks reports whether the key here is one of a user's.
func (a *asker) speaks(ctx context.Context, user lonja.UserName) (bool, error) {
	ring, err := a.client.Keys(ctx, user)
	return statement.Speaks(ring, a.key.PublicKey()), err
}

func newUnregisterCommand() *cobra.Command {
	var opts askOptions
	cmd := &cobra.Command{
		Use:   "unregister NAME",
		Short: "give a name back, with all that is published under it",
		Long: `Removes the account NAME: nothing of it is listed any more, and anybody may take
the name.`,
		Example: `  lonja unregister ana -s market.example`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.user = args[0]
			return opts.as(cmd, func(a *asker) error {
				if err := a.node.Unregister(cmd.Context(), a.user); err != nil {
					return err
				}
				if err := forgetName(a.state, a.name(), a.user); err != nil {
					return err
				}
				if opts.json {
					return writeRows(cmd.OutOrStdout(), true, nil, []map[string]string{{"unregistered": args[0], "directory": a.name()}}, nil)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "unregistered %s at %s\n", lonja.Printable(args[0]), a.name())
				return nil
			})
		},
	}
	opts.memberOptions.addFlags(cmd.Flags())
	addJSONFlag(cmd.Flags(), &opts.json)
	return cmd
}
