package incoming

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string, force bool) *Target {
	t.Helper()
	target, err := Open(dir, force)
	must(t, err)
	t.Cleanup(func() { _ = target.Close() })
	return target
}

func item(local, content string) Item { return Item{ID: tree.Sum([]byte(content)), Local: local} }

func holds(t *testing.T, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("%s holds %q, %v; want %q", path, b, err, want)
	}
}

// TestNamesComeLast: what has come has no name until all of its batch is synced.
func TestNamesComeLast(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "got")
	target := open(t, dir, false)
	must(t, target.Put(item("a/b/one", "first"), []byte("first")))
	run := item("run", "x")
	run.Executable = true
	must(t, target.Put(run, []byte("x")))
	if _, err := os.Lstat(filepath.Join(dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has a name already: %v", err)
	}
	if !IsBegun(dir) || !target.IsFresh() {
		t.Error("it is not begun, or not fresh")
	}
	must(t, target.Flush())
	holds(t, filepath.Join(dir, "a/b/one"), "first")
	must(t, target.Directory("empty/deep"))
	must(t, target.Finish())
	if info, err := os.Stat(filepath.Join(dir, "run")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("run: %v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 || IsBegun(dir) {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestOneAtATime: a directory is filled by one at a time; what the first has left the
// next one finds.
func TestOneAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "got")
	first := open(t, dir, false)
	if _, err := Open(dir, false); !errors.Is(err, ErrInUse) || !errors.Is(err, lonja.LocalFile) {
		t.Errorf("the second: %v", err)
	}
	must(t, first.Put(item("one", "first"), []byte("first")))
	first.closeFiles() // as a kill does
	second := open(t, dir, false)
	var left []string
	must(t, second.Left(func(name string) error {
		left = append(left, name)
		return nil
	}))
	if len(left) != 1 {
		t.Fatalf("left: %q", left)
	}
	id, err := IDOf(left[0])
	if err != nil || id != tree.Sum([]byte("first")) {
		t.Errorf("got %v, %v", id, err)
	}
	if content, err := second.TakeLeft(left[0]); err != nil || string(content) != "first" {
		t.Errorf("got %q, %v", content, err)
	}
}

// TestNothingIsReplaced without force, also what comes only meanwhile; what could not
// have its name is kept.
func TestNothingIsReplaced(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, false)
	must(t, target.Put(item("one", "first"), []byte("first")))
	must(t, os.WriteFile(filepath.Join(dir, "one"), []byte("mine"), 0o600))
	if err := target.Flush(); !errors.Is(err, lonja.LocalFile) || !errors.Is(err, errThere) {
		t.Errorf("got %v", err)
	}
	holds(t, filepath.Join(dir, "one"), "mine")
	must(t, os.Remove(filepath.Join(dir, "one")))
	must(t, target.Flush())
	holds(t, filepath.Join(dir, "one"), "first")
	must(t, target.Close())
	forced := open(t, dir, true)
	must(t, forced.Put(item("one", "second"), []byte("second")))
	must(t, forced.Finish())
	holds(t, filepath.Join(dir, "one"), "second")
}

// TestLinksAreNotFollowed: neither to a directory nor to a file.
func TestLinksAreNotFollowed(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(dir, "out")))
	must(t, os.Symlink(filepath.Join(outside, "x"), filepath.Join(dir, "link")))
	target := open(t, dir, true)
	for _, local := range []string{"out/file", "link"} {
		if _, err := target.Look(local); !errors.Is(err, lonja.LocalFile) {
			t.Errorf("%s: %v", local, err)
		}
	}
	if err := target.Directory("out/new"); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("a directory: %v", err)
	}
	must(t, target.Put(item("out/file", "x"), []byte("x")))
	if err := target.Flush(); !errors.Is(err, errInTheWay) {
		t.Errorf("a file: %v", err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("it came outside: %v, %v", left, err)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "out")))
	// A hidden directory that is none of ours is not used.
	elsewhere := t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(elsewhere, PartName)))
	if _, err := Open(elsewhere, false); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("a link for the hidden directory: %v", err)
	}
}

