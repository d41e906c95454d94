// Package config finds the settings that nobody typed: what a command's flags
// are when they stand neither on the command line, which comes first, nor are
// wanted to be the defaults, which come last. In between come the environment
// and then a file of TOML.
//
// The file has a section for each kind of program, with the flags' names as
// keys; the section [node], for all that people use, needs no prefix in the
// environment:
//
//	[node]              LONJA_LISTEN=:4445
//	listen = ":4445"
//
//	[server]            LONJA_SERVER_MAX_CONNECTIONS=100
//	max-connections = 100
//
// It reads the file and nothing else, decides nothing about what a value means,
// and is used by the command line only.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	tomlerrors "github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"

	"lonja"
)

// NodeSection is the section whose settings have no prefix in the environment.
const NodeSection = "node"

// MaxSize bounds a file of settings, in bytes.
const MaxSize = 1 << 20

// Settings are what a file and the environment say. They do not change, and
// may be used by any number of goroutines.
type Settings struct {
	path   string
	file   *koanf.Koanf
	lookup func(string) (string, bool)
}

// Load reads the file at path. One that is not there says nothing; required
// says that it was asked for, and must be there. lookup is os.LookupEnv. The
// error is of kind Invalid and names the file.
func Load(path string, required bool, lookup func(string) (string, bool)) (*Settings, error) {
	s := &Settings{path: path, file: koanf.New("."), lookup: lookup}
	if path == "" {
		return s, nil
	}
	text, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !required:
		return s, nil
	case err == nil:
		err = s.file.Load(rawbytes.Provider(text), toml.Parser())
		if wrong, ok := errors.AsType[*tomlerrors.DecodeError](err); ok {
			line, column := wrong.Position()
			err = fmt.Errorf("line %d, column %d: %w", line, column, err)
		}
	}
	if err != nil {
		return nil, lonja.E(lonja.Invalid, "", fmt.Errorf("settings in %s: %w", path, err))
	}
	return s, nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxSize {
		return nil, fmt.Errorf("not a file of at most %d bytes", MaxSize)
	}
	return os.ReadFile(path)
}

// Variable returns the name of the environment's variable for a setting.
func Variable(section, name string) string {
	if section != NodeSection {
		name = section + "_" + name
	}
	return "LONJA_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// A Value is a setting and where it comes from, in words.
type Value struct {
	Text string
	From string
}

// Default is the From of what is said nowhere.
const Default = "default"

// Get returns what is said of a setting, and whether anything is. An empty
// variable says nothing.
func (s *Settings) Get(section, name string) (Value, bool) {
	variable := Variable(section, name)
	if text, ok := s.lookup(variable); ok && text != "" {
		return Value{text, "environment " + variable}, true
	}
	key := section + "." + name
	if !s.file.Exists(key) {
		return Value{}, false
	}
	text := s.file.String(key)
	if list, ok := s.file.Get(key).([]any); ok {
		parts := make([]string, len(list))
		for i, part := range list {
			parts[i] = fmt.Sprint(part)
		}
		text = strings.Join(parts, ",")
	}
	return Value{text, "file " + s.path}, true
}

// Apply sets each flag that was not given to what is said of it. The error is of
// kind Invalid and names the setting and where it stands.
func (s *Settings) Apply(section string, flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || failed != nil {
			return
		}
		value, said := s.Get(section, f.Name)
		if !said {
			return
		}
		if err := flags.Set(f.Name, value.Text); err != nil {
			failed = lonja.E(lonja.Invalid, "", fmt.Errorf("setting %s.%s (%s): %w", section, f.Name, value.From, err))
		}
	})
	return failed
}

// Check reports what the file says that means nothing: a key that no command
// has. known has the names of each section's settings.
func (s *Settings) Check(known map[string][]string) error {
	for _, key := range s.file.Keys() {
		section, name, nested := strings.Cut(key, ".")
		names, there := known[section]
		switch {
		case !nested:
			return s.unknown(fmt.Errorf("%s stands in no section: one of [%s]", key, strings.Join(slices.Sorted(maps.Keys(known)), "], [")))
		case !there:
			return s.unknown(fmt.Errorf("there is no section [%s]: there are [%s]", section, strings.Join(slices.Sorted(maps.Keys(known)), "], [")))
		case !slices.Contains(names, name):
			return s.unknown(fmt.Errorf("[%s] has no setting %s", section, name))
		}
	}
	return nil
}

func (s *Settings) unknown(cause error) error {
	return lonja.E(lonja.Invalid, "", fmt.Errorf("settings in %s: %w (see \"lonja config show\")", s.path, cause))
}
