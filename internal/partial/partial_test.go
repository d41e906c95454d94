package partial

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lonja"
)

// eachWay runs a test with unnamed files, where the system has them, and with
// hidden ones.
func eachWay(t *testing.T, test func(t *testing.T, opts Options)) {
	t.Run("default", func(t *testing.T) { test(t, Options{}) })
	t.Run("hidden", func(t *testing.T) { test(t, Options{testOnlyHidden: true}) })
	t.Run("synced", func(t *testing.T) { test(t, Options{Sync: true}) })
}

// begin creates a partial file that holds content.
func begin(t *testing.T, target, content string, opts Options) *File {
	t.Helper()
	f, err := Create(target, opts)
	if err != nil {
		t.Fatalf("Create(%q): %v", target, err)
	}
	t.Cleanup(f.Abort)
	h, err := f.Handle(0)
	if err != nil {
		t.Fatalf("Handle: %v", err)
	}
	defer h.Close()
	if _, err := h.WriteString(content); err != nil {
		t.Fatalf("write: %v", err)
	}
	return f
}

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// wantDir fails unless dir holds exactly these files, given as name, content.
func wantDir(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Name(), string(content))
	}
	if strings.Join(got, "\x00") != strings.Join(want, "\x00") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func commit(t *testing.T, f *File) {
	t.Helper()
	if err := f.Commit(); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func TestCommitMakesTheFile(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		dir := t.TempDir()
		f := begin(t, filepath.Join(dir, "new"), "content", opts)
		if _, err := os.Lstat(filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the target exists before Commit: %v", err)
		}
		commit(t, f)
		wantDir(t, dir, "new", "content")

		umask := syscall.Umask(0)
		syscall.Umask(umask)
		info, err := os.Stat(filepath.Join(dir, "new"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := info.Mode().Perm(), 0o666&^fs.FileMode(umask); got != want {
			t.Errorf("mode is %v, want %v", got, want)
		}
	})
}

func TestCommitReplacesAFile(t *testing.T) {
	for _, mode := range []fs.FileMode{0o640, 0o444, 0o755, 0} {
		t.Run(mode.String(), func(t *testing.T) {
			eachWay(t, func(t *testing.T, opts Options) {
				dir := t.TempDir()
				target := filepath.Join(dir, "file")
				write(t, target, "old and longer", mode)
				f := begin(t, target, "new", opts)
				if got, _ := os.ReadFile(target); string(got) != "old and longer" {
					t.Errorf("before Commit the target holds %q", got)
				}
				if info, err := f.data.Stat(); err != nil || info.Mode().Perm()&^mode&^0o600 != 0 {
					t.Errorf("before Commit its mode is %v (%v), wider than %v", info.Mode(), err, mode)
				}
				commit(t, f)
				wantDir(t, dir, "file", "new")
				if info, err := os.Stat(target); err != nil || info.Mode() != mode {
					t.Errorf("mode is %v (%v), want %v", info.Mode(), err, mode)
				}
			})
		})
	}
}

func TestCommitReplacesALinkNotWhatItPointsTo(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		dir, elsewhere := t.TempDir(), t.TempDir()
		write(t, filepath.Join(elsewhere, "file"), "mine", 0o600)
		for name, to := range map[string]string{"link": filepath.Join(elsewhere, "file"), "dangling": "nothing"} {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			commit(t, begin(t, filepath.Join(dir, name), "new", opts))
			if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
				t.Errorf("%s is %v (%v), want a regular file", name, info.Mode(), err)
			}
		}
		wantDir(t, dir, "dangling", "new", "link", "new")
		wantDir(t, elsewhere, "file", "mine")
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		dir := t.TempDir()
		begin(t, filepath.Join(dir, "new"), "content", opts).Abort()
		wantDir(t, dir)

		write(t, filepath.Join(dir, "old"), "old", 0o600)
		f := begin(t, filepath.Join(dir, "old"), "content", opts)
		f.Abort()
		f.Abort()
		wantDir(t, dir, "old", "old")
		if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Commit after Abort: %v, want %v", err, fs.ErrClosed)
		}
		wantDir(t, dir, "old", "old")
	})
}

func TestAbortAfterCommitDoesNothing(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		dir := t.TempDir()
		f := begin(t, filepath.Join(dir, "new"), "content", opts)
		commit(t, f)
		f.Abort()
		wantDir(t, dir, "new", "content")
	})
}

// Somebody else may change the target's name while the file grows.
func TestTargetChangesMeanwhile(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		t.Run("appears", func(t *testing.T) {
			dir := t.TempDir()
			f := begin(t, filepath.Join(dir, "file"), "new", opts)
			write(t, filepath.Join(dir, "file"), "other", 0o600)
			commit(t, f)
			wantDir(t, dir, "file", "new")
		})
		t.Run("becomes a directory", func(t *testing.T) {
			dir := t.TempDir()
			f := begin(t, filepath.Join(dir, "file"), "new", opts)
			if err := os.Mkdir(filepath.Join(dir, "file"), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "file", "inner"), "inner", 0o600)
			if err := f.Commit(); !errors.Is(err, lonja.LocalFile) {
				t.Errorf("Commit: %v, want an error of kind LocalFile", err)
			}
			wantDir(t, filepath.Join(dir, "file"), "inner", "inner")
			if err := os.RemoveAll(filepath.Join(dir, "file")); err != nil {
				t.Fatal(err)
			}
			wantDir(t, dir)
		})
	})
}

