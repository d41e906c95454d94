//go:build unix

package unfinished

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

func TestTargetExists(t *testing.T) {
	for name, make := range map[string]func(target string) error{
		"a file":    func(target string) error { return os.WriteFile(target, []byte("mine"), 0o600) },
		"a link":    func(target string) error { return os.Symlink("nothing", target) },
		"directory": func(target string) error { return os.Mkdir(target, 0o700) },
		"FIFO":      func(target string) error { return syscall.Mkfifo(target, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, o Options) {
				dir := t.TempDir()
				target := filepath.Join(dir, "file")
				o.ID, o.Size = idA, 1
				replaceable := o.Force && (name == "a file" || name == "a link")

				// Before it begins.
				must(t, make(target))
				f, err := Open(target, o)
				if replaceable {
					must(t, err)
					must(t, f.Discard())
				} else {
					wantKind(t, err, lonja.LocalFile, nil, target+": it ")
				}
				if !o.Force {
					wantKind(t, err, lonja.LocalFile, fs.ErrExist, "another name")
				}
				wantNames(t, dir, "file")
				must(t, os.RemoveAll(target))

				// While it is received.
				f = begin(t, target, o)
				put(t, f, 0)
				must(t, make(target))
				before, err := os.Lstat(target)
				must(t, err)
				err = f.Commit()
				if o.Force && name != "directory" {
					must(t, err)
					wantContent(t, target, contentAt(idA, 0, 1))
					return
				}
				wantKind(t, err, lonja.LocalFile, fs.ErrExist, target)
				if after, err := os.Lstat(target); err != nil || !os.SameFile(before, after) {
					t.Errorf("the target is another one (%v)", err)
				}
				must(t, f.Close())

				// It is kept, and finished once the target is gone.
				must(t, os.RemoveAll(target))
				f = begin(t, target, o)
				wantGood(t, f, 0)
				must(t, f.Commit())
				wantContent(t, target, contentAt(idA, 0, 1))
				wantNames(t, dir, "file")
			})
		})
	}
}

