package unfinished

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/tree"
)

// A failer is a testing.TB or a rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// contentAt returns n bytes of the content of a file id, from offset on. Every
// piece of every content is another part of one long random text.
func contentAt(id lonja.FileID, offset, n int64) []byte {
	b := make([]byte, 0, n)
	for int64(len(b)) < n {
		piece, at := (offset+int64(len(b)))/tree.PieceSize, (offset+int64(len(b)))%tree.PieceSize
		begin := (piece*4_099 + int64(id[0])*65_539) % tree.PieceSize
		part := randomText()[begin+at : begin+tree.PieceSize]
		b = append(b, part[:min(int64(len(part)), n-int64(len(b)))]...)
	}
	return b
}

var randomText = sync.OnceValue(func() []byte {
	b := make([]byte, 2*tree.PieceSize)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // it never fails
	return b
})

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
	_ = f.retire(false)
}

func put(t testing.TB, f *File, pieces ...int64) {
	t.Helper()
	for _, p := range pieces {
		if err := f.Put(p, pieceOf(f, p)); err != nil {
			t.Fatalf("piece %d: %v", p, err)
		}
	}
}

// tear leaves a piece half written, as a kill does.
func tear(t testing.TB, f *File, piece int64) {
	t.Helper()
	_, err := f.data.WriteAt(make([]byte, 100), piece*tree.PieceSize)
	must(t, err)
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
func checkGood(t failer, f *File) {
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

func must(t failer, err error) {
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
		tear(t, f, 6)
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
