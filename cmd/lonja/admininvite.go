package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/admin"
	"lonja/internal/identity"
	"lonja/internal/link"
	"lonja/internal/operator"
)

type adminInviteOptions struct {
	adminAskOptions
	uses   int
	lasts  time.Duration
	note   string
	host   string
	revoke string
}

func newAdminInviteCommand() *cobra.Command {
	var opts adminInviteOptions
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "make an invitation to register",
		Long: `Makes an invitation, with which people can register at a directory that takes
only who is invited, and prints it as a lonja:// link: it says where the directory
is and what its fingerprint is, and has the secret. It is shown this once; the
directory keeps only what it needs to know it again.

The directory knows an address of its own. Where others find it by another one, or
by a name, --host says that.`,
		Example: "  lonja admin invite --host market.example\n  lonja admin invite --uses 20 --for 72h --note \"for the class\"\n  lonja register ana LINK   (what the invited person types)",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runAdminInvite(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "as JSON")
	cmd.Flags().IntVar(&opts.uses, "uses", 1, "how many may register with it")
	cmd.Flags().DurationVar(&opts.lasts, "for", 0, "how long it lasts, such as 72h; 0 for ever")
	cmd.Flags().StringVar(&opts.host, "host", "", "`host` or host:port by which people find the directory")
	cmd.Flags().StringVar(&opts.note, "note", "", "a `text` that tells it from others")
	notSettings(cmd.Flags(), "json", "uses", "for", "note")
	return cmd
}

func runAdminInvite(cmd *cobra.Command, opts adminInviteOptions) error {
	if opts.uses < 1 || opts.lasts < 0 {
		return usagef("--uses must be above zero, --for not below it")
	}
	if _, err := link.ParseAddress(cmp.Or(opts.host, "localhost")); err != nil { // before an invitation is made
		return usagef("--host: %w", err)
	}
	client, err := newAdminClient(opts.address)
	if err != nil {
		return err
	}
	request := admin.Invite{Uses: opts.uses, Note: opts.note}
	if opts.lasts > 0 {
		request.Until = time.Now().Add(opts.lasts).Unix()
	}
	var made admin.Invited
	if err := client.askJSON(cmd.Context(), http.MethodPost, "invite", request, &made); err != nil {
		return err
	}
	shown, err := opts.link(made)
	if err != nil {
		return err
	}
	if opts.host == "" && isLoopback(made.Address) {
		fmt.Fprintf(cmd.ErrOrStderr(), "lonja: the link says %s, where only this machine finds the directory: --host says another\n", lonja.Printable(made.Address))
	}
	if opts.json {
		return writeJSONLine(cmd.OutOrStdout(), invitedLine{made, shown})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), lonja.Printable(shown))
	return err
}

// An invitedLine is an invitation as programs are told it.
type invitedLine struct {
	admin.Invited
	Link string `json:"link"`
}

// link returns the link of an invitation; its secret alone if the directory did not
// say where it is.
func (o *adminInviteOptions) link(made admin.Invited) (string, error) {
	if made.Fingerprint == "" {
		return string(made.Secret), nil
	}
	id, err := identity.ParseHex(made.Fingerprint)
	if err != nil {
		return "", err
	}
	at, err := link.ParseAddress(made.Address)
	if err != nil {
		return "", err
	}
	if o.host != "" {
		if at, err = link.ParseAddressOr(o.host, at.Port); err != nil {
			return "", usagef("--host: %w", err)
		}
	}
	return link.Invitation{Address: at, Fingerprint: id, Secret: made.Secret}.String(), nil
}

func newAdminInvitationsCommand() *cobra.Command {
	var opts adminInviteOptions
	cmd := &cobra.Command{
		Use:   "invitations",
		Short: "list the invitations, or take one back",
		Long: `Lists the invitations: how often each was used, of how many times, when it ends,
and its note. With --revoke it takes one back; who has registered with it stays.`,
		Example: "  lonja admin invitations\n  lonja admin invitations --revoke 1f0c...",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runAdminInvitations(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "a JSON object a line")
	cmd.Flags().StringVar(&opts.revoke, "revoke", "", "take back the invitation with that `id`")
	notSettings(cmd.Flags(), "json", "revoke")
	return cmd
}

func runAdminInvitations(cmd *cobra.Command, opts adminInviteOptions) error {
	client, err := newAdminClient(opts.address)
	if err != nil {
		return err
	}
	if opts.revoke != "" {
		request := map[string]string{"id": opts.revoke}
		return client.askJSON(cmd.Context(), http.MethodPost, "revoke-invitation", request, &struct{}{})
	}
	answer, err := client.ask(cmd.Context(), http.MethodGet, "invitations", nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	print := printInvitation
	if opts.json {
		print = func(w io.Writer, i operator.Invitation) error { return json.NewEncoder(w).Encode(i) }
	}
	for lines := json.NewDecoder(answer); ; {
		var i operator.Invitation
		err := lines.Decode(&i)
		if err == nil {
			err = print(w, i)
		}
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
	}
}

func printInvitation(w io.Writer, i operator.Invitation) error {
	ends := "for ever"
	if i.Until != 0 {
		ends = "until " + time.Unix(i.Until, 0).Format(time.DateTime)
	}
	_, err := fmt.Fprintf(w, "%s\t%d of %d used\t%s\t%s\n", i.ID, i.Used, i.Uses, ends, lonja.Printable(string(i.Note)))
	return err
}
