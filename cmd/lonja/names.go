package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"lonja"
	"lonja/internal/private"
)

// namesFile is where it is kept which names were registered from here.
const namesFile = "names.json"

// A nameBook is the names that were registered from this machine, by directory, so
// that commands need not be told who asks.
type nameBook map[string][]lonja.UserName

// readNames reads the book in a state directory; there may be none.
func readNames(state string) (nameBook, error) {
	text, err := private.Read(state, namesFile, private.Fixed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseNames(text)
}

func parseNames(text []byte) (book nameBook, err error) {
	if err := json.Unmarshal(text, &book); err != nil {
		return nil, lonja.E(lonja.Damaged, "read "+namesFile, err)
	}
	return book, nil
}

// changeNames changes the names of one directory, while no other process does.
func changeNames(state, directory string, change func([]lonja.UserName) []lonja.UserName) (err error) {
	dir, err := private.Lock(state, private.Fixed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	book := nameBook{}
	text, err := dir.Read(namesFile)
	switch {
	case err == nil:
		if book, err = parseNames(text); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if book == nil {
		book = nameBook{}
	}
	if book[directory] = change(book[directory]); len(book[directory]) == 0 {
		delete(book, directory)
	}
	if text, err = json.MarshalIndent(book, "", "  "); err != nil {
		return err
	}
	return dir.Write(namesFile, append(text, '\n'))
}

func rememberName(state, directory string, name lonja.UserName) error {
	return changeNames(state, directory, func(names []lonja.UserName) []lonja.UserName {
		names = append(names, name)
		slices.Sort(names)
		return slices.Compact(names)
	})
}

func forgetName(state, directory string, name lonja.UserName) error {
	return changeNames(state, directory, func(names []lonja.UserName) []lonja.UserName {
		return slices.DeleteFunc(names, func(n lonja.UserName) bool { return n == name })
	})
}

// onlyDirectory returns the one directory at which names were registered, or "".
func (b nameBook) onlyDirectory() string {
	if len(b) != 1 {
		return ""
	}
	return slices.Collect(maps.Keys(b))[0]
}

// onlyName returns the one name that was registered at a directory, or an error
// that says what to do.
func (b nameBook) onlyName(directory string) (lonja.UserName, error) {
	names := b[directory]
	switch len(names) {
	case 1:
		return names[0], nil
	case 0:
		return "", usagef("no name was registered from here at %s: \"lonja register NAME -s %s\", or say which one is yours with --user", directory, directory)
	}
	shown := make([]string, len(names))
	for i, n := range names {
		shown[i] = lonja.Printable(string(n))
	}
	return "", usagef("%s were registered from here at %s: say which one asks with --user, or once and for all: %s in the [node] of the settings",
		strings.Join(shown, ", "), directory, fmt.Sprintf("user = %q", shown[0]))
}
