package unfinished

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/tree"
)

// contentAt returns n bytes of the content of a file id, from offset on. No two
// places have the same, nor two contents.
func contentAt(id lonja.FileID, offset, n int64) []byte {
	skip := offset % 8
	b := make([]byte, 0, skip+n+8)
	for at := offset - skip; at < offset+n; at += 8 {
		b = binary.LittleEndian.AppendUint64(b, uint64(at)*0x9E3779B97F4A7C15^uint64(id[0]))
	}
	return b[skip : skip+n]
}

// pieceOf returns a piece of the content that a File is of.
func pieceOf(f *File, piece int64) []byte {
	return contentAt(f.opts.ID, piece*tree.PieceSize, int64(f.layout.PieceLen(piece)))
}

func begin(t testing.TB, target string, o Options) *File {
	t.Helper()
	f, err := Open(target, o)
	if err != nil {
		t.Fatalf("Open(%q): %v", target, err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// abandon ends a File as a kill does: nothing more comes to the disk by it.
func (f *File) abandon() {
	f.closed = true
	f.keeper.stop()
	f.closeFiles()
	f.place.close()
}

func put(t testing.TB, f *File, pieces ...int64) {
	t.Helper()
	for _, p := range pieces {
		b := pieceOf(f, p)
		half := len(b) / 2
		if err := errors.Join(f.Write(p, b[half:], half), f.Write(p, b[:half], 0), f.Done(p)); err != nil {
			t.Fatalf("piece %d: %v", p, err)
		}
	}
}

// wantGood fails unless exactly these pieces are good, and hold what they should.
func wantGood(t testing.TB, f *File, pieces ...uint32) {
	t.Helper()
	if got, want := f.Good(), roaring.BitmapOf(pieces...); !got.Equals(want) {
		t.Errorf("good are %v, want %v", got, want)
	}
	checkGood(t, f)
}

// checkGood fails if a piece is good that does not hold what it should.
func checkGood(t testing.TB, f *File) {
	t.Helper()
	for it := f.Good().Iterator(); it.HasNext(); {
		p := int64(it.Next())
		want := pieceOf(f, p)
		got := make([]byte, len(want))
		if _, err := f.ReadAt(got, p*tree.PieceSize); err != nil || !bytes.Equal(got, want) {
			t.Errorf("piece %d is good and does not hold its bytes (%v)", p, err)
		}
	}
}

func wantKind(t testing.TB, err error, kind lonja.Kind, cause error, text string) {
	t.Helper()
	if !errors.Is(err, kind) || cause != nil && !errors.Is(err, cause) || err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error is %q, want kind %v, cause %v and %q in it", err, kind, cause, text)
	}
}

// wantNames fails unless the directory has exactly these names.
func wantNames(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, "\x00") != strings.Join(want, "\x00") {
		t.Errorf("%s has %q, want %q", dir, got, want)
	}
}

func wantContent(t testing.TB, target string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s does not hold the %d bytes that it should (%d, %v)", target, len(want), len(got), err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eachWay runs a test in all the ways in which space is reserved and targets appear.
func eachWay(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("default", func(t *testing.T) { test(t, Options{}) })
	t.Run("sparse", func(t *testing.T) { test(t, Options{testOnlySparse: true}) })
	t.Run("linked", func(t *testing.T) { test(t, Options{testOnlyNoRename: true}) })
	t.Run("force", func(t *testing.T) { test(t, Options{Force: true}) })
}

var (
	idA = lonja.FileID{1}
	idB = lonja.FileID{2}
)

func TestReceiveInOneGo(t *testing.T) {
	for _, size := range []int64{0, 1, tree.PieceSize, 3*tree.PieceSize + 7} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			eachWay(t, func(t *testing.T, o Options) {
				dir := t.TempDir()
				target := filepath.Join(dir, "file")
				o.ID, o.Size = idA, size
				f := begin(t, target, o)
				if !Exists(target) {
					t.Error("nothing exists after Open")
				}
				for p := range f.layout.Pieces() {
					put(t, f, p)
				}
				if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the target exists before Commit: %v", err)
				}
				must(t, f.Commit())
				wantNames(t, dir, "file")
				wantContent(t, target, contentAt(idA, 0, size))
				checkGood(t, f) // it still serves
				if Exists(target) {
					t.Error("something exists after Commit")
				}
				must(t, f.Close())
				wantNames(t, dir, "file")
			})
		})
	}
}

