package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"lonja/internal/authority"
)

// A dialect is how the battery's clients speak, and what that changes.
type dialect struct {
	suffix string // of the folders of its results
	flags  []string
	secure bool
}

var (
	inClassic = dialect{flags: []string{"--classic", "--listen", "127.0.0.1:0"}}
	inSecure  = dialect{suffix: "-secure", flags: []string{"--listen", "127.0.0.1:0"}, secure: true}
)

// inputs returns the cases; those of this dialect stand for the common ones of their names.
func (d dialect) inputs() ([]string, error) {
	inputs, err := filepath.Glob(battery + "/input/*.txt")
	if err != nil || !d.secure {
		return inputs, err
	}
	own, err := filepath.Glob(battery + "/input" + d.suffix + "/*.txt")
	inputs = slices.DeleteFunc(inputs, func(input string) bool {
		return slices.ContainsFunc(own, func(o string) bool { return filepath.Base(o) == filepath.Base(input) })
	})
	return append(inputs, own...), err
}

// typed returns what a line of a case is in the dialect: files have names, and
// not paths, in the secure one.
func (d dialect) typed(line string) string {
	if d.secure {
		return strings.ReplaceAll(line, "PATH/", "")
	}
	return line
}

// namedByPath is where results show what a file is published as.
var namedByPath = regexp.MustCompile(`(?m)^((?:\tF(?:ILE|OUND)\d+: |\[TIME\] \S+: [A-Z_]+ ).*?)PATH/(?:\S+/)?`)

// expected returns what must come of a case, and the file that says so: that of
// the dialect if it differs in more than names.
func (d dialect) expected(name string) (file, want string, err error) {
	if d.secure {
		file = battery + "/expected" + d.suffix + "/" + name + ".txt"
		text, err := os.ReadFile(file)
		if err == nil || !os.IsNotExist(err) {
			return file, string(text), err
		}
	}
	classic := battery + "/expected/" + name + ".txt"
	text, err := os.ReadFile(classic)
	if d.secure {
		return file, namedByPath.ReplaceAllString(string(text), "$1"), err
	}
	return classic, string(text), err
}

// secondConsole is another console of the user on test, with the same key.
const secondConsole = "other"

// keyOf returns the folder of a client's key.
func (s *scene) keyOf(client string) string {
	if client == secondConsole {
		client = mainClient
	}
	return filepath.Join(s.state, "key-of-"+client)
}

// keepAuthority has a directory that knows nothing prove itself as the one before
// did.
func (s *scene) keepAuthority(data string) {
	s.Helper()
	if s.data != "" {
		text, err := os.ReadFile(filepath.Join(s.data, authority.FileName))
		if err == nil {
			err = os.MkdirAll(data, 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(data, authority.FileName), text, 0o600)
		}
		if err != nil {
			s.Fatal(err)
		}
	}
	s.data = data
}
