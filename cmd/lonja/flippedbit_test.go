package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lonja"
)

// TestAdminCheckFindsFlippedBits: one bit of the database turns over on the disk
// while the directory runs. The check finds it, whatever SQLite remembers of
// the file, and the directory goes on answering all that it knows.
func TestAdminCheckFindsFlippedBits(t *testing.T) {
	for name, c := range map[string]struct {
		bit   byte
		where func(t *testing.T, file []byte) int
	}{
		"in a description":         {0x01, func(t *testing.T, file []byte) int { return find(t, file, "a text") }},
		"in a key":                 {0x10, func(t *testing.T, file []byte) int { return find(t, file, "luis") }},
		"in the kind of a page":    {0x08, func(t *testing.T, file []byte) int { return recordsPage(t, file) }},
		"in the number of records": {0x08, func(t *testing.T, file []byte) int { return recordsPage(t, file) + 4 }},
		"in the place of a record": {0x04, func(t *testing.T, file []byte) int { return recordsPage(t, file) + 8 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			s := startServed(t, data)
			s.fill()
			_ = s.cmd.Process.Signal(syscall.SIGTERM) // all is in the database then
			s.wait()
			s = startServed(t, data)
			if out := s.admin("check"); !strings.Contains(out, "all are whole") {
				t.Fatalf("before: got %q", out)
			}
			if err := s.dir.Connect(t.Context(), "ana", somewhere); err != nil {
				t.Fatal(err)
			}
			want := s.listings()
			flip(t, filepath.Join(data, "directory.db"), c.bit, c.where)
			status, stdout, stderr := s.tryAdmin("check")
			if status != 1 || strings.Contains(stdout, "all are whole") || stderr == "" {
				t.Errorf("got status %d, %q and %q", status, stdout, stderr)
			}
			if got := s.listings(); !slices.Equal(got, want) {
				t.Errorf("the directory answers\n%v\nwant\n%v", got, want)
			}
		})
	}
}

// listings is what everybody has published, as ana is told.
func (s *served) listings() (all []lonja.Listing) {
	s.t.Helper()
	for _, user := range []lonja.UserName{"ana", "luis", oddName} {
		listed, err := s.dir.ListContent(s.t.Context(), "ana", user)
		if err != nil || len(listed) == 0 {
			s.t.Errorf("%s has %d listings, %v", user, len(listed), err)
		}
		all = append(all, listed...)
	}
	return all
}

// flip turns bits of one byte of a file over, past whoever has it open.
func flip(t *testing.T, path string, bits byte, where func(*testing.T, []byte) int) {
	t.Helper()
	content := []byte(readFile(t, path))
	at := where(t, content)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte{content[at] ^ bits}, int64(at)); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, file []byte, text string) int {
	t.Helper()
	at := bytes.Index(file, []byte(text))
	if at < 0 {
		t.Fatalf("%q is not in the database", text)
	}
	return at
}

// recordsPage returns where the page begins that has the records: a leaf of a
// table (SQLite, Database File Format, 1.6).
func recordsPage(t *testing.T, file []byte) int {
	t.Helper()
	const tableLeaf = 0x0d
	size := int(file[16])<<8 | int(file[17])
	page := find(t, file, "a text") / size * size
	if file[page] != tableLeaf {
		t.Fatalf("the page of kind %d at %d is no leaf of a table", file[page], page)
	}
	return page
}