func TestGoesOn(t *testing.T) {
	eachWay(t, func(t *testing.T, o Options) {
		target := filepath.Join(t.TempDir(), "file")
		o.ID, o.Size = idA, 9*tree.PieceSize+1
		f := begin(t, target, o)
		put(t, f, 3, 9, 5)
		must(t, f.Write(6, make([]byte, 100), 0))
		must(t, f.Close())

		f = begin(t, target, o)
		wantGood(t, f, 3, 5, 9)
		put(t, f, 0)
		must(t, f.Sync())
		put(t, f, 1)
		f.abandon() // 1 is not recorded

		f = begin(t, target, o)
		wantGood(t, f, 0, 3, 5, 9)
		for p := range f.layout.Pieces() {
			if !f.Good().Contains(uint32(p)) {
				put(t, f, p)
			}
		}
		must(t, f.Close())
		f = begin(t, target, o)
		must(t, f.Commit())
		wantContent(t, target, contentAt(idA, 0, o.Size))
	})
}

func TestDiscardLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f := begin(t, filepath.Join(dir, "file"), Options{ID: idA, Size: 2 * tree.PieceSize})
	put(t, f, 1)
	_, err := f.Outboard().WriteAt([]byte("x"), 20)
	must(t, err)
	must(t, f.Discard())
	wantNames(t, dir)
	must(t, f.Discard())
	must(t, f.Close())
	wantKind(t, f.Commit(), lonja.LocalFile, fs.ErrClosed, "file")
	wantNames(t, dir)
}

// TestAnotherContent: what was begun of another content, or of another size, is
// never taken for this one, not even when the other one is begun again.
func TestAnotherContent(t *testing.T) {
	target := filepath.Join(t.TempDir(), "file")
	a, b := Options{ID: idA, Size: 4 * tree.PieceSize}, Options{ID: idB, Size: 4 * tree.PieceSize}
	shorter := Options{ID: idA, Size: 3 * tree.PieceSize}
	for _, o := range []Options{a, b, a, shorter, a} {
		f := begin(t, target, o)
		wantGood(t, f)
		put(t, f, 0, 2)
		must(t, f.Sync())
		f.abandon()
		f = begin(t, target, o)
		wantGood(t, f, 0, 2)
		f.abandon()
	}
	f := begin(t, target, b)
	put(t, f, 1)
	f.abandon() // killed before anything of it was recorded
	wantGood(t, begin(t, target, a))
}

// TestDamage: of a record or data that is not what it was nothing is believed, or
// what held before; and it goes on.
func TestDamage(t *testing.T) {
	o := Options{ID: idA, Size: 5 * tree.PieceSize}
	layout, err := tree.LayoutOf(o.Size)
	must(t, err)
	second := slotLen(layout) // generation 1 is there, generation 2 before it
	for name, tc := range map[string]struct {
		damage func(t *testing.T, part string)
		want   []uint32
	}{
		"none":           {func(*testing.T, string) {}, []uint32{1, 2}},
		"newest torn":    {overwrite(recordName, 40, "torn"), []uint32{1}},
		"newest bit":     {overwrite(recordName, slotHeader, "\xff"), []uint32{1}},
		"older torn":     {overwrite(recordName, second+5, "torn"), []uint32{1, 2}},
		"cut":            {truncate(recordName, second+10), []uint32{1, 2}},
		"cut to nothing": {truncate(recordName, 0), nil},
		"cut in header":  {truncate(recordName, 30), nil},
		"both torn":      {both(overwrite(recordName, 40, "torn"), overwrite(recordName, second+40, "torn")), nil},
		"no record":      {remove(recordName), nil},
		"no data":        {remove(dataName), nil},
		"data cut":       {truncate(dataName, 2*tree.PieceSize), nil},
		"data cut a bit": {truncate(dataName, o.Size-1), nil},
		"data too long":  {truncate(dataName, o.Size+1), nil},
		"only the lock":  {both(remove(dataName), remove(recordName)), nil},
		"no lock":        {remove(lockName), []uint32{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := filepath.Join(dir, "file")
			f := begin(t, target, o)
			put(t, f, 1)
			must(t, f.Sync())
			put(t, f, 2)
			must(t, f.Close())
			tc.damage(t, filepath.Join(dir, hiddenName("file")))
			f = begin(t, target, o)
			wantGood(t, f, tc.want...)
			for p := range f.layout.Pieces() {
				must(t, f.Put(p, pieceOf(f, p)))
			}
			must(t, f.Commit())
			wantContent(t, target, contentAt(idA, 0, o.Size))
			wantNames(t, dir, "file")
		})
	}
}

