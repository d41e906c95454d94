package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/config"
)

const (
	configFlag     = "config"
	configVariable = "LONJA_CONFIG"
	configName     = "config.toml"
)

// ownSections are the commands with a section of their own in the settings; all
// others are what people use, and share config.NodeSection.
var ownSections = []string{"admin", "bench", "datetime", "logger", "server", "up"}

// withoutSettings are commands that take their flags from the command line only.
var withoutSettings = []string{"completion", "help", "config", "man", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}

// sectionOf returns the section of a command's settings, or "".
func sectionOf(cmd *cobra.Command) string {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	switch name := cmd.Name(); {
	case !cmd.HasParent() || slices.Contains(withoutSettings, name):
		return ""
	case slices.Contains(ownSections, name):
		return name
	}
	return config.NodeSection
}

// loadSettings reads the file that --config, the environment or the XDG base
// directory specification names.
func loadSettings(cmd *cobra.Command) (*config.Settings, error) {
	path, err := cmd.Flags().GetString(configFlag)
	if err != nil {
		return nil, err
	}
	asked := path != ""
	if !asked {
		path, asked = os.LookupEnv(configVariable)
	}
	if path == "" {
		asked = false
		if dir, err := configDir(""); err == nil {
			path = filepath.Join(dir, configName)
		}
	}
	settings, err := config.Load(path, asked, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return settings, settings.Check(settingNames(cmd.Root()))
}

// configDir returns the directory of what a person sets and owns, by the XDG
// base directory specification.
func configDir(chosen string) (string, error) {
	if chosen != "" {
		return chosen, nil
	}
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lonja"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("nowhere to look for settings: %w; set XDG_CONFIG_HOME", err)
	}
	return filepath.Join(home, ".config", "lonja"), nil
}

// applySettings gives a command the flags that nobody typed.
func applySettings(cmd *cobra.Command, _ []string) error {
	section := sectionOf(cmd)
	if section == "" {
		return nil
	}
	settings, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		err = errors.Join(err, cmd.Flags().SetAnnotation(f.Name, onCommandLine, nil))
	})
	if err != nil {
		return err
	}
	return settings.Apply(section, settable(cmd.LocalNonPersistentFlags()))
}

// onCommandLine is the annotation of a flag that somebody has typed: to a setting
// pflag knows no difference.
const onCommandLine = "lonja_on_command_line"

// onTheCommandLine reports whether a flag was on the command line.
func onTheCommandLine(cmd *cobra.Command, name string) bool {
	f := cmd.Flags().Lookup(name)
	if f == nil {
		return false
	}
	_, is := f.Annotations[onCommandLine]
	return is
}

// sectionFlags returns the flags that a section's settings stand for.
func sectionFlags(root *cobra.Command) map[string]*pflag.FlagSet {
	sections := make(map[string]*pflag.FlagSet)
	var visit func([]*cobra.Command)
	visit = func(cmds []*cobra.Command) {
		for _, cmd := range cmds {
			section := sectionOf(cmd)
			if section == "" {
				continue
			}
			if sections[section] == nil {
				sections[section] = pflag.NewFlagSet(section, pflag.ContinueOnError)
			}
			sections[section].AddFlagSet(settable(cmd.LocalNonPersistentFlags()))
			visit(cmd.Commands())
		}
	}
	visit(root.Commands())
	return sections
}

// onlyTyped is the annotation of a flag that is no setting: it says what one
// call is to do.
const onlyTyped = "lonja_only_typed"

// notSettings marks flags as onlyTyped.
func notSettings(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, onlyTyped, nil); err != nil {
			panic(err) // there is no such flag
		}
	}
}

// defaultFrom is the annotation of a flag whose default is what a variable says, by a
// name that is not the setting's own.
const defaultFrom = "lonja_default_from"

// defaultIsFrom marks a flag with defaultFrom.
func defaultIsFrom(flags *pflag.FlagSet, name, variable string) {
	if err := flags.SetAnnotation(name, defaultFrom, []string{variable}); err != nil {
		panic(err) // there is no such flag
	}
}

// settable returns the flags that are settings, without their shorthands: those
// of several commands may be several things.
func settable(flags *pflag.FlagSet) *pflag.FlagSet {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if _, typed := f.Annotations[onlyTyped]; !typed && f.Name != "help" {
			alone := *f
			alone.Shorthand = ""
			all.AddFlag(&alone)
		}
	})
	return all
}

func settingNames(root *cobra.Command) map[string][]string {
	names := make(map[string][]string)
	for section, flags := range sectionFlags(root) {
		names[section] = []string{}
		flags.VisitAll(func(f *pflag.Flag) { names[section] = append(names[section], f.Name) })
	}
	return names
}

// A setting is one line of "lonja config show".
type setting struct {
	Section string `json:"section"`
	Name    string `json:"name"`
	Value   string `json:"value"`
	From    string `json:"from"`
}

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "show the settings, and where each comes from",
		Long: `Settings are what flags are when nobody types them. A flag on the command line
comes first, then the environment, then the file, then the default.

The file is ~/.config/lonja/config.toml ($XDG_CONFIG_HOME/lonja/config.toml),
or what --config or $` + configVariable + ` names. It has a section for each kind of program, and
the flags' names as keys. The section [node] is for all commands that people
use: client, find, get, share ...

  [node]
  server = "files.example.org"
  listen = ":4445"

  [server]
  max-connections = 1000

In the environment these are LONJA_SERVER, LONJA_LISTEN and
LONJA_SERVER_MAX_CONNECTIONS.`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	var asJSON bool
	show := &cobra.Command{
		Use:   "show [SECTION...]",
		Short: "show the settings, and where each comes from",
		Long: `Shows each setting, what it is now, and where that comes from: the default, the
file, or the environment. SECTION is one of them: node, server ...`,
		Example: `  lonja config show
  lonja config show node --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, sections []string) error { return showConfig(cmd, sections, asJSON) },
	}
	show.Flags().BoolVar(&asJSON, "json", false, "print each setting as a JSON object on a line of its own")
	cmd.AddCommand(show)
	return cmd
}

func showConfig(cmd *cobra.Command, sections []string, asJSON bool) error {
	settings, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	flags := sectionFlags(cmd.Root())
	if len(sections) == 0 {
		sections = slices.Sorted(maps.Keys(flags))
	}
	var all []setting
	for _, section := range sections {
		if flags[section] == nil {
			return usagef("there is no section %q: there are %s", section, strings.Join(slices.Sorted(maps.Keys(flags)), ", "))
		}
		flags[section].VisitAll(func(f *pflag.Flag) {
			line := setting{section, f.Name, f.DefValue, config.Default}
			if variable := f.Annotations[defaultFrom]; len(variable) > 0 {
				line.From = "environment " + variable[0]
			}
			if value, said := settings.Get(section, f.Name); said {
				line.Value, line.From = value.Text, value.From
			}
			all = append(all, line)
		})
	}
	return writeRows(cmd.OutOrStdout(), asJSON, []string{"SETTING", "VALUE", "FROM"}, all, func(s setting) []string {
		return []string{s.Section + "." + s.Name, s.Value, s.From}
	})
}
