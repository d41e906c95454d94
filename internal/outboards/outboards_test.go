package outboards

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/hashing"
	"lonja/internal/tree"
)

const mib = tree.PieceSize

// A place is a Store in a directory of a test.
type place struct {
	*testing.T
	dir   string
	store *Store
}

func open(t *testing.T, opts Options) *place {
	p := &place{t, filepath.Join(t.TempDir(), "a", "b"), nil}
	p.store = New(p.dir, opts)
	t.Cleanup(func() { p.ok(p.store.Close()) })
	return p
}

func (p *place) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// write makes a file of so many bytes that are no other's, and returns its path,
// its id, and its outboard.
func (p *place) write(size int, seed byte) (path string, id lonja.FileID, outboard []byte) {
	p.Helper()
	path = filepath.Join(p.TempDir(), "file")
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content)
	p.ok(os.WriteFile(path, content, 0o600))
	f, err := os.Open(path)
	p.ok(err)
	defer f.Close()
	var sink sink
	held, err := hashing.File(p.Context(), f, hashing.Options{Outboard: &sink})
	p.ok(err)
	return path, held.ID, sink.b
}

// A sink is an outboard in memory.
type sink struct {
	mu sync.Mutex
	b  []byte
}

func (s *sink) WriteAt(p []byte, offset int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if end := int(offset) + len(p); end > len(s.b) {
		s.b = append(s.b, make([]byte, end-len(s.b))...)
	}
	return copy(s.b[offset:], p), nil
}

func opens(path string) func() (*os.File, error) {
	return func() (*os.File, error) { return os.Open(path) }
}

// reads fails the test unless r has that outboard, which it closes.
func (p *place) reads(r Reader, err error, want []byte) {
	p.Helper()
	p.ok(err)
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size))
	if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, want) {
		p.Errorf("got %d bytes (%v), want %d others", len(got), err, len(want))
	}
}

// What is there of which name, and for whose eyes.
func (p *place) files() (names []string) {
	p.Helper()
	entries, err := os.ReadDir(p.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		p.ok(err)
		if info.Mode() != 0o600 {
			p.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		names = append(names, e.Name())
	}
	return names
}

// keep makes the outboard of a file as publishing it does.
func (p *place) keep(path string) {
	p.Helper()
	draft, err := p.store.Draft()
	p.ok(err)
	f, err := os.Open(path)
	p.ok(err)
	defer f.Close()
	held, err := hashing.File(p.Context(), f, hashing.Options{Outboard: draft})
	p.ok(err)
	p.ok(draft.Keep(held.ID, held.Stamp.Size))
}

// What was kept is found, by this Store and by the next one, and what was not is
// made, once.
func TestGet(t *testing.T) {
	p := open(t, Options{})
	kept, keptID, keptBoard := p.write(3*mib+5, 1)
	made, madeID, madeBoard := p.write(4*mib, 2)
	p.keep(kept)
	never := func() (*os.File, error) { return nil, errors.New("it is hashed again") }
	r, err := p.store.Get(t.Context(), keptID, never)
	p.reads(r, err, keptBoard)
	_, err = p.store.Find(madeID)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	r, err = p.store.Get(t.Context(), madeID, opens(made))
	p.reads(r, err, madeBoard)
	other := New(p.dir, Options{})
	defer other.Close()
	for _, s := range []*Store{p.store, other, other} {
		r, err = s.Get(t.Context(), madeID, never)
		p.reads(r, err, madeBoard)
	}
	if info, err := os.Stat(p.dir); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("the directory: %v, %v", info.Mode(), err)
	}
	if got := p.files(); len(got) != 2 {
		t.Errorf("there are %q", got)
	}
}

