package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/private"
)

// TestNamesAreRemembered: for each directory, by any number of programs at once.
func TestNamesAreRemembered(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	if book, err := readNames(state); err != nil || book.onlyDirectory() != "" {
		t.Errorf("got %v, %v", book, err)
	}
	var wg sync.WaitGroup
	names := []lonja.UserName{"ana", "eva", "luis", "ñu\u202e"}
	for _, name := range names {
		wg.Go(func() {
			if err := rememberName(state, "a:1", name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	book, err := readNames(state)
	if err != nil || !slices.Equal(book["a:1"], names) || book.onlyDirectory() != "a:1" {
		t.Errorf("got %v, %v", book, err)
	}
	if _, err := book.onlyName("a:1"); err == nil || strings.Contains(err.Error(), "\u202e") || exitStatus(err) != exitUsage {
		t.Errorf("got %v", err)
	}
	for _, name := range names[1:] {
		if err := errors.Join(forgetName(state, "a:1", name), rememberName(state, "b:2", "ana")); err != nil {
			t.Fatal(err)
		}
	}
	if book, err = readNames(state); err != nil || book.onlyDirectory() != "" {
		t.Errorf("got %v, %v", book, err)
	}
	if name, err := book.onlyName("a:1"); name != "ana" || err != nil {
		t.Errorf("got %q, %v", name, err)
	}
	if err := forgetName(state, "a:1", "ana"); err != nil {
		t.Fatal(err)
	}
	if book, err = readNames(state); err != nil || book.onlyDirectory() != "b:2" {
		t.Errorf("got %v, %v", book, err)
	}
	if err := os.WriteFile(filepath.Join(state, namesFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readNames(state); !errors.Is(err, lonja.Damaged) {
		t.Errorf("got %v, want %v", err, lonja.Damaged)
	}
}

// TestStatusOfTheDead: what a node has written that does not run any more says
// nothing.
func TestStatusOfTheDead(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	name := statusName("a:1", "ana")
	write := func(text string) {
		t.Helper()
		dir, err := private.Lock(state, private.Fixed)
		if err == nil {
			err = errors.Join(dir.Write(name, []byte(text)), dir.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	now := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }
	for text, want := range map[string]bool{
		`{"process":1,"written":"` + now(0) + `"}`:              true, // it runs, if under another user
		`{"process":1,"written":"` + now(-2*statusLasts) + `"}`: false,
		`{"process":0,"written":"` + now(0) + `"}`:              false,
		`{"process":-1,"written":"` + now(0) + `"}`:             false,
		`{"process":999999999,"written":"` + now(0) + `"}`:      false, // beyond all processes
	} {
		write(text)
		if line, err := readStatus(state, name); err != nil || (line != nil) != want {
			t.Errorf("%s: got %+v, %v", text, line, err)
		}
	}
	write("rubbish")
	if _, err := readStatus(state, name); !errors.Is(err, lonja.Damaged) {
		t.Errorf("got %v, want %v", err, lonja.Damaged)
	}
	if line, err := readStatus(state, statusName("a:1", "luis")); line != nil || err != nil {
		t.Errorf("got %+v, %v", line, err)
	}
}

// TestTargetsStayInPlace: names of others never lead out of a directory, and
// nothing is overwritten unasked.
func TestTargetsStayInPlace(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		output string
		force  bool
		name   lonja.FileName
		want   string
	}{
		{dir, false, "a/b/poem.txt", filepath.Join(dir, "poem.txt")},
		{dir, false, `/etc/pass\wd`, filepath.Join(dir, "wd")},
		{dir, false, "there", ""},
		{dir, true, "there", there},
		{there, false, "poem.txt", ""},
		{"", false, "..", ""},
		{"", false, "a/", "a"},
		{filepath.Join(dir, "new"), false, "poem.txt", filepath.Join(dir, "new")},
	} {
		o := getOptions{output: c.output, force: c.force}
		if got, err := o.target(c.name); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q as %q: got %q, %v; want %q", c.name, c.output, got, err, c.want)
		}
	}
}

// TestLeftOut: what is hidden, or not finished yet.
func TestLeftOut(t *testing.T) {
	for base, want := range map[string]bool{
		"poem.txt": false, "a.partial.ogg": false, "part": false, ".hidden": true, "x.part": true, "film.crdownload": true, "notes~": true, "a.swp": true,
	} {
		if got := leftOut(base); got != want {
			t.Errorf("%s: got %t", base, got)
		}
	}
}
