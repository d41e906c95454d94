package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "write the manual pages",
		Long: `Writes a manual page for each command into DIR, which is created if need be:
lonja.1, lonja-server.1 ... They say what --help says.`,
		Example: `  lonja man ~/.local/share/man/man1 && man lonja-client`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return writeManual(cmd.Root(), args[0]) },
	}
}

// writeManual writes the pages of root and all below it.
func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the manual: %w", err)
	}
	root.DisableAutoGenTag = true // the same pages each time
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "lonja " + version, Manual: "lonja"}, dir)
}
