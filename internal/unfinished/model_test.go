package unfinished

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/tree"
)

// TestAgainstModel: whatever happens to a download, in whichever order, what is
// good holds its bytes, what was synced stays good, and the target is never
// anything but whole.
func TestAgainstModel(t *testing.T) {
	parent := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(parent, "")
		must(rt, err)
		defer os.RemoveAll(dir)
		m := &model{dir: dir, target: filepath.Join(dir, "file"), done: roaring.New(), synced: roaring.New()}
		defer func() {
			if m.f != nil {
				m.f.abandon()
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"open": m.open, "tear": m.tear, "put": m.put, "sync": m.sync, "failing sync": m.failSync,
			"kill": m.kill, "close": m.close, "damage": m.damage, "commit": m.commit, "discard": m.discard,
			"remove target": m.removeTarget, "read": m.read, "": m.check,
		})
	})
}

type model struct {
	dir, target string
	f           *File // nil while none is open
	o           Options
	failing     bool
	done        *roaring.Bitmap // what may be good
	synced      *roaring.Bitmap // what must be
	appeared    lonja.FileID    // the content of the target, zero if there is none
}

// ready opens a File if none is.
func (m *model) ready(t *rapid.T) {
	if m.f == nil {
		m.open(t)
	}
	if m.f == nil {
		m.removeTarget(t)
		m.open(t)
	}
}

