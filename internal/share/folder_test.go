package share

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/tree"
)

// hashOf is what Look wants, for small files.
func hashOf(_ context.Context, f *os.File) (lonja.FileID, fs.FileInfo, error) {
	b, err := io.ReadAll(f)
	if err != nil {
		return lonja.FileID{}, nil, err
	}
	info, err := f.Stat()
	return tree.Sum(b), info, err
}

// offerFolder publishes dir, signed, for audience.
func offerFolder(t *testing.T, s *Set, dir, name string, audience ...lonja.UserName) (lonja.Listing, []folder.Entry) {
	t.Helper()
	d, err := s.DraftFolder(t.Context(), dir, Look{Hash: hashOf, Skip: func(name string) bool { return strings.HasPrefix(name, ".") }})
	must(t, err)
	defer func() { must(t, d.Close()) }()
	list, err := os.ReadFile(d.List().Name())
	must(t, err)
	listing := lonja.Listing{
		Name: lonja.FileName(name), Size: d.Totals.Bytes,
		Proof: &lonja.Proof{
			File: tree.Sum(list), Date: 1, Audience: audience, Key: lonja.PublicKey{7}, Signature: lonja.Signature{byte(len(name)), 2},
			Folder: &lonja.Folder{Files: d.Totals.Files, ListSize: d.Size()},
		},
	}
	var known []lonja.Member
	for _, user := range audience {
		known = append(known, lonja.Member{User: user, Key: keyOf(user)})
	}
	must(t, s.OfferFolder(d, Offering{Listing: listing, Known: known}))
	var entries []folder.Entry
	r := folder.NewReader(bytes.NewReader(list))
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return listing, entries
		}
		must(t, err)
		entries = append(entries, e)
	}
}

// had is what a member gets of a content: its bytes, "changed", "touched" or "nothing".
func had(t *testing.T, s *Set, id lonja.FileID, user lonja.UserName) string {
	t.Helper()
	f, _, err := s.OpenContent(id, lonja.Member{User: user, Key: keyOf(user)}, func([]lonja.PublicKey) bool { return false })
	switch {
	case errors.Is(err, lonja.Conflict):
		return "changed"
	case errors.Is(err, lonja.Limited) && errors.Is(err, ErrTouched):
		return "touched"
	case errors.Is(err, lonja.NoSuchFile):
		return "nothing"
	}
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return string(b)
}

// someFolder makes one with a bit of everything.
func someFolder(t *testing.T) string {
	t.Helper()
	dir := realTempDir(t)
	must(t, os.MkdirAll(filepath.Join(dir, "a", "deep"), 0o700))
	must(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o700))
	must(t, os.MkdirAll(filepath.Join(dir, "hidden only"), 0o700))
	write(t, filepath.Join(dir, "hidden only", ".secret"), "not for others")
	write(t, filepath.Join(dir, "a", "one"), "first")
	write(t, filepath.Join(dir, "a", "deep", "two"), "second")
	write(t, filepath.Join(dir, "a!"), "third")
	must(t, os.Chmod(write(t, filepath.Join(dir, "run"), "#!/bin/sh"), 0o700))
	return dir
}

func TestFolderIsListedAndServed(t *testing.T) {
	dir, state := someFolder(t), realTempDir(t)
	s := openSet(t, state, ana)
	listing, entries := offerFolder(t, s, dir, "things")
	want := []folder.Entry{
		{Path: "a/deep/two", Kind: folder.File, Size: 6, ID: tree.Sum([]byte("second"))},
		{Path: "a/one", Kind: folder.File, Size: 5, ID: tree.Sum([]byte("first"))},
		{Path: "a!", Kind: folder.File, Size: 5, ID: tree.Sum([]byte("third"))},
		{Path: "empty", Kind: folder.EmptyDirectory},
		{Path: "hidden only", Kind: folder.EmptyDirectory},
		{Path: "run", Kind: folder.Executable, Size: 9, ID: tree.Sum([]byte("#!/bin/sh"))},
	}
	if !slices.Equal(entries, want) {
		t.Errorf("got %v, want %v", entries, want)
	}
	for _, s := range []*Set{s, openSet(t, state, ana)} {
		for content, want := range map[string]string{"first": "first", "second": "second", "#!/bin/sh": "#!/bin/sh", "not for others": "nothing", "": "nothing"} {
			if got := had(t, s, tree.Sum([]byte(content)), "eva"); got != want {
				t.Errorf("%q: got %q, want %q", content, got, want)
			}
		}
		if list := had(t, s, listing.Proof.File, "eva"); !strings.HasPrefix(list, folder.Magic) || tree.Sum([]byte(list)) != listing.Proof.File {
			t.Errorf("got the list %q", list)
		}
		if got := s.NamesOf(dir); len(got) != 1 || got[0] != "things" {
			t.Errorf("the directory is published as %q", got)
		}
	}
	must(t, s.Remove("things"))
	if got := had(t, s, tree.Sum([]byte("first")), "eva"); got != "nothing" {
		t.Errorf("got %q of what is published no more", got)
	}
}

