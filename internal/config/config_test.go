package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"lonja"
)

// load returns settings from the text of a file and an environment.
func load(t *testing.T, text string, env map[string]string) *Settings {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(path, true, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type flags struct {
	*pflag.FlagSet
	port    int
	listen  string
	classic string
	wait    time.Duration
	names   []string
}

func newFlags() *flags {
	f := &flags{FlagSet: pflag.NewFlagSet("test", pflag.ContinueOnError)}
	f.IntVarP(&f.port, "port", "p", 4444, "")
	f.StringVar(&f.listen, "listen", ":4445", "")
	f.StringVar(&f.classic, "classic", "on", "")
	f.DurationVar(&f.wait, "request-timeout", time.Second, "")
	f.StringSliceVar(&f.names, "to", nil, "")
	return f
}

// TestFlagsComeFirst: flags over environment over file over defaults.
func TestFlagsComeFirst(t *testing.T) {
	s := load(t, "[node]\nport = 1\nlisten = ':1'\nclassic = 'off'\nrequest-timeout = '3s'\nto = ['ana', 'luis']\n",
		map[string]string{"LONJA_PORT": "2", "LONJA_LISTEN": ":2", "LONJA_CLASSIC": ""})
	f := newFlags()
	if err := f.Parse([]string{"--port", "3"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(NodeSection, f.FlagSet); err != nil {
		t.Fatal(err)
	}
	if f.port != 3 || f.listen != ":2" || f.classic != "off" || f.wait != 3*time.Second || strings.Join(f.names, " ") != "ana luis" {
		t.Errorf("got %+v", f)
	}
	if v, _ := s.Get(NodeSection, "listen"); v.From != "environment LONJA_LISTEN" {
		t.Errorf("listen comes from %q", v.From)
	}
	if v, _ := s.Get(NodeSection, "classic"); !strings.HasPrefix(v.From, "file ") || !strings.HasSuffix(v.From, "config.toml") {
		t.Errorf("classic comes from %q", v.From)
	}
}

// TestSectionsAreApart: what is said of one kind of program is not said of another.
func TestSectionsAreApart(t *testing.T) {
	s := load(t, "[server]\nport = 1\n", map[string]string{"LONJA_SERVER_LISTEN": ":9"})
	node, server := newFlags(), newFlags()
	if err := errors.Join(s.Apply(NodeSection, node.FlagSet), s.Apply("server", server.FlagSet)); err != nil {
		t.Fatal(err)
	}
	if node.port != 4444 || node.listen != ":4445" || server.port != 1 || server.listen != ":9" {
		t.Errorf("got node %+v, server %+v", node, server)
	}
}

// TestWhatIsWrongIsNamed: the key, and where it stands.
func TestWhatIsWrongIsNamed(t *testing.T) {
	known := map[string][]string{"node": {"port"}, "server": {"port"}}
	for _, c := range []struct {
		name, text, env string
		says            []string
	}{
		{"a value that is none", "[node]\nport = 'many'\n", "", []string{"node.port", "config.toml", "many"}},
		{"a variable that is none", "", "some", []string{"node.port", "LONJA_PORT", "some"}},
		{"an unknown key", "[node]\nprot = 1\n", "", []string{"config.toml", "[node]", "prot"}},
		{"an unknown section", "[nodes]\nport = 1\n", "", []string{"[nodes]", "[node]"}},
		{"no section", "port = 1\n", "", []string{"port", "no section"}},
		{"a section too many", "[node.port]\nx = 1\n", "", []string{"[node]", "port.x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := load(t, c.text, map[string]string{"LONJA_PORT": c.env})
			err := s.Check(known)
			if err == nil {
				err = s.Apply(NodeSection, newFlags().FlagSet)
			}
			if !errors.Is(err, lonja.Invalid) {
				t.Fatalf("got %v, want one of kind Invalid", err)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not name %q", err, part)
				}
			}
		})
	}
}

// TestFilesThatCannotBeRead: only one that was asked for must be there.
func TestFilesThatCannotBeRead(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	missing := filepath.Join(t.TempDir(), "missing.toml")
	if _, err := Load(missing, false, none); err != nil {
		t.Errorf("a file that need not be there: %v", err)
	}
	broken := filepath.Join(t.TempDir(), "broken.toml")
	if err := os.WriteFile(broken, []byte("[node\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(broken, true, none); err == nil || !strings.Contains(err.Error(), "line 1, column ") {
		t.Errorf("got %v, want the line", err)
	}
	for _, path := range []string{missing, broken, t.TempDir()} {
		if _, err := Load(path, true, none); !errors.Is(err, lonja.Invalid) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
