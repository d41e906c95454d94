package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

// TestFolder: it is listed once, and comes whole from several, with what is empty and
// what may be executed; the same again fetches nothing.
func TestFolder(t *testing.T) {
	v := newTown(t)
	luis := v.resident("luis")
	var listing lonja.Listing
	for _, name := range []lonja.UserName{"ana", "eva"} {
		holder := v.resident(name)
		listing = holder.offerFolder(v.plant(t.TempDir(), someFiles), "things")
		if got := holder.listed(); got != "things" {
			t.Errorf("listed: %q", got)
		}
	}
	if f := listing.Folder(); f == nil || f.Files != 5 || listing.Size != int64(len(bigContent)+5+6+9) {
		t.Errorf("got %+v, %+v", listing, f)
	}
	dir := filepath.Join(t.TempDir(), "got")
	got, err := luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, someFiles)
	if got.Files != 5 || got.Kept+got.Copied != 1 || got.Bytes != listing.Size || len(got.From) == 0 || got.ID != listing.Proof.File {
		t.Errorf("got %+v", got)
	}
	got, err = luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, someFiles)
	if got.Kept != 5 || len(got.From) == 0 { // the list is fetched again
		t.Errorf("again: got %+v", got)
	}
	v.is(luis.FetchMulti(t.Context(), "things", filepath.Join(t.TempDir(), "f"), nil), lonja.Invalid)
	v.is(luis.FetchFile(t.Context(), "ana", "things", filepath.Join(t.TempDir(), "f"), nil), lonja.Invalid)
}

// TestFolderIsFetchedOnce: what is in it twice is sent once, what is here already not
// at all.
func TestFolderIsFetchedOnce(t *testing.T) {
	v := newTown(t)
	var sent *transfers
	ana, luis := v.residentWith("ana", func(o *Options) { sent = countTransfers(o) }), v.resident("luis")
	files := map[string]string{
		"a": "the same", "b/a": "the same", "c*": "the same", "own": "published here", "own film": bigContent, "again": bigContent, "moved": "from there",
		"left": "by a run before", "wrong": "never so", "new": "of hers",
	}
	ana.offerFolder(v.plant(t.TempDir(), files), "things")
	v.ok(luis.Publish(t.Context(), luis.write("mine", "published here"), ""))
	v.ok(luis.Publish(t.Context(), luis.write("my film", bigContent), ""))
	dir := v.plant(t.TempDir(), map[string]string{"old name": "from there", "another": "much the same, not"})
	left := func(content, really string) {
		id := tree.Sum([]byte(content))
		v.plant(dir, map[string]string{".lonja-part/" + id.String() + "-7": really})
	}
	left("by a run before", "by a run before")
	left("never so", "damaged!")
	got, err := luis.getFolder("things", dir)
	v.ok(err)
	for content, want := range map[string]int{"the same": 1, "published here": 0, bigContent: 0, "from there": 0, "by a run before": 0, "never so": 1, "of hers": 1} {
		if n := sent.of(content); n != want {
			t.Errorf("%.20q was sent %d times, want %d", content, n, want)
		}
	}
	if n := sent.all(); n != 4 { // the list too
		t.Errorf("%d answers, want 4", n)
	}
	if got.Kept != 1 || got.Copied != 6 {
		t.Errorf("got %+v", got)
	}
	want := map[string]string{"old name": "from there", "another": "much the same, not"}
	for name, content := range files {
		want[name] = content
	}
	v.wantGrown(dir, want)
}

// TestFolderInPart: only what is asked for comes.
func TestFolderInPart(t *testing.T) {
	v := newTown(t)
	var sent *transfers
	ana, luis := v.residentWith("ana", func(o *Options) { sent = countTransfers(o) }), v.resident("luis")
	ana.offerFolder(v.plant(t.TempDir(), someFiles), "things")
	dir := filepath.Join(t.TempDir(), "got")
	_, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Include = func(string) bool { return false }
	})
	v.is(err, lonja.Invalid)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a folder of which nothing is wanted there is left: %v", err)
	}
	got, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Include = func(path string) bool { return strings.HasPrefix(path, "a/") }
	})
	v.ok(err)
	v.wantGrown(dir, map[string]string{"a/one.txt": "first", "a/deep/two.txt": "second"})
	if got.Files != 2 || sent.of("first") != 1 || sent.of("#!/bin/sh") != 0 {
		t.Errorf("got %+v", got)
	}
	// The rest later: what came is not fetched again.
	_, err = luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, someFiles)
	if sent.of("first") != 1 || sent.of("#!/bin/sh") != 1 {
		t.Errorf("sent: %v", sent.sent)
	}
}

// TestFolderThatChanges: it is withdrawn, with a word about it, and can be published
// again.
func TestFolderThatChanges(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	home := v.plant(t.TempDir(), map[string]string{"a": "first", "b": "second"})
	ana.offerFolder(home, "things")
	v.plant(home, map[string]string{"a": "longer now"})
	dir := filepath.Join(t.TempDir(), "got")
	_, err := luis.getFolder("things", dir)
	if err == nil {
		t.Error("it came all the same")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a")); err == nil {
		t.Errorf("a came as %q", b)
	}
	v.until("it is listed no more", func() bool { return ana.listed() == "" })
	ana.offerFolder(home, "things")
	_, err = luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, map[string]string{"a": "longer now", "b": "second"})
	v.ok(ana.Delete(t.Context(), home))
	if got := ana.listed(); got != "" {
		t.Errorf("listed: %q", got)
	}
}

func TestFolderHoldersAgree(t *testing.T) {
	holder := func(user lonja.UserName, files, size int64, isFolder bool) lonja.Holder {
		h := lonja.Holder{User: user, Reach: &lonja.Reach{}, Size: size, Proof: &lonja.Proof{}}
		if isFolder {
			h.Proof.Folder = &lonja.Folder{Files: files, ListSize: 9}
		}
		return h
	}
	a, b, liar, file := holder("a", 1, 5, true), holder("b", 1, 5, true), holder("liar", 2, 5, true), holder("file", 0, 9, false)
	most := folderHolders([]lonja.Holder{liar, a, file, b})
	if len(most) != 2 || most[0].User != "a" || most[1].User != "b" {
		t.Errorf("got %v", most)
	}
	for want, holders := range map[bool][]lonja.Holder{true: {a, b, file}, false: {a, file}} {
		if got := (Choice{Holders: holders}).IsFolder(); got != want {
			t.Errorf("%d holders: got %t", len(holders), got)
		}
	}
}