// The directory is held, not looked up again: what is put in its place while
// the file grows gets nothing.
func TestDirectoryReplacedMeanwhile(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		parent, elsewhere := t.TempDir(), t.TempDir()
		dir, moved := filepath.Join(parent, "dir"), filepath.Join(parent, "moved")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f := begin(t, filepath.Join(dir, "file"), "content", opts)
		if err := errors.Join(os.Rename(dir, moved), os.Symlink(elsewhere, dir)); err != nil {
			t.Fatal(err)
		}
		commit(t, f)
		wantDir(t, moved, "file", "content")
		wantDir(t, elsewhere)
	})
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, in("file"), "", 0o600)
	if err := errors.Join(
		os.Mkdir(in("dir"), 0o700),
		syscall.Mkfifo(in("fifo"), 0o600),
		os.Symlink("dir", in("to-dir")),
		os.Symlink(os.DevNull, in("to-device")),
	); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		target string
		cause  error
		text   string
	}{
		"no directory":         {in("none/file"), fs.ErrNotExist, "no such file or directory"},
		"directory is a file":  {in("file/file"), syscall.ENOTDIR, "not a directory"},
		"directory is a FIFO":  {in("fifo/file"), syscall.ENOTDIR, "not a directory"},
		"a directory":          {in("dir"), nil, "it is a directory"},
		"final slash":          {in("dir") + "/", nil, "it names a directory"},
		"final slash on file":  {in("file") + "/", nil, "it names a directory"},
		"dot":                  {".", nil, "it names a directory"},
		"dot dot":              {in("dir") + "/..", nil, "it names a directory"},
		"empty":                {"", nil, "it names a directory"},
		"link to a directory":  {in("to-dir"), nil, "it is a directory"},
		"link to a device":     {in("to-device"), nil, "it is not a regular file"},
		"a FIFO":               {in("fifo"), nil, "it is not a regular file"},
		"a device":             {os.DevNull, nil, "it is not a regular file"},
		"name too long":        {in(strings.Repeat("n", 256)), syscall.ENAMETOOLONG, "file name too long"},
		"control in the name":  {in("no\x1b/file"), fs.ErrNotExist, "no\uFFFD/file: no such file"},
		"NUL in the name":      {in("a\x00b"), nil, "invalid argument"},
		"directory not for us": {"/sys/lonja-test", nil, "/sys/lonja-test"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Create(tc.target, Options{})
			if err == nil {
				f.Abort()
				t.Fatal("Create succeeded")
			}
			if !errors.Is(err, lonja.LocalFile) {
				t.Errorf("error %v is not of kind LocalFile", err)
			}
			if tc.cause != nil && !errors.Is(err, tc.cause) {
				t.Errorf("error %v has not the cause %v", err, tc.cause)
			}
			if !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error says %q, want %q in it", err, tc.text)
			}
		})
	}
}

// The longest name that a file system takes leaves no room for a suffix.
func TestLongestName(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		dir := t.TempDir()
		name := strings.Repeat("n", 255)
		write(t, filepath.Join(dir, name), "old", 0o600)
		commit(t, begin(t, filepath.Join(dir, name), "new", opts))
		wantDir(t, dir, name, "new")
	})
}

func TestHandlesWriteSideBySide(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		const parts, each = 16, 10_000
		dir := t.TempDir()
		f := begin(t, filepath.Join(dir, "file"), "", opts)
		var wg sync.WaitGroup
		for i := range parts {
			wg.Go(func() {
				h, err := f.Handle(int64(i * each))
				if err != nil {
					t.Errorf("Handle: %v", err)
					return
				}
				defer h.Close()
				for range each / 100 {
					if _, err := h.Write(bytes.Repeat([]byte{byte('a' + i)}, 100)); err != nil {
						t.Errorf("write: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if err := f.Truncate(parts*each - 1); err != nil {
			t.Fatal(err)
		}
		commit(t, f)
		var want strings.Builder
		for i := range parts {
			want.WriteString(strings.Repeat(string(rune('a'+i)), each))
		}
		wantDir(t, dir, "file", want.String()[:parts*each-1])
	})
}

func TestScratchIsApartAndInvisible(t *testing.T) {
	eachWay(t, func(t *testing.T, opts Options) {
		dir := t.TempDir()
		f := begin(t, filepath.Join(dir, "file"), "content", opts)
		scratch, err := f.Scratch()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := scratch.WriteString("scratch"); err != nil {
			t.Fatal(err)
		}
		commit(t, f)
		wantDir(t, dir, "file", "content")
		got := make([]byte, len("scratch"))
		if _, err := scratch.ReadAt(got, 0); err != nil || string(got) != "scratch" {
			t.Errorf("scratch holds %q (%v)", got, err)
		}
		if err := scratch.Close(); err != nil {
			t.Error(err)
		}
	})
}
