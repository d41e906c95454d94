package share

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/tree"
)

// sumOf is a Hash for small files that were touched.
func sumOf(f *os.File, touched bool) (lonja.FileID, bool) {
	if !touched {
		return lonja.FileID{}, false
	}
	b, err := io.ReadAll(f)
	return tree.Sum(b), err == nil
}

// replace has a file with that content, and the time of what was there, in the place
// of the one at path.
func replace(t *testing.T, path, content string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Chtimes(write(t, path+".new", content), info.ModTime(), info.ModTime()))
	must(t, os.Rename(path+".new", path))
}

// TestTouchedFileOfAFolder: one of the same size and time in the place of another is
// not opened until it was hashed. A copy is opened then, also by the next run; for
// anything else the folder is withdrawn.
func TestTouchedFileOfAFolder(t *testing.T) {
	dir, state := someFolder(t), realTempDir(t)
	s := openSet(t, state, ana)
	offerFolder(t, s, dir, "things")
	path, id := filepath.Join(dir, "a", "one"), tree.Sum([]byte("first"))
	replace(t, path, "first")
	if got := had(t, s, id, "eva"); got != "touched" {
		t.Errorf("before it was looked at: %q", got)
	}
	if names, err := s.Recheck(id, sumOf); err != nil || len(names) > 0 {
		t.Errorf("withdrawn: %q, %v", names, err)
	}
	for _, of := range []*Set{s, openSet(t, state, ana)} {
		if got := had(t, of, id, "eva"); got != "first" {
			t.Errorf("a copy: got %q", got)
		}
	}
	replace(t, path, "fresh")
	if got := had(t, s, id, "eva"); got != "touched" {
		t.Errorf("another: got %q", got)
	}
	if names, err := s.Recheck(id, sumOf); err != nil || !slices.Equal(names, []lonja.FileName{"things"}) {
		t.Errorf("withdrawn: %q, %v", names, err)
	}
	if got := had(t, s, id, "eva"); got != "nothing" {
		t.Errorf("withdrawn: got %q", got)
	}
}

// TestFolderOfAnOlderProgram has no marks: its files are hashed before they are opened.
func TestFolderOfAnOlderProgram(t *testing.T) {
	dir, state := someFolder(t), realTempDir(t)
	s := openSet(t, state, ana)
	listing, _ := offerFolder(t, s, dir, "things")
	path := s.store.folderPath(listing.Proof.File, seenEnding)
	b, err := os.ReadFile(path)
	must(t, err)
	var times []byte
	for at := len(seenMagic); at < len(b); at += seenLen {
		times = append(times, b[at:at+8]...)
	}
	must(t, os.WriteFile(path, times, 0o600))
	s = openSet(t, state, ana)
	for _, content := range []string{"first", "second"} {
		id := tree.Sum([]byte(content))
		if got := had(t, s, id, "eva"); got != "touched" {
			t.Errorf("before it was looked at: %q", got)
		}
		if names, err := s.Recheck(id, sumOf); err != nil || len(names) > 0 {
			t.Errorf("withdrawn: %q, %v", names, err)
		}
		if got := had(t, s, id, "eva"); got != content {
			t.Errorf("got %q", got)
		}
	}
	if now, err := os.ReadFile(path); err != nil || !slices.Equal(now, times) {
		t.Errorf("what the older program has written was written over: %v", err)
	}
}

// TestFolderThatAnotherProcessPublishesAnew: its files are what that has seen.
func TestFolderThatAnotherProcessPublishesAnew(t *testing.T) {
	dir, state := someFolder(t), realTempDir(t)
	serves, publishes := openSet(t, state, ana), openSet(t, state, ana)
	offerFolder(t, serves, dir, "things")
	id := tree.Sum([]byte("first"))
	if got := had(t, serves, id, "eva"); got != "first" {
		t.Fatalf("got %q", got)
	}
	later := time.Now().Add(time.Second)
	must(t, os.Chtimes(filepath.Join(dir, "a", "one"), later, later))
	offerFolder(t, publishes, dir, "things")
	for _, s := range []*Set{serves, publishes} {
		if got := had(t, s, id, "eva"); got != "first" {
			t.Errorf("got %q", got)
		}
		if names, err := s.Recheck(id, sumOf); err != nil || len(names) > 0 {
			t.Errorf("withdrawn: %q, %v", names, err)
		}
	}
}

// TestFolderThatCannotBeRead is not read anew, all of it, for each request, but now and
// then, and when it is published anew.
func TestFolderThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, state := someFolder(t), realTempDir(t)
		s := openSet(t, state, ana)
		listing, _ := offerFolder(t, s, dir, "things")
		path, id := s.store.folderPath(listing.Proof.File, seenEnding), tree.Sum([]byte("first"))
		had := func(when, want string) {
			t.Helper()
			if got := had(t, s, id, "eva"); got != want {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		must(t, os.Rename(path, path+".away"))
		had("without marks", "nothing")
		must(t, os.Rename(path+".away", path))
		had("just afterwards", "nothing")
		time.Sleep(brokenPause)
		had("later", "first")

		s = openSet(t, state, ana)
		must(t, os.Remove(path))
		had("without marks", "nothing")
		offerFolder(t, s, dir, "things")
		had("published anew", "first")
	})
}
