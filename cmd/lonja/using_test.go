package main

import (
	"os"
	"strings"
	"testing"
)

// TestUsingIsTrue: what docs/using.md says to type are commands, with flags and
// arguments that they take.
func TestUsingIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/using.md")
	if err != nil {
		t.Fatal(err)
	}
	typed := 0
	for line := range strings.Lines(string(text)) {
		line, ok := strings.CutPrefix(line, "    lonja ")
		if !ok {
			continue
		}
		typed++
		line = strings.ReplaceAll(strings.TrimSpace(line), "by Shelley", "by-Shelley") // the one argument with a blank
		cmd, args, err := newRootCommand().Find(strings.Fields(line))
		if err == nil {
			err = cmd.ParseFlags(args)
		}
		if err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err != nil || !cmd.HasParent() || cmd.HasSubCommands() && cmd.Name() != "id" && cmd.Name() != "downloads" {
			t.Errorf("%s: %v", line, err)
		}
	}
	if typed < 15 {
		t.Errorf("only %d commands were found", typed)
	}
}
