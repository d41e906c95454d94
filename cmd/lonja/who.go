package main

import (
	"strings"

	"github.com/spf13/cobra"

	"lonja"
)

func newWhoCommand() *cobra.Command {
	var opts askOptions
	var me bool
	cmd := &cobra.Command{
		Use:   "who",
		Short: "list the connected users",
		Long: `Lists who is connected: in which dialect (TLS, or the unencrypted classic one), the
beginning of the key's fingerprint, and where the node may be reached, the likeliest
way first.

With --me it says how your own node can be reached, and why: from the "lonja share"
or "lonja client" that runs here, or else from what the directory knows.`,
		Example: `  lonja who
  lonja who --me`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if me {
				return runWhoMe(cmd, opts)
			}
			return opts.as(cmd, func(a *asker) error {
				peers, err := a.client.ListUsers(cmd.Context(), a.user)
				if err != nil {
					return err
				}
				rows := make([]presentLine, 0, peers.Len())
				for p := range peers.All() {
					rows = append(rows, presentUser(p))
				}
				return writeRows(cmd.OutOrStdout(), opts.json, []string{"USER", "BY", "KEY", "WAYS"}, rows, presentLine.cells)
			})
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&me, "me", false, "say how you can be reached, and why")
	notSettings(cmd.Flags(), "me")
	return cmd
}

// A presentLine is a connected user as programs are told it.
type presentLine struct {
	User    string   `json:"user"`
	Dialect string   `json:"dialect"`
	Key     string   `json:"key,omitempty"` // the fingerprint of the node's key
	Ways    []string `json:"ways"`

	UserBytes []byte `json:"user_bytes,omitempty"` // where User cannot say them; see notText
}

func presentUser(p lonja.Peer) presentLine {
	line := presentLine{User: string(p.User), Dialect: dialectClassic, Ways: []string{}, UserBytes: notText(string(p.User))}
	if p.Reach == nil {
		if p.At.IsValid() {
			line.Ways = append(line.Ways, p.At.String())
		}
		return line
	}
	line.Dialect, line.Key = dialectSecure, p.Reach.Key.ID().String()
	for _, way := range p.Reach.Ways {
		line.Ways = append(line.Ways, way.String())
	}
	return line
}

// shownDigits is how much of a fingerprint tells few apart.
const shownDigits = 16

func (p presentLine) cells() []string {
	key := "-"
	if p.Key != "" {
		key = p.Key[:shownDigits]
	}
	return []string{p.User, p.Dialect, key, strings.Join(p.Ways, " ")}
}