func overwrite(name string, at int64, with string) func(*testing.T, string) {
	return func(t *testing.T, part string) {
		file, err := os.OpenFile(filepath.Join(part, name), os.O_WRONLY, 0)
		must(t, err)
		_, err = file.WriteAt([]byte(with), at)
		must(t, errors.Join(err, file.Close()))
	}
}

func truncate(name string, size int64) func(*testing.T, string) {
	return func(t *testing.T, part string) { must(t, os.Truncate(filepath.Join(part, name), size)) }
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, part string) { must(t, os.Remove(filepath.Join(part, name))) }
}

func both(first, then func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, part string) { first(t, part); then(t, part) }
}

func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "file")
	o := Options{ID: idA, Size: 2 * tree.PieceSize}
	f := begin(t, target, o)
	put(t, f, 0)
	for _, o := range []Options{o, {ID: idB, Size: 1}, {ID: idA, Size: o.Size, Force: true}} {
		_, err := Open(target, o)
		wantKind(t, err, lonja.LocalFile, ErrInUse, target)
	}
	wantGood(t, f, 0)
	must(t, f.Close())
	wantGood(t, begin(t, target, o), 0)
}

// TestOpenAndDiscardAtOnce: whoever removes a place just when another one takes
// it does not harm that.
func TestOpenAndDiscardAtOnce(t *testing.T) {
	dir := t.TempDir()
	o := Options{ID: idA, Size: 1}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for got := 0; got < 20; {
				f, err := Open(filepath.Join(dir, "file"), o)
				if errors.Is(err, ErrInUse) {
					runtime.Gosched()
					continue
				}
				if err == nil {
					err = errors.Join(f.Put(0, pieceOf(f, 0)), f.Sync())
				}
				if err == nil && !Exists(filepath.Join(dir, "file")) {
					err = errors.New("somebody removed it")
				}
				if err == nil {
					err = f.Discard()
				}
				if err != nil {
					t.Error(err)
					return
				}
				got++
			}
		})
	}
	all.Wait()
	wantNames(t, dir)
}

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

// TestCommitRace: of many that commit to one target, through different places,
// exactly one gets it. Hard links to one directory stand for those places.
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

func TestLinkedDirectory(t *testing.T) {
	parent := t.TempDir()
	must(t, os.Mkdir(filepath.Join(parent, "real"), 0o700))
	must(t, os.Symlink("real", filepath.Join(parent, "link")))
	o := Options{ID: idA, Size: 10}
	f := begin(t, filepath.Join(parent, "link", "file"), o)
	put(t, f, 0)
	must(t, f.Close())
	f = begin(t, filepath.Join(parent, "real", "file"), o) // the same place
	wantGood(t, f, 0)

	// The directory is held, not looked up again.
	must(t, os.Rename(filepath.Join(parent, "real"), filepath.Join(parent, "moved")))
	must(t, os.Mkdir(filepath.Join(parent, "real"), 0o700))
	must(t, f.Commit())
	wantNames(t, filepath.Join(parent, "moved"), "file")
	wantNames(t, filepath.Join(parent, "real"))
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
	truncate(recordName, 0)(t, filepath.Join(dir, hiddenName("file")))
	o.Force = true
	f = begin(t, target, o)
	wantGood(t, f)
	must(t, f.Write(0, []byte("wrong"), 0))
	wantContent(t, target, contentAt(idA, 0, 10))
	must(t, f.Discard())
	wantNames(t, dir, "file")
}

