package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandHasAPageAndAnExample: in its help, and so in the manual.
func TestEveryCommandHasAPageAndAnExample(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if status, _, stderr := runToEnd(t, "man", dir); status != exitOK {
		t.Fatalf("status %d, %s", status, stderr)
	}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
		path := filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
		page, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(page), ".SH SYNOPSIS") {
			t.Errorf("%s: %v", cmd.CommandPath(), err)
		}
		if cmd.Runnable() && !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
	}
	visit(newRootCommand())
}
