package hashing

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	other "lukechampine.com/blake3"

	"lonja"
	"lonja/internal/tree"
)

func random(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = rng.Read(b)
	return b
}

// fileOf returns an open file with this content.
func fileOf(t testing.TB, content []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// A sink is an outboard in memory.
type sink struct {
	mu sync.Mutex
	b  []byte
}

func (s *sink) WriteAt(p []byte, at int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if need := int(at) + len(p); need > len(s.b) {
		s.b = append(s.b, make([]byte, need-len(s.b))...)
	}
	return copy(s.b[at:], p), nil
}

func TestFile(t *testing.T) {
	const mib = tree.PieceSize
	for _, size := range []int{0, 1, readSize, mib - 1, mib, mib + 1, 5*mib + 12345, 33 * mib} {
		for _, workers := range []int{0, 1, 3, 50} {
			content := random(size)
			var outboard sink
			var told atomic.Int64
			f := fileOf(t, content)
			got, err := File(t.Context(), f, Options{Workers: workers, Outboard: &outboard, Progress: func(done int64) {
				for old := told.Load(); done > old && !told.CompareAndSwap(old, done); old = told.Load() {
				}
			}})
			if err != nil {
				t.Fatalf("%d bytes, %d workers: %v", size, workers, err)
			}
			if want := other.Sum256(content); got.ID != want {
				t.Errorf("%d bytes, %d workers: got %v, want %x", size, workers, got.ID, want)
			}
			if told.Load() != int64(size) || got.Stamp.Size != int64(size) {
				t.Errorf("%d bytes: told of %d, stamp %+v", size, told.Load(), got.Stamp)
			}
			tr, err := tree.ParseTree(outboard.b, got.ID)
			if err != nil {
				t.Fatalf("%d bytes: its outboard: %v", size, err)
			}
			for i := range tr.Pieces {
				if err := tr.Check(int64(i), content[i*mib:min(size, (i+1)*mib)]); err != nil {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
		}
	}
}

// Whatever happens to a file while it is read, its hash is not taken for that
// of what it was or became.
func TestFileThatChanges(t *testing.T) {
	for name, change := range map[string]func(f *os.File) error{
		"grows":          func(f *os.File) error { _, err := f.WriteAt([]byte("more"), 8<<20); return err },
		"becomes short":  func(f *os.File) error { return f.Truncate(10) },
		"is written to":  func(f *os.File) error { _, err := f.WriteAt([]byte("other"), 100); return err },
		"gets new times": func(f *os.File) error { return os.Chtimes(f.Name(), time.Time{}, time.Unix(1e9, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := fileOf(t, random(8<<20))
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(f.Name(), old, old); err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			_, err := File(t.Context(), f, Options{Progress: func(int64) {
				once.Do(func() {
					if err := change(f); err != nil {
						t.Error(err)
					}
				})
			}})
			if !errors.Is(err, lonja.Conflict) || !strings.Contains(err.Error(), f.Name()) {
				t.Errorf("got %v, want an error of kind Conflict that names the file", err)
			}
		})
	}
}

func TestFileCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := fileOf(t, random(20<<20))
	_, err := File(ctx, f, Options{Progress: func(int64) { cancel() }})
	if !errors.Is(err, lonja.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := File(t.Context(), dir, Options{}); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("a directory: %v, want LocalFile", err)
	}
	path := fileOf(t, random(3<<20)).Name()
	blind, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer blind.Close()
	if _, err := File(t.Context(), blind, Options{Workers: 2}); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("one not for reading: %v, want LocalFile", err)
	}
	if _, err := File(t.Context(), fileOf(t, random(3<<20)), Options{Outboard: fullSink{}}); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("no room for the outboard: %v, want LocalFile", err)
	}
}

type fullSink struct{}

func (fullSink) WriteAt([]byte, int64) (int, error) { return 0, errors.New("no room") }

// A file is hashed once, and again when it has changed.
func TestCacheID(t *testing.T) {
	c := NewCache(CacheOptions{})
	content := random(3 << 20)
	f := fileOf(t, content)
	old := time.Now().Add(-time.Hour)
	age := func(when time.Time) {
		if err := os.Chtimes(f.Name(), when, when); err != nil {
			t.Fatal(err)
		}
	}
	id := func() (lonja.FileID, bool) {
		hashed := false
		r, err := c.ID(t.Context(), f, Options{Progress: func(int64) { hashed = true }, Workers: 1}, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		return r.ID, hashed
	}
	age(old)
	for i, want := range []bool{true, false, false} {
		if got, hashed := id(); got != other.Sum256(content) || hashed != want {
			t.Errorf("time %d: id %v, hashed %v, want %v", i, got, hashed, want)
		}
	}
	content[5] ^= 1
	if _, err := f.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	// Just changed: another change in the same tick would not show, so it is
	// not remembered yet.
	for i := range 2 {
		if got, hashed := id(); got != other.Sum256(content) || !hashed {
			t.Errorf("changed, time %d: id %v, hashed %v", i, got, hashed)
		}
	}
	// Of the same time as before, as a copy has it: the time of its last change,
	// whose clock may go in steps, tells.
	age(old)
	before, err := StampOf(f)
	if err != nil {
		t.Fatal(err)
	}
	id()
	for now := before; now == before; now, _ = StampOf(f) {
		content[5] ^= 2
		if _, err := f.WriteAt(content[5:6], 5); err != nil {
			t.Fatal(err)
		}
		age(old)
	}
	if got, hashed := id(); got != other.Sum256(content) || !hashed {
		t.Errorf("with its old time: id %v, hashed %v", got, hashed)
	}
	age(old.Add(time.Nanosecond))
	id()
	if got, hashed := id(); got != other.Sum256(content) || hashed {
		t.Errorf("at rest: id %v, hashed %v", got, hashed)
	}
	if bytes.Equal(content, random(3<<20)) {
		t.Error("the content did not change")
	}
}
