package main

import (
	"github.com/spf13/cobra"

	"lonja"
)

func newLsCommand() *cobra.Command {
	var opts askOptions
	cmd := &cobra.Command{
		Use:   "ls [USER]",
		Short: "list what a user has published",
		Long: `Lists what USER, connected or not, has published, the newest first; without USER,
what you have. What is published for some users only is shown to those.

What is marked "classic" was published in the unencrypted protocol: nothing proves
whose it is.`,
		Example: `  lonja ls
  lonja ls luis --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.as(cmd, func(a *asker) error {
				owner := a.user
				if len(args) == 1 {
					owner = lonja.UserName(args[0])
				}
				listings, err := a.client.ListContent(cmd.Context(), a.user, owner)
				if err != nil {
					return err
				}
				rows := make([]publishedLine, len(listings))
				for i, l := range listings {
					rows[i] = a.published(owner, l)
				}
				return writeRows(cmd.OutOrStdout(), opts.json, []string{"NAME", "SIZE", "BY", "SINCE", "FOR", "DESCRIPTION"}, rows,
					func(p publishedLine) []string {
						return []string{p.Name, p.size(), p.Dialect, p.day(), p.audience(), p.Description}
					})
			})
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}