func (m *model) open(t *rapid.T) {
	if m.f != nil {
		m.close(t)
	}
	o := Options{
		ID:   rapid.SampledFrom([]lonja.FileID{idA, idA, idA, idB}).Draw(t, "id"),
		Size: rapid.SampledFrom([]int64{2*tree.PieceSize + 5, 2*tree.PieceSize + 5, 3 * tree.PieceSize}).Draw(t, "size"),

		testOnlySparse:   rapid.Bool().Draw(t, "sparse"),
		testOnlyNoRename: rapid.Bool().Draw(t, "linked"),
		Force:            rapid.Bool().Draw(t, "force"),
	}
	o.testOnlySync = func(data *os.File) error {
		if m.failing {
			return syscall.EIO
		}
		return data.Sync()
	}
	f, err := Open(m.target, o)
	if m.appeared != (lonja.FileID{}) && !o.Force {
		if !errors.Is(err, fs.ErrExist) {
			t.Fatalf("the target exists: Open: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if o.ID != m.o.ID || o.Size != m.o.Size {
		m.done, m.synced = roaring.New(), roaring.New()
	}
	m.f, m.o, m.failing = f, o, false
	m.done = m.checkBounds(t) // what is not good after a start is gone
	m.synced = m.done.Clone()
}

// checkBounds returns what is good, which is no less than what was synced and no
// more than what was done.
func (m *model) checkBounds(t *rapid.T) *roaring.Bitmap {
	good := m.f.Good()
	if missing := roaring.AndNot(m.synced, good); !missing.IsEmpty() {
		t.Fatalf("%v were synced and are lost; good are %v", missing, good)
	}
	if extra := roaring.AndNot(good, m.done); !extra.IsEmpty() {
		t.Fatalf("%v are good and were never done", extra)
	}
	return good
}

func (m *model) drawPiece(t *rapid.T) int64 {
	m.ready(t)
	return rapid.Int64Range(0, m.f.layout.Pieces()-1).Draw(t, "piece")
}

// tear leaves a piece that is not good half written, as a kill does.
func (m *model) tear(t *rapid.T) {
	p := m.drawPiece(t)
	wrong := rapid.SliceOfN(rapid.Byte(), 1, 5).Draw(t, "bytes")
	at := rapid.IntRange(0, m.f.layout.PieceLen(p)-len(wrong)).Draw(t, "offset")
	if !m.done.Contains(uint32(p)) {
		_, err := m.f.data.WriteAt(wrong, p*tree.PieceSize+int64(at))
		must(t, err)
	}
}

func (m *model) put(t *rapid.T) {
	p := m.drawPiece(t)
	must(t, m.f.Put(p, pieceOf(m.f, p)))
	m.done.Add(uint32(p))
}

func (m *model) sync(t *rapid.T) {
	m.ready(t)
	must(t, m.f.Sync())
	m.synced = m.done.Clone()
}

func (m *model) failSync(t *rapid.T) {
	m.ready(t)
	m.failing = true
	err := m.f.Sync()
	m.failing = false
	if (err != nil) != (!m.done.Equals(m.synced)) {
		t.Fatalf("done are %v, synced %v: %v", m.done, m.synced, err)
	}
	m.done = m.checkBounds(t)
}

func (m *model) kill(t *rapid.T) {
	m.ready(t)
	m.f.abandon()
	m.f = nil
}

func (m *model) close(t *rapid.T) {
	m.ready(t)
	must(t, m.f.Close())
	m.f, m.synced = nil, m.done.Clone()
}

func (m *model) discard(t *rapid.T) {
	m.ready(t)
	must(t, m.f.Discard())
	m.f, m.done, m.synced = nil, roaring.New(), roaring.New()
}

// damage changes the record while nobody has it: what was synced may be lost.
func (m *model) damage(t *rapid.T) {
	if m.f != nil {
		m.kill(t)
	}
	path := filepath.Join(m.dir, hiddenName("file"), recordName)
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return // there is none
	}
	at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	if rapid.Bool().Draw(t, "cut") {
		b = b[:at]
	} else {
		b[at] ^= rapid.ByteRange(1, 255).Draw(t, "bits")
	}
	must(t, os.WriteFile(path, b, 0o600))
	m.synced = roaring.New()
}

func (m *model) commit(t *rapid.T) {
	m.ready(t)
	err := m.f.Commit()
	switch {
	case m.done.GetCardinality() < uint64(m.f.layout.Pieces()):
		if !errors.Is(err, lonja.Internal) {
			t.Fatalf("commit with %v of %d pieces: %v", m.done, m.f.layout.Pieces(), err)
		}
	case m.appeared != lonja.FileID{} && !m.o.Force:
		if !errors.Is(err, fs.ErrExist) {
			t.Fatalf("commit to a target that exists: %v", err)
		}
	default:
		must(t, err)
		m.appeared = m.o.ID
		m.checkTarget(t, m.o.Size)
		must(t, m.f.Close())
		m.f, m.done, m.synced = nil, roaring.New(), roaring.New()
		return
	}
	m.synced = m.done.Clone() // in any case it is synced
}

func (m *model) checkTarget(t *rapid.T, size int64) {
	got, err := os.ReadFile(m.target)
	if err != nil || !bytes.Equal(got, contentAt(m.appeared, 0, size)) {
		t.Fatalf("the target is not what was committed (%v)", err)
	}
}

func (m *model) removeTarget(t *rapid.T) {
	if m.appeared == (lonja.FileID{}) {
		return
	}
	must(t, os.Remove(m.target))
	m.appeared = lonja.FileID{}
}

func (m *model) read(t *rapid.T) {
	m.ready(t)
	at := rapid.Int64Range(0, m.o.Size-1).Draw(t, "offset")
	n := rapid.Int64Range(1, m.o.Size-at).Draw(t, "length")
	good := true
	for p := at / tree.PieceSize; p <= (at+n-1)/tree.PieceSize; p++ {
		good = good && m.done.Contains(uint32(p))
	}
	b := make([]byte, n)
	got, err := m.f.ReadAt(b, at)
	if good && (err != nil || !bytes.Equal(b, contentAt(m.o.ID, at, n))) {
		t.Fatalf("read %d of %d good bytes at %d: %v", got, n, at, err)
	}
	if !good && !errors.Is(err, lonja.NoSuchFile) {
		t.Fatalf("read %d bytes at %d that are not good: %v", got, at, err)
	}
}

func (m *model) check(t *rapid.T) {
	if m.f != nil {
		if good := m.checkBounds(t); !good.Equals(m.done) {
			t.Fatalf("good are %v, want %v", good, m.done)
		}
		checkGood(t, m.f)
	}
	if _, err := os.Lstat(m.target); (err == nil) != (m.appeared != lonja.FileID{}) {
		t.Fatalf("the target: %v, want content %v", err, m.appeared)
	}
	entries, err := os.ReadDir(m.dir)
	must(t, err)
	for _, e := range entries {
		if e.Name() != "file" && e.Name() != hiddenName("file") {
			t.Fatalf("unexpected %q", e.Name())
		}
	}
}