// An outboard of two levels of pages is checked on both.
func TestTwoLevels(t *testing.T) {
	p := open(t, Options{})
	layout, err := tree.LayoutOf(3000 * mib)
	p.ok(err)
	made := tree.Tree{Size: layout.Size(), Pieces: make([]tree.Hash, layout.Pieces())}
	for i := range made.Pieces {
		made.Pieces[i] = tree.Hash{byte(i), byte(i >> 8)}
	}
	id := lonja.FileID(tree.Join(made.Pieces, true))
	board, err := made.AppendBinary(nil)
	p.ok(err)
	keep := func(board []byte) {
		draft, err := p.store.Draft()
		p.ok(err)
		_, err = draft.WriteAt(board, 0)
		p.ok(err)
		p.ok(draft.Keep(id, layout.Size()))
	}
	keep(board)
	r, err := p.store.Find(id)
	p.reads(r, err, board)
	for level := range layout.Levels() {
		at := layout.Offset(tree.Page{Level: level, Index: layout.Pages(level) - 1})
		board[at] ^= 1
		keep(board)
		board[at] ^= 1
		if _, err := p.store.Find(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("level %d: %v", level, err)
		}
	}
}

// A content of one piece has no outboard, and a draft that is dropped leaves none.
func TestNothingIsKept(t *testing.T) {
	p := open(t, Options{})
	path, _, _ := p.write(mib, 1)
	p.keep(path)
	draft, err := p.store.Draft()
	p.ok(err)
	draft.Drop()
	if got := p.files(); len(got) > 0 {
		t.Errorf("there are %q", got)
	}
}

// Whatever becomes of an outboard on the disk, a false one is never read: it is
// made anew.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(path string, b []byte) error{
		"a bit":       func(path string, b []byte) error { b[len(b)-1] ^= 1; return os.WriteFile(path, b, 0o600) },
		"the size":    func(path string, b []byte) error { b[5] ^= 1; return os.WriteFile(path, b, 0o600) },
		"cut":         func(path string, b []byte) error { return os.WriteFile(path, b[:len(b)-1], 0o600) },
		"empty":       func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) },
		"longer":      func(path string, b []byte) error { return os.WriteFile(path, append(b, 0), 0o600) },
		"of another":  func(path string, b []byte) error { return os.WriteFile(path, make([]byte, len(b)), 0o600) },
		"a directory": func(path string, _ []byte) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, Options{})
			path, id, board := p.write(5*mib, 1)
			p.keep(path)
			p.ok(damage(p.store.path(id), bytes.Clone(board)))
			_, err := p.store.Find(id)
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("found: %v", err)
			}
			r, err := p.store.Get(t.Context(), id, opens(path))
			p.reads(r, err, board)
		})
	}
}

// A file that is not what it was has no outboard of what it was.
func TestAnotherContent(t *testing.T) {
	p := open(t, Options{})
	path, _, _ := p.write(2*mib, 1)
	_, id, _ := p.write(2*mib, 2)
	_, err := p.store.Get(t.Context(), id, opens(path))
	if !errors.Is(err, lonja.Conflict) {
		t.Errorf("got %v", err)
	}
	_, err = p.store.Get(t.Context(), id, opens(filepath.Join(t.TempDir(), "none")))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if got := p.files(); len(got) > 0 {
		t.Errorf("there are %q", got)
	}
}

// A gate holds up who opens a file until it is opened.
type gate struct {
	path  string
	came  chan struct{}
	opens chan struct{}
}

func newGate(path string) *gate { return &gate{path, make(chan struct{}, 100), make(chan struct{})} }

func (g *gate) open() (*os.File, error) {
	g.came <- struct{}{}
	<-g.opens
	return os.Open(g.path)
}

