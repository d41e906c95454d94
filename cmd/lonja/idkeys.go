package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/identity"
	"lonja/internal/statement"
)

// A keyLine is one of a user's keys as programs are told it.
type keyLine struct {
	User        string `json:"user"`
	Fingerprint string `json:"fingerprint"`
	PublicKey   string `json:"public_key"`
	Label       string `json:"label,omitempty"`
	Added       string `json:"added"`
	By          string `json:"by,omitempty"` // the fingerprint of the key that endorsed it; absent for the first one
	Revoked     string `json:"revoked,omitempty"`
	Unagreed    bool   `json:"unagreed,omitempty"` // it was endorsed when keys did not have to agree, and does not act until it has
	Here        bool   `json:"here"`               // it is the key of this machine
}

func newIDKeysCommand() *cobra.Command {
	var opts askOptions
	cmd := &cobra.Command{
		Use:   "keys [NAME]",
		Short: "list the keys of a name",
		Long: `Lists the keys that act for NAME, or for you: each with its fingerprint, what its
owner calls the device, since when, and by which earlier key it was endorsed.`,
		Example: `  lonja id keys
  lonja id keys luis --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.as(cmd, func(a *asker) error {
				name := a.user
				if len(args) == 1 {
					name = lonja.UserName(args[0])
				}
				ring, err := a.client.Keys(cmd.Context(), name)
				if err != nil {
					return err
				}
				if len(ring) == 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "lonja: %s is bound to no key: anybody can use it\n", lonja.Printable(string(name)))
				}
				rows := make([]keyLine, len(ring))
				for i, r := range ring {
					rows[i] = a.keyLine(r)
				}
				return writeRows(cmd.OutOrStdout(), opts.json, []string{"KEY", "DEVICE", "SINCE", "ENDORSED BY", "STATE"}, rows, keyLine.cells)
			})
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func (a *asker) keyLine(r lonja.KeyRecord) keyLine {
	line := keyLine{
		User: string(r.User), Fingerprint: r.Key.ID().String(), PublicKey: r.Key.String(), Label: r.Label,
		Added: time.Unix(r.Date, 0).UTC().Format(time.RFC3339), Here: r.Key == a.key.PublicKey(), Unagreed: !statement.Agreed(r.Endorsement),
	}
	if !r.By.IsZero() {
		line.By = r.By.ID().String()
	}
	if r.Revoked != 0 {
		line.Revoked = time.Unix(r.Revoked, 0).UTC().Format(time.RFC3339)
	}
	return line
}

func (k keyLine) cells() []string {
	state, by := "acts", "-"
	switch {
	case k.Revoked != "":
		state = "revoked " + k.Revoked[:len(time.DateOnly)]
	case k.Unagreed:
		state = "to be endorsed again"
	case k.Here:
		state = "acts, here"
	}
	if k.By != "" {
		by = k.By[:shownDigits]
	}
	label := k.Label
	if label == "" {
		label = "-"
	}
	return []string{k.Fingerprint[:shownDigits], label, k.Added[:len(time.DateOnly)], by, state}
}

func newIDClaimCommand() *cobra.Command {
	var opts askOptions
	cmd := &cobra.Command{
		Use:   "claim NAME",
		Short: "bind a name without a key to the key of this machine",
		Long: `Binds NAME, which was registered in the classic protocol and is open to anybody, to
the key of this machine: from then on nobody else can use it. You must be connected
with it, from this machine: in "lonja client --classic", say.`,
		Example: `  lonja id claim ana`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := lonja.ParseMemberName(args[0])
			if err != nil {
				return err
			}
			opts.user = args[0]
			return opts.asNamed(cmd, name, func(a *asker) error {
				err := a.client.Claim(cmd.Context(), a.self(), netip.Addr{})
				if errors.Is(err, lonja.NotConnected) {
					return usagef("%s is not connected from here: only who is can claim it; connect first, with \"lonja client --classic\"", lonja.Printable(args[0]))
				}
				if err != nil {
					return err
				}
				if err := rememberName(a.state, a.name(), name); err != nil {
					return err
				}
				return a.sayKey(cmd, opts.json, name, a.key.PublicKey(), "is bound to the key here")
			})
		},
	}
	opts.memberOptions.addFlags(cmd.Flags())
	addJSONFlag(cmd.Flags(), &opts.json)
	return cmd
}

// sayKey says what has become of a key of name.
func (a *asker) sayKey(cmd *cobra.Command, asJSON bool, name lonja.UserName, key lonja.PublicKey, what string) error {
	if asJSON {
		ring, err := a.client.Keys(cmd.Context(), name)
		if err != nil {
			return err
		}
		for _, r := range ring {
			if r.Key == key {
				return writeJSONLine(cmd.OutOrStdout(), a.keyLine(r))
			}
		}
		return lonja.E(lonja.Untrusted, "keys", errors.New("the directory does not show the key"))
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n  %s\n  %s\n", lonja.Printable(string(name)), what, identity.Words(key.ID()), identity.Hex(key.ID()))
	return err
}

func newIDAddCommand() *cobra.Command {
	var opts askOptions
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "have this machine act for a name that another device of yours has",
		Long: `Shows the key of this machine, and what to type on a device that acts for NAME
already: "lonja id endorse" there lets this key act for NAME too. What to type is a
request that this key has signed: it serves for NAME, and for nobody else. Both
devices show the key in words; they must be the same. Once it is endorsed, "lonja id add" says so.`,
		Example: `  lonja id add ana -s market.example`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := lonja.ParseMemberName(args[0])
			if err != nil {
				return err
			}
			return opts.asNamed(cmd, name, func(a *asker) error { return a.add(cmd, opts.json, name) })
		},
	}
	opts.memberOptions.addFlags(cmd.Flags())
	addJSONFlag(cmd.Flags(), &opts.json)
	return cmd
}

// An addLine is what "lonja id add" answers.
type addLine struct {
	User        string `json:"user"`
	PublicKey   string `json:"public_key"`
	Fingerprint string `json:"fingerprint"`
	Request     string `json:"request"` // what "lonja id endorse" takes
	Endorsed    bool   `json:"endorsed"`
}

func (a *asker) add(cmd *cobra.Command, asJSON bool, name lonja.UserName) error {
	ring, err := a.client.Keys(cmd.Context(), name)
	if err == nil && len(ring) == 0 {
		err = fmt.Errorf("%s is bound to no key: \"lonja id claim\" binds it", lonja.Printable(string(name)))
	}
	if err != nil {
		return err
	}
	if err := rememberName(a.state, a.name(), name); err != nil {
		return err
	}
	key := a.key.PublicKey()
	request := statement.Request{Key: key}
	if request.Consent, err = statement.SignConsent(name, ring[0].Key, a.key); err != nil {
		return err
	}
	endorsed := statement.Speaks(ring, key)
	if asJSON {
		return writeJSONLine(cmd.OutOrStdout(), addLine{string(name), key.String(), key.ID().String(), request.String(), endorsed})
	}
	if endorsed {
		return a.sayKey(cmd, false, name, key, "can be used here, with the key")
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `On a device that acts for %s, type

  lonja id endorse --label "this device" %s

It shows this key; the words must be the same:
  %s
  %s
`, lonja.Printable(string(name)), typed(request.String()), identity.Words(key.ID()), identity.Hex(key.ID()))
	return err
}

// typed is a key, or a request, as an argument: one in 64 begins with a dash, and
// would be taken for flags.
func typed(text string) string {
	if strings.HasPrefix(text, "-") {
		return "-- " + text
	}
	return text
}

// explainDash tells who typed such a key alone what to type.
func explainDash(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var text string
		if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
			text = "--" + unknown.GetSpecifiedName()
			if group := unknown.GetSpecifiedShortnames(); group != "" {
				text = "-" + group
			}
		}
		if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok { // of a flag that the key seems to begin with
			text = "-" + wrong.GetFlag().Shorthand + wrong.GetValue()
		}
		_, noKey := lonja.ParsePublicKey(text)
		_, noRequest := statement.ParseRequest(text)
		if noKey == nil || noRequest == nil {
			return usagef("this begins with a dash: put it last, behind two more: %s %s", cmd.CommandPath(), typed(text))
		}
		return cmd.Root().FlagErrorFunc()(cmd, err)
	})
}

func newIDEndorseCommand() *cobra.Command {
	var opts askOptions
	var label string
	cmd := &cobra.Command{
		Use:   "endorse REQUEST",
		Short: "let another device of yours act for your name",
		Long: `Signs that the key of another device of yours acts for your name too. REQUEST is
what "lonja id add" shows there: it has the key, and that it agrees. Who knows your
key follows to that one. "lonja id revoke" takes it back.`,
		Example: `  lonja id endorse 5x0J...Gk --label phone`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := statement.ParseRequest(args[0])
			if err != nil {
				return usagef("REQUEST is what \"lonja id add\" shows on the other device: %w", err)
			}
			return opts.as(cmd, func(a *asker) error {
				if err := a.endorse(cmd.Context(), request, label); err != nil {
					return err
				}
				return a.sayKey(cmd, opts.json, a.user, request.Key, "can be used with this key too; the other device must show the same words")
			})
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&label, "label", "", "what you call the device")
	notSettings(cmd.Flags(), "label")
	explainDash(cmd)
	return cmd
}

// endorse has the key of a request act for the asker's name.
func (a *asker) endorse(ctx context.Context, request statement.Request, label string) error {
	ring, err := a.client.Keys(ctx, a.user)
	if err == nil && len(ring) == 0 {
		err = fmt.Errorf("%s is bound to no key: \"lonja id claim\" binds it", lonja.Printable(string(a.user)))
	}
	if err != nil {
		return err
	}
	e := lonja.Endorsement{User: a.user, Key: request.Key, Consent: request.Consent, Label: label, Date: time.Now().Unix()}
	if err := statement.VerifyConsent(ring[0].Key, e); err != nil {
		return usagef("the other device has asked for another name than %s, or what it shows was changed on the way; \"lonja id add\" shows it again: %w",
			lonja.Printable(string(a.user)), err)
	}
	if e, err = statement.SignEndorsement(e, a.key); err != nil {
		return err
	}
	return a.client.AddKey(ctx, a.self(), e)
}

func newIDRevokeCommand() *cobra.Command {
	var opts askOptions
	cmd := &cobra.Command{
		Use:   "revoke KEY",
		Short: "take a key back, of a device that is lost, say",
		Long: `Takes a key of your name back, for good: its sessions end, and what it has signed is
no longer listed. KEY is the public key, or the beginning of its fingerprint as
"lonja id keys" shows it. A key can revoke itself, but not the last one of a name.`,
		Example: `  lonja id revoke 9b1f02aa`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.as(cmd, func(a *asker) error {
				key, err := a.keyNamed(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				signed, err := statement.SignRevocation(lonja.Revocation{User: a.user, Key: key, Date: time.Now().Unix()}, a.key)
				if err != nil {
					return err
				}
				if err := a.client.RevokeKey(cmd.Context(), a.self(), signed); err != nil {
					return err
				}
				return a.sayKey(cmd, opts.json, a.user, key, "cannot be used with this key any more")
			})
		},
	}
	opts.addFlags(cmd.Flags())
	explainDash(cmd)
	return cmd
}

// leastDigits is how much of a fingerprint must be typed.
const leastDigits = 8

// keyNamed returns the key of the asker's that a person means.
func (a *asker) keyNamed(ctx context.Context, text string) (found lonja.PublicKey, err error) {
	ring, err := a.client.Keys(ctx, a.user)
	if err != nil {
		return found, err
	}
	acting := 0
	digits := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	for _, r := range ring {
		if r.Revoked == 0 {
			acting++
		}
		switch {
		case r.Key.String() == text, len(digits) >= leastDigits && strings.HasPrefix(r.Key.ID().String(), digits):
			if !found.IsZero() {
				return found, usagef("%s stands for several keys: type more of the fingerprint", lonja.Printable(text))
			}
			found = r.Key
		}
	}
	switch {
	case acting == 1 && found == a.key.PublicKey():
		err = fmt.Errorf("it is the last key of %s: nobody could use the name any more; endorse another one first, or \"lonja unregister\" it", lonja.Printable(string(a.user)))
	case found.IsZero():
		err = usagef("%s has no key %s: \"lonja id keys\" shows them; type the whole key, or %d digits of the fingerprint",
			lonja.Printable(string(a.user)), lonja.Printable(text), leastDigits)
	}
	return found, err
}