// TestFolderHasItsAudience: it and each file in it is for those only.
func TestFolderHasItsAudience(t *testing.T) {
	s := openSet(t, realTempDir(t), ana)
	listing, _ := offerFolder(t, s, someFolder(t), "things", "luis")
	for _, id := range []lonja.FileID{listing.Proof.File, tree.Sum([]byte("first"))} {
		if got := had(t, s, id, "eva"); got != "nothing" {
			t.Errorf("eva has %q", got)
		}
		if got := had(t, s, id, "luis"); got == "nothing" {
			t.Error("luis has nothing")
		}
	}
}

// TestFolderThatChanges: nothing of a file that is another now is sent, and the
// folder is withdrawn; one that is gone may come back.
func TestFolderThatChanges(t *testing.T) {
	dir := someFolder(t)
	s := openSet(t, realTempDir(t), ana)
	offerFolder(t, s, dir, "things")
	path, id := filepath.Join(dir, "a", "one"), tree.Sum([]byte("first"))
	must(t, os.Rename(path, path+".away"))
	if got := had(t, s, id, "eva"); got != "nothing" {
		t.Errorf("got %q of what is gone", got)
	}
	if names, err := s.Recheck(id, nil); err != nil || len(names) > 0 {
		t.Errorf("withdrawn: %q, %v", names, err)
	}
	must(t, os.Rename(path+".away", path)) // which may show, and is looked at
	_, err := s.Recheck(id, sumOf)
	must(t, err)
	if got := had(t, s, id, "eva"); got != "first" {
		t.Errorf("got %q of what has come back", got)
	}
	write(t, path, "fresh") // as long as before
	later := time.Now().Add(time.Second)
	must(t, os.Chtimes(path, later, later))
	if got := had(t, s, id, "eva"); got != "changed" {
		t.Errorf("got %q of what has changed", got)
	}
	if names, err := s.Recheck(id, nil); err != nil || !slices.Equal(names, []lonja.FileName{"things"}) {
		t.Errorf("withdrawn: %q, %v", names, err)
	}
	if !s.IsWithdrawn("things") || had(t, s, tree.Sum([]byte("third")), "eva") != "nothing" {
		t.Error("it is served still")
	}
}

// TestFolderFollowsNoLinks: neither when it is looked through nor when a link takes
// the place of a file, or of a directory, later.
func TestFolderFollowsNoLinks(t *testing.T) {
	dir, outside := someFolder(t), realTempDir(t)
	write(t, filepath.Join(outside, "one"), "first")
	must(t, os.Symlink(filepath.Join(outside, "one"), filepath.Join(dir, "link")))
	must(t, os.Symlink(outside, filepath.Join(dir, "linked")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "latin\xf1"), nil, 0o600))
	s := openSet(t, realTempDir(t), ana)
	var mu sync.Mutex
	var told []string
	d, err := s.DraftFolder(t.Context(), dir, Look{Hash: hashOf, LeftOut: func(path, _ string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, path)
	}})
	must(t, err)
	must(t, d.Close())
	slices.Sort(told)
	if want := []string{"latin\xf1", "link", "linked", "pipe"}; !slices.Equal(told, want) {
		t.Errorf("left out: %q, want %q", told, want)
	}
	offerFolder(t, s, dir, "things")
	info, err := os.Stat(filepath.Join(dir, "a", "one"))
	must(t, err)
	must(t, os.Chtimes(filepath.Join(outside, "one"), info.ModTime(), info.ModTime()))
	for _, replaced := range []string{filepath.Join(dir, "a", "one"), filepath.Join(dir, "a")} {
		must(t, os.RemoveAll(replaced))
		target := outside
		if filepath.Base(replaced) == "one" {
			target = filepath.Join(outside, "one")
		}
		must(t, os.Symlink(target, replaced))
		if got := had(t, s, tree.Sum([]byte("first")), "eva"); got != "nothing" {
			t.Errorf("%s leads out: got %q", replaced, got)
		}
		if f, err := openStepwise(dir, "a/one"); err == nil {
			_ = f.Close()
			t.Errorf("%s leads out, step by step", replaced)
		}
	}
}

