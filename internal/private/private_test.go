package private_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lonja"
	"lonja/internal/private"
)

func locked(t *testing.T, path string) *private.Dir {
	t.Helper()
	d, err := private.Lock(path, private.Hidden)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	if _, err := private.Read(path, "f", private.Hidden); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: got error %v", err)
	}
	d := locked(t, path)
	if err := os.WriteFile(filepath.Join(path, "f.new"), []byte("left by a crash"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"longer than the next", "next", ""} {
		if err := d.Write("f", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Read("f"); err != nil || string(got) != content {
			t.Errorf("got %q, %v; want %q", got, err, content)
		}
		if got, err := private.Read(path, "f", private.Hidden); err != nil || string(got) != content {
			t.Errorf("got %q, %v; want %q", got, err, content)
		}
	}
	if err := d.Write("f", make([]byte, private.MaxSize+1)); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("too long: got error %v", err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o700 | fs.ModeDir, "f": 0o600} {
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Mode() != want {
			t.Errorf("%q: got %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if err := d.Rename("f", "g"); err != nil {
		t.Error(err)
	}
	if _, err := d.Read("f"); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, lonja.LocalFile) {
		t.Errorf("renamed: got error %v", err)
	}
}

// TestOpenRights: every right of others is refused, with what to type.
func TestOpenRights(t *testing.T) {
	path := t.TempDir()
	file := filepath.Join(path, "f")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(refused private.Rights) error { _, err := private.Read(path, "f", refused); return err }
	for bit := range 6 {
		mode := fs.FileMode(1) << bit
		chmod(t, path, 0o700)
		chmod(t, file, 0o600|mode)
		if err := read(private.Hidden); !errors.Is(err, lonja.LocalFile) || !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("file %v: got error %v", mode, err)
		}
		chmod(t, file, 0o600)
		chmod(t, path, 0o700|mode)
		if err := read(private.Hidden); !errors.Is(err, lonja.LocalFile) || !strings.Contains(err.Error(), "chmod 700 "+path) {
			t.Errorf("directory %v: got error %v", mode, err)
		}
		if d, err := private.Lock(path, private.Hidden); !errors.Is(err, lonja.LocalFile) {
			t.Errorf("lock, directory %v: got %v, error %v", mode, d, err)
			if err == nil {
				_ = d.Close() // the next one would wait for it
			}
		}
		if err := read(private.Fixed); (err != nil) != (mode&0o022 != 0) {
			t.Errorf("directory %v: got error %v", mode, err)
		}
	}
	chmod(t, path, 0o700)
	if err := read(private.Hidden); err != nil {
		t.Error(err)
	}
}

// TestOddFiles: what is no file is not read, nor waited for.
func TestOddFiles(t *testing.T) {
	path := t.TempDir()
	chmod(t, path, 0o700)
	if err := unix.Mkfifo(filepath.Join(path, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	large, err := os.OpenFile(filepath.Join(path, "large"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(large.Truncate(private.MaxSize+1), large.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fifo", "large"} {
		if _, err := private.Read(path, name, private.Hidden); !errors.Is(err, lonja.LocalFile) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.LocalFile)
		}
	}
}

// TestOneAtATime: changes that look first lose nothing.
func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir")
	const workers, rounds = 8, 10
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range rounds {
				if err := increment(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got, err := private.Read(path, "n", private.Hidden); string(got) != strconv.Itoa(workers*rounds) {
		t.Errorf("got %q, %v; want %d", got, err, workers*rounds)
	}
}

func increment(path string) error {
	d, err := private.Lock(path, private.Hidden)
	if err != nil {
		return err
	}
	defer d.Close()
	b, err := d.Read("n")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	n, _ := strconv.Atoi(string(b))
	return d.Write("n", []byte(fmt.Sprint(n+1)))
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