// TestCommitRace: of many that commit to one target at once, from places that do
// not know of each other, exactly one gets it.
func TestCommitRace(t *testing.T) {
	for _, linked := range []bool{false, true} {
		dir := t.TempDir()
		const n = 8
		var all sync.WaitGroup
		results := make([]error, n)
		start := make(chan struct{})
		for i := range n {
			f := begin(t, filepath.Join(dir, fmt.Sprint("file", i)), Options{ID: lonja.FileID{byte(i)}, Size: 1, testOnlyNoRename: linked})
			put(t, f, 0)
			f.place.base = "file" // where each of them wants to
			all.Go(func() { <-start; results[i] = f.Commit() })
		}
		close(start)
		all.Wait()
		won := 0
		for i, err := range results {
			if err == nil {
				won++
				wantContent(t, filepath.Join(dir, "file"), contentAt(lonja.FileID{byte(i)}, 0, 1))
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d have the target, want 1", won)
		}
	}
}

func TestModes(t *testing.T) {
	umask := syscall.Umask(0)
	syscall.Umask(umask)
	masked := func(m fs.FileMode) fs.FileMode { return m &^ fs.FileMode(umask) }
	for name, tc := range map[string]struct {
		o    Options
		old  fs.FileMode // of a file that is replaced, 0 for none
		want fs.FileMode
	}{
		"default":          {Options{}, 0, masked(0o666)},
		"executable":       {Options{Mode: 0o755}, 0, masked(0o755)},
		"read only":        {Options{Mode: 0o444}, 0, masked(0o444)},
		"setuid is no way": {Options{Mode: 0o755 | fs.ModeSetuid}, 0, masked(0o755)},
		"of the old one":   {Options{Force: true}, 0o640, 0o640},
		"rather the new":   {Options{Force: true, Mode: 0o755}, 0o640, masked(0o755)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := filepath.Join(dir, "file")
			if tc.old != 0 {
				must(t, os.WriteFile(target, nil, 0o600))
				must(t, os.Chmod(target, tc.old))
			}
			tc.o.ID, tc.o.Size = idA, 10
			f := begin(t, target, tc.o)
			for name, want := range map[string]fs.FileMode{"": 0o700 | fs.ModeDir, dataName: 0o600, recordName: 0o600, lockName: 0o600} {
				if info, err := os.Stat(filepath.Join(dir, hiddenName("file"), name)); err != nil || info.Mode() != want {
					t.Errorf("%q has mode %v (%v), want %v", name, info.Mode(), err, want)
				}
			}
			put(t, f, 0)
			must(t, f.Commit())
			if info, err := os.Stat(target); err != nil || info.Mode() != tc.want {
				t.Errorf("mode is %v (%v), want %v", info.Mode(), err, tc.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, base := range map[string]string{
		"longest":    strings.Repeat("n", 255),
		"longest, é": strings.Repeat("é", 127),
		"long":       strings.Repeat("n", maxBase+1),
		"not UTF-8":  "\xff\xfe",
		"dot":        ".hidden",
		"dash":       "-rf",
		"newline":    "a\nb",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := filepath.Join(dir, base)
			f := begin(t, target, Options{ID: idA, Size: 10})
			put(t, f, 0)
			must(t, f.Close())
			f = begin(t, target, Options{ID: idA, Size: 10})
			wantGood(t, f, 0)
			must(t, f.Commit())
			wantNames(t, dir, base)
		})
	}
	a, b := strings.Repeat("n", 250)+"a", strings.Repeat("n", 250)+"b"
	if hiddenName(a) == hiddenName(b) {
		t.Error("two targets have one place")
	}
	if cut := strings.TrimSuffix(hiddenName(a)[1:], ".lonja-part"); hiddenName(cut) == hiddenName(a) {
		t.Error("a target named like the place of another one has that")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, errors.Join(
		os.WriteFile(in("file"), nil, 0o600),
		os.Symlink(dir, in(hiddenName("linked"))),
		os.WriteFile(in(hiddenName("blocked")), nil, 0o600),
		os.Symlink("file", in(hiddenName("to-file"))),
		syscall.Mkfifo(in("fifo"), 0o600),
	))
	free := freeOn(t, dir)
	for name, tc := range map[string]struct {
		target string
		size   int64
		kind   lonja.Kind
		cause  error
		text   string
	}{
		"no directory":       {in("none/new"), 1, lonja.LocalFile, fs.ErrNotExist, "no such file"},
		"a file as one":      {in("file/new"), 1, lonja.LocalFile, syscall.ENOTDIR, "not a directory"},
		"a FIFO as one":      {in("fifo/new"), 1, lonja.LocalFile, syscall.ENOTDIR, "not a directory"},
		"final slash":        {in("new") + "/", 1, lonja.LocalFile, nil, "it names a directory"},
		"dot dot":            {dir + "/..", 1, lonja.LocalFile, nil, "it names a directory"},
		"empty":              {"", 1, lonja.LocalFile, nil, "it names a directory"},
		"too long":           {in(strings.Repeat("n", 256)), 1, lonja.LocalFile, syscall.ENAMETOOLONG, "too long"},
		"place is a link":    {in("linked"), 1, lonja.LocalFile, nil, "is not a directory"},
		"place is a file":    {in("blocked"), 1, lonja.LocalFile, nil, "is not a directory"},
		"place is a link, 2": {in("to-file"), 1, lonja.LocalFile, nil, "is not a directory"},
		"no such size":       {in("new"), -1, lonja.Invalid, nil, "no file has"},
		"no room":            {in("new"), min(free*2, tree.MaxSize), lonja.LocalFile, syscall.ENOSPC, "are needed on its disk and"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(tc.target, Options{ID: idA, Size: tc.size})
			if err == nil {
				_ = f.Discard()
			}
			wantKind(t, err, tc.kind, tc.cause, tc.text)
		})
	}
	wantNames(t, dir, hiddenName("blocked"), hiddenName("linked"), hiddenName("to-file"), "fifo", "file")
}

func freeOn(t *testing.T, dir string) int64 {
	t.Helper()
	d, err := os.Open(dir)
	must(t, err)
	defer d.Close()
	free, err := freeSpace(d)
	must(t, err)
	return free
}

// TestKilledAfterCommit: a process that was killed when the target had appeared
// leaves something that the next one removes, be it renamed or linked.
func TestKilledAfterCommit(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "file")
	o := Options{ID: idA, Size: 10}
	f := begin(t, target, o)
	put(t, f, 0)
	must(t, f.Sync())
	must(t, f.appear())
	f.abandon()
	if Exists(target) {
		t.Error("something exists that nothing could go on with")
	}
	_, err := Open(target, o)
	wantKind(t, err, lonja.LocalFile, fs.ErrExist, "exists")
	wantNames(t, dir, "file")

	// Linked, it has two names. Whatever comes next does not write to the target.
	must(t, os.Remove(target))
	f = begin(t, target, o)
	put(t, f, 0)
	must(t, f.Sync())
	must(t, f.place.linkNew())
	f.abandon()
	if Exists(target) {
		t.Error("something exists that is finished")
	}
	truncate(recordName, 0)(t, filepath.Join(dir, hiddenName("file")))
	o.Force = true
	f = begin(t, target, o)
	wantGood(t, f)
	must(t, f.Put(0, pieceOf(f, 0)))
	wantContent(t, target, contentAt(idA, 0, 10))
	must(t, f.Discard())
	wantNames(t, dir, "file")
	must(t, os.Mkdir(filepath.Join(dir, hiddenName("file")), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, hiddenName("file"), lockName), nil, 0o600))
	must(t, os.Link(target, filepath.Join(dir, hiddenName("file"), dataName)))
	o.Force = false
	_, err = Open(target, o)
	wantKind(t, err, lonja.LocalFile, fs.ErrExist, "exists")
	wantNames(t, dir, "file")
	wantContent(t, target, contentAt(idA, 0, 10))
}