// TestFolderDrafts: what cannot be published, and what is not what was signed.
func TestFolderDrafts(t *testing.T) {
	s, dir := openSet(t, realTempDir(t), ana), someFolder(t)
	link := filepath.Join(realTempDir(t), "link")
	must(t, os.Symlink(dir, link))
	for name, path := range map[string]string{"a file": filepath.Join(dir, "a!"), "nothing": filepath.Join(dir, "none"), "a link": link} {
		if _, err := s.DraftFolder(t.Context(), path, Look{Hash: hashOf}); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: got %v, want kind %v", name, err, lonja.Invalid)
		}
	}
	if _, err := New().DraftFolder(t.Context(), dir, Look{Hash: hashOf}); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("without a state directory: got %v", err)
	}
	broken := errors.New("unreadable")
	_, err := s.DraftFolder(t.Context(), dir, Look{Hash: func(context.Context, *os.File) (lonja.FileID, fs.FileInfo, error) { return lonja.FileID{}, nil, broken }})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want what Hash says", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.DraftFolder(ctx, dir, Look{Hash: hashOf}); err == nil {
		t.Error("it goes on when it is canceled")
	}
	d, err := s.DraftFolder(t.Context(), dir, Look{Hash: hashOf})
	must(t, err)
	defer d.Close()
	listing := lonja.Listing{Name: "things", Size: d.Totals.Bytes, Proof: &lonja.Proof{File: lonja.FileID{1}}}
	for _, f := range []*lonja.Folder{nil, {Files: d.Totals.Files + 1, ListSize: d.Size()}, {Files: d.Totals.Files, ListSize: d.Size() + 1}} {
		listing.Proof.Folder = f
		if err := s.OfferFolder(d, Offering{Listing: listing}); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%+v: got %v, want kind %v", f, err, lonja.Invalid)
		}
	}
	if left, err := os.ReadDir(s.store.foldersDir()); err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestManyFiles: each of some blocks is found, and the same content twice.
func TestManyFiles(t *testing.T) {
	dir := realTempDir(t)
	for i := range 1000 {
		write(t, filepath.Join(dir, strconv.Itoa(i)), strconv.Itoa(i%900))
	}
	s := openSet(t, realTempDir(t), ana)
	offerFolder(t, s, dir, "numbers")
	for i := range 900 {
		if got := had(t, s, tree.Sum([]byte(strconv.Itoa(i))), "eva"); got != strconv.Itoa(i) {
			t.Fatalf("%d: got %q", i, got)
		}
	}
	must(t, os.Remove(filepath.Join(dir, "7")))
	if got := had(t, s, tree.Sum([]byte("7")), "eva"); got != "7" { // there is "907"
		t.Errorf("got %q", got)
	}
}

// TestOldListsGo: what is published no more is not kept for ever.
func TestOldListsGo(t *testing.T) {
	s, dir := openSet(t, realTempDir(t), ana), someFolder(t)
	first, _ := offerFolder(t, s, dir, "things")
	write(t, filepath.Join(dir, "more"), "fourth")
	long := time.Now().Add(-2 * leftoverAge)
	old := s.store.folderPath(first.Proof.File, listEnding)
	must(t, os.Chtimes(old, long, long))
	must(t, os.WriteFile(filepath.Join(s.store.foldersDir(), "another"), nil, 0o600))
	must(t, os.Chtimes(filepath.Join(s.store.foldersDir(), "another"), long, long))
	second, _ := offerFolder(t, s, dir, "things")
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the list of before is there still: %v", err)
	}
	for _, path := range []string{s.store.folderPath(second.Proof.File, listEnding), filepath.Join(s.store.foldersDir(), "another")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