// TestCopy: what check does not like is not taken.
func TestCopy(t *testing.T) {
	dir := t.TempDir()
	src, err := os.CreateTemp(t.TempDir(), "src")
	must(t, err)
	defer src.Close()
	_, err = src.WriteString("some content")
	must(t, err)
	target := open(t, dir, false)
	must(t, target.Copy(item("copy", "some content"), src, func(f *os.File) error {
		holds(t, filepath.Join(dir, PartName, filepath.Base(f.Name())), "some content")
		return nil
	}))
	bad := lonja.E(lonja.Conflict, "copy", errors.New("another"))
	if err := target.Copy(item("bad", "other"), src, func(*os.File) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
	must(t, target.Finish())
	holds(t, filepath.Join(dir, "copy"), "some content")
	if _, err := os.Lstat(filepath.Join(dir, "bad")); err == nil {
		t.Error("it was taken")
	}
}

// TestCopiesAreNotKept: what was being copied when the process was killed takes no room.
func TestCopiesAreNotKept(t *testing.T) {
	dir := t.TempDir()
	src, err := os.CreateTemp(t.TempDir(), "src")
	must(t, err)
	defer src.Close()
	first := open(t, dir, false)
	must(t, first.Copy(item("copy", ""), src, func(*os.File) error { return nil }))
	must(t, first.Put(item("one", "first"), []byte("first")))
	if first.IsResumed() {
		t.Error("nothing was being received before")
	}
	first.closeFiles() // as a kill does
	second := open(t, dir, false)
	entries, err := os.ReadDir(filepath.Join(dir, PartName))
	if err != nil || len(entries) != 2 || !second.IsResumed() {
		t.Errorf("left are %v, %v; resumed: %v; want the lock and a file", entries, err, second.IsResumed())
	}
}

// TestRoom: what does not fit is refused before it comes.
func TestRoom(t *testing.T) {
	target := open(t, t.TempDir(), false)
	must(t, target.CheckRoom(1<<10, 1))
	if err := target.CheckRoom(1<<60, 1); !errors.Is(err, lonja.LocalFile) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
}

// TestDiscard: what has no name yet goes, and the directory if it was made for this, by
// whichever run, and nothing is in it.
func TestDiscard(t *testing.T) {
	above := t.TempDir()
	for what, c := range map[string]struct{ before, named, stays bool }{
		"made":         {false, false, false},
		"made, filled": {false, true, true},
		"there before": {true, false, true},
	} {
		dir := filepath.Join(above, what)
		if c.before {
			must(t, os.Mkdir(dir, 0o700))
		}
		first := open(t, dir, false)
		must(t, first.Put(item("one", "first"), []byte("first")))
		if c.named {
			must(t, first.Flush())
		}
		first.closeFiles() // as a kill does
		second := open(t, dir, false)
		must(t, second.Put(item("two", "second"), []byte("second")))
		must(t, second.Discard())
		entries, err := os.ReadDir(dir)
		if (err == nil) != c.stays || len(entries) > 1 || (len(entries) == 1) != c.named {
			t.Errorf("%s: left are %v, %v", what, entries, err)
		}
		if c.named {
			holds(t, filepath.Join(dir, "one"), "first")
		}
	}
}

// TestFailedSync: what a failed sync may have lost gets no name by one that succeeds,
// neither what was gathered then nor what came meanwhile, and the next Target has it
// written again.
func TestFailedSync(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "got")
	target := open(t, dir, false)
	must(t, target.Put(item("before", "before"), []byte("before")))
	must(t, target.Flush())
	must(t, target.Put(item("one", "first"), []byte("first")))
	syncs := 0
	target.syncAll = func(*os.File) error {
		if syncs++; syncs > 1 {
			return nil // as the kernel says of what it has given up
		}
		return errors.Join(target.Put(item("two", "second"), []byte("second")), syscall.EIO)
	}
	for what, err := range map[string]error{
		"flush": target.Flush(), "put": target.Put(item("three", "third"), nil), "copy": target.Copy(item("four", ""), nil, nil),
		"again": target.Flush(), "finish": target.Finish(),
	} {
		if !errors.Is(err, syscall.EIO) || !errors.Is(err, lonja.LocalFile) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, target.Close())
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 || syncs != 1 {
		t.Errorf("after %d syncs there are %v, %v", syncs, entries, err)
	}
	holds(t, filepath.Join(dir, "before"), "before")

	next := open(t, dir, false)
	left := 0
	must(t, next.Left(func(name string) error {
		left++
		content, err := next.TakeLeft(name)
		if _, gone := os.Lstat(filepath.Join(dir, PartName, name)); gone == nil {
			t.Errorf("%s is there still, and could get its name without being written", name)
		}
		return errors.Join(err, next.Put(item(string(content), string(content)), content))
	}))
	must(t, next.Finish())
	if left != 2 {
		t.Errorf("%d files were left", left)
	}
	holds(t, filepath.Join(dir, "first"), "first")
	holds(t, filepath.Join(dir, "second"), "second")
}