// However many ask, each file is hashed once, one at a time; who has waited long
// is sent away, and when it comes back it is done. So is who comes when too many
// files wait.
func TestOneAtATime(t *testing.T) {
	p := open(t, Options{MaxJobs: 2, Patience: 20 * time.Millisecond})
	pathA, a, boardA := p.write(2*mib, 1)
	pathB, b, boardB := p.write(2*mib, 2)
	_, c, _ := p.write(2*mib, 3)
	gateA, gateB := newGate(pathA), newGate(pathB)
	limited := func(id lonja.FileID, open func() (*os.File, error)) {
		t.Helper()
		if _, err := p.store.Get(t.Context(), id, open); !errors.Is(err, lonja.Limited) {
			t.Errorf("got %v", err)
		}
	}
	limited(a, gateA.open)
	<-gateA.came
	limited(b, gateB.open)
	limited(c, nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := p.store.Get(gone, a, gateA.open); !errors.Is(err, lonja.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(gateA.came) != 0 || len(gateB.came) != 0 {
		t.Errorf("opened: %d, %d times more", len(gateA.came), len(gateB.came))
	}
	close(gateB.opens)
	close(gateA.opens)
	for id, board := range map[lonja.FileID][]byte{a: boardA, b: boardB} {
		late := time.Now().Add(30 * time.Second)
		r, err := p.store.Get(t.Context(), id, nil)
		for errors.Is(err, lonja.Limited) && time.Now().Before(late) {
			r, err = p.store.Get(t.Context(), id, nil)
		}
		p.reads(r, err, board)
	}
	if len(gateA.came) != 0 || len(gateB.came) != 1 {
		t.Errorf("opened: %d, %d times more", len(gateA.came), len(gateB.came))
	}
}

// Close ends the hashing, waits for it, and lets nobody wait.
func TestClose(t *testing.T) {
	p := open(t, Options{Patience: time.Hour})
	path, id, _ := p.write(2*mib, 1)
	gate := newGate(path)
	got := make(chan error)
	for range 3 {
		go func() {
			_, err := p.store.Get(context.Background(), id, gate.open)
			got <- err
		}()
	}
	<-gate.came
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = p.store.Close()
	}()
	<-p.store.jobs.ctx.Done()
	close(gate.opens)
	<-closed
	for range 3 {
		if err := <-got; !errors.Is(err, lonja.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := p.store.Get(t.Context(), id, gate.open); !errors.Is(err, lonja.Canceled) {
		t.Errorf("afterwards: %v", err)
	}
	if got := p.files(); len(got) > 0 {
		t.Errorf("there are %q", got)
	}
}

// The directory stays within its bound; what is used stays, and what a crash has
// left goes.
func TestBound(t *testing.T) {
	p := open(t, Options{MaxBytes: 10 * block})
	path, used, board := p.write(2*mib, 1)
	p.keep(path)
	left := filepath.Join(p.dir, newPrefix+"left")
	p.ok(os.WriteFile(left, nil, 0o600))
	long := time.Now().Add(-2 * forgotten)
	p.ok(os.Chtimes(left, long, long))
	old := time.Now().Add(-2 * usedAgain)
	never, unused, _ := p.write(2*mib, 2)
	p.keep(never)
	p.ok(os.Chtimes(p.store.path(unused), old.Add(time.Minute), old.Add(time.Minute)))
	for seed := range byte(30) {
		path, id, _ := p.write(2*mib, 10+seed)
		p.keep(path)
		if got := p.files(); len(got) > 10 {
			t.Fatalf("there are %d files", len(got))
		}
		r, err := p.store.Find(id)
		p.ok(err)
		p.ok(r.Close())
		if seed == 7 { // from the oldest to the latest
			p.ok(os.Chtimes(p.store.path(used), old, old))
			r, err := p.store.Find(used)
			p.reads(r, err, board)
		}
		if seed == 8 { // the first that is one too many
			if _, err := p.store.Find(unused); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was not used: %v", err)
			}
			r, err := p.store.Find(used)
			p.reads(r, err, board)
		}
	}
	for _, name := range p.files() {
		if strings.HasPrefix(name, newPrefix) {
			t.Errorf("%s is there still", name)
		}
	}
}

// A disk that takes nothing is no trouble for the hashing of a file.
func TestDraftThatCannotBeWritten(t *testing.T) {
	p := open(t, Options{})
	path, id, _ := p.write(2*mib, 1)
	draft, err := p.store.Draft()
	p.ok(err)
	p.ok(draft.file.Close())
	f, err := os.Open(path)
	p.ok(err)
	defer f.Close()
	held, err := hashing.File(t.Context(), f, hashing.Options{Outboard: draft})
	if err != nil || held.ID != id {
		t.Errorf("hashed: %v, %v", held.ID, err)
	}
	if err := draft.Keep(held.ID, held.Stamp.Size); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("kept: %v", err)
	}
	if got := p.files(); len(got) > 0 {
		t.Errorf("there are %q", got)
	}
	p.ok(os.WriteFile(filepath.Join(p.dir, "..", "c"), nil, 0o600))
	nowhere := New(filepath.Join(p.dir, "..", "c"), Options{})
	defer nowhere.Close()
	if _, err := nowhere.Draft(); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := nowhere.Get(t.Context(), id, opens(path)); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("no directory: %v", err)
	}
}