func TestReadAt(t *testing.T) {
	o := Options{ID: idA, Size: 3*tree.PieceSize + 10}
	f := begin(t, filepath.Join(t.TempDir(), "file"), o)
	put(t, f, 1, 3)
	must(t, f.Write(0, pieceOf(f, 0), 0)) // not done
	for name, tc := range map[string]struct {
		offset int64
		len    int
		want   int
		err    error
	}{
		"in a piece":      {tree.PieceSize + 5, 100, 100, nil},
		"all of it":       {tree.PieceSize, tree.PieceSize, tree.PieceSize, nil},
		"into a missing":  {tree.PieceSize, tree.PieceSize + 1, 0, lonja.NoSuchFile},
		"from a missing":  {tree.PieceSize - 1, 2, 0, lonja.NoSuchFile},
		"written only":    {0, 1, 0, lonja.NoSuchFile},
		"the last one":    {3 * tree.PieceSize, 10, 10, nil},
		"over the end":    {3*tree.PieceSize + 4, 10, 6, io.EOF},
		"at the end":      {3*tree.PieceSize + 10, 1, 0, io.EOF},
		"nothing":         {3*tree.PieceSize + 4, 0, 0, nil},
		"before the file": {-1, 1, 0, lonja.Internal},
	} {
		b := make([]byte, tc.len)
		n, err := f.ReadAt(b, tc.offset)
		if n != tc.want || !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
			t.Errorf("%s: got %d, %v; want %d, %v", name, n, err, tc.want, tc.err)
		} else if !bytes.Equal(b[:n], contentAt(idA, max(0, tc.offset), int64(n))) {
			t.Errorf("%s: got other bytes", name)
		}
	}
	must(t, f.Close())
	_, err := f.ReadAt(make([]byte, 1), tree.PieceSize)
	wantKind(t, err, lonja.NoSuchFile, fs.ErrClosed, "file")
}

func TestWriteRefuses(t *testing.T) {
	f := begin(t, filepath.Join(t.TempDir(), "file"), Options{ID: idA, Size: 2*tree.PieceSize + 10})
	put(t, f, 0)
	one := []byte{1}
	for name, err := range map[string]error{
		"no such piece":     f.Write(3, one, 0),
		"negative piece":    f.Write(-1, one, 0),
		"negative offset":   f.Write(1, one, -1),
		"over the end":      f.Write(1, one, tree.PieceSize),
		"over the last end": f.Write(2, one, 10),
		"done, no piece":    f.Done(3),
		"done, not written": f.Done(1),
		"put, no piece":     f.Put(3, one),
		"put, wrong length": f.Put(2, one),
		"commit, missing":   f.Commit(),
	} {
		if !errors.Is(err, lonja.Internal) {
			t.Errorf("%s: error is %v, want kind %v", name, err, lonja.Internal)
		}
	}
	wantKind(t, f.Write(0, one, 0), lonja.Conflict, ErrGood, "piece 0")
	must(t, f.Done(0))
	must(t, f.Put(0, make([]byte, tree.PieceSize))) // writes nothing
	wantGood(t, f, 0)
	must(t, f.Close())
	wantKind(t, f.Write(1, one, 0), lonja.LocalFile, fs.ErrClosed, "file")
}

// TestPutAgainstWriters: while others write anything to a piece, Put makes it
// what it should be, and it stays that.
func TestPutAgainstWriters(t *testing.T) {
	const pieces = 8
	f := begin(t, filepath.Join(t.TempDir(), "file"), Options{ID: idA, Size: pieces * tree.PieceSize})
	for p := range int64(pieces) {
		var all sync.WaitGroup
		started := make(chan struct{})
		for range 3 {
			all.Go(func() {
				wrong := make([]byte, 64<<10)
				for i := 0; ; i++ {
					err := f.Write(p, wrong, i%16*len(wrong))
					if i == 3 {
						started <- struct{}{}
					}
					if errors.Is(err, ErrGood) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 3 {
			<-started
		}
		all.Go(func() { must(t, f.Put(p, pieceOf(f, p))) })
		all.Wait()
		checkGood(t, f)
	}
	must(t, f.Commit())
	checkGood(t, f)
}
