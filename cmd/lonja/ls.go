package main

import (
	"errors"

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
				return a.list(cmd, owner, opts.json)
			})
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// list shows what owner has published page by page, as the directory tells it:
// nobody waits for the last of a hundred thousand files to see the first.
func (a *asker) list(cmd *cobra.Command, owner lonja.UserName, asJSON bool) error {
	head := []string{"NAME", "SIZE", "BY", "SINCE", "FOR", "DESCRIPTION"}
	for after := lonja.Cursor(""); ; {
		page, next, err := a.client.ContentPage(cmd.Context(), a.user, owner, after, lonja.MaxPage)
		if err != nil {
			return err
		}
		rows := make([]publishedLine, len(page))
		for i, l := range page {
			rows[i] = a.published(owner, l)
		}
		err = writeRows(cmd.OutOrStdout(), asJSON, head, rows, func(p publishedLine) []string {
			return []string{p.Name, p.size(), p.Dialect, p.day(), p.audience(), p.Description}
		})
		switch {
		case err != nil || next == "":
			return err
		case next == after:
			return lonja.E(lonja.Malformed, "ls", errors.New("the directory's pages do not end"))
		}
		head, after = nil, next // columns are aligned within a page
	}
}
