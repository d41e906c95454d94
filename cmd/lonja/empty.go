package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/config"
)

// freeTexts are flags whose value is what somebody reads: it may be empty.
var freeTexts = []string{"description", "label", "note"}

// refuseEmpty refuses arguments, and values of flags, that are empty: they come of a
// variable that is not set, and would mean something else, as the directory here, or
// everybody.
func refuseEmpty(cmd *cobra.Command, args []string) (err error) {
	if slices.Contains(args, "") {
		return usagef("an argument is empty: is it a variable that is not set? (see %q)", cmd.CommandPath()+" --help")
	}
	if section := sectionOf(cmd); section != config.NodeSection && section != "admin" {
		return nil // to a server, an empty --host is every address
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" && !slices.Contains(freeTexts, f.Name) {
			err = usagef("--%s is empty: give it a value, or leave it out (see %q)", f.Name, cmd.CommandPath()+" --help")
		}
	})
	return err
}
