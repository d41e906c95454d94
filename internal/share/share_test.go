package share

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lonja"
)

// realTempDir is t.TempDir without symbolic links in it.
func realTempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// publish adds path under its own name, as the classic dialect does.
func publish(t *testing.T, s *Set, path string) lonja.FileName {
	t.Helper()
	must(t, s.Add(lonja.FileName(path), path))
	return lonja.FileName(path)
}

// open opens name and fails if that does not come back.
func open(t *testing.T, s *Set, name lonja.FileName) (string, error) {
	t.Helper()
	type result struct {
		content string
		err     error
	}
	results := make(chan result, 1)
	go func() {
		content, err := read(s, name)
		results <- result{content, err}
	}()
	select {
	case r := <-results:
		return r.content, r.err
	case <-time.After(20 * time.Second):
		t.Fatal("Open hangs")
		return "", nil
	}
}

func read(s *Set, name lonja.FileName) (string, error) {
	f, size, err := s.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if int64(len(b)) != size {
		return "", fmt.Errorf("Open told a size of %d, the file has %d", size, len(b))
	}
	return string(b), err
}

func wantContent(t *testing.T, s *Set, name lonja.FileName, want string) {
	t.Helper()
	if got, err := open(t, s, name); err != nil || got != want {
		t.Errorf("Open(%q) gives %q (%v), want %q", name, got, err, want)
	}
}

func wantNoSuchFile(t *testing.T, s *Set, name lonja.FileName) {
	t.Helper()
	if got, err := open(t, s, name); !errors.Is(err, lonja.NoSuchFile) {
		t.Errorf("Open(%q) gives %q (%v), want an error of kind NoSuchFile", name, got, err)
	}
}

func wantNames(t *testing.T, s *Set, want ...lonja.FileName) {
	t.Helper()
	if got := s.Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
}

func TestOnlyExactNamesOpen(t *testing.T) {
	dir := realTempDir(t)
	s := New()
	name := publish(t, s, write(t, filepath.Join(dir, "file"), "content"))
	write(t, filepath.Join(dir, "other"), "not published")

	wantContent(t, s, name, "content")
	for _, other := range []string{
		"", "file", dir, dir + "/", dir + "//file", dir + "/./file", dir + "/x/../file",
		dir + "/file/", dir + "/FILE", dir + "/file\x00", dir + "/other", "/etc/passwd", "../file",
	} {
		wantNoSuchFile(t, s, lonja.FileName(other))
	}
}

func TestNameNeedNotBeThePath(t *testing.T) {
	s := New()
	must(t, s.Add("photos/sea.jpg", write(t, filepath.Join(realTempDir(t), "IMG_1.jpg"), "sea")))
	wantContent(t, s, "photos/sea.jpg", "sea")
}

func TestAddAgainReplaces(t *testing.T) {
	dir := realTempDir(t)
	s := New()
	must(t, s.Add("name", write(t, filepath.Join(dir, "a"), "first")))
	must(t, s.Add("name", write(t, filepath.Join(dir, "b"), "second")))
	wantContent(t, s, "name", "second")
	wantNames(t, s, "name")
}

func TestRemoveAndClear(t *testing.T) {
	dir := realTempDir(t)
	s := New()
	a := publish(t, s, write(t, filepath.Join(dir, "a"), ""))
	b := publish(t, s, write(t, filepath.Join(dir, "b"), ""))
	c := publish(t, s, write(t, filepath.Join(dir, "c"), ""))
	wantNames(t, s, a, b, c)
	must(t, s.Remove(b))
	must(t, s.Remove("not there"))
	wantNames(t, s, a, c)
	wantNoSuchFile(t, s, b)
	if s.Contains(b) || !s.Contains(c) {
		t.Errorf("Contains(b), Contains(c) = %v, %v, want false, true", s.Contains(b), s.Contains(c))
	}
	must(t, s.Clear())
	wantNames(t, s)
	wantNoSuchFile(t, s, a)
}

func TestFileMayChangeItsContent(t *testing.T) {
	dir := realTempDir(t)
	s := New()
	name := publish(t, s, write(t, filepath.Join(dir, "file"), "old"))
	write(t, filepath.Join(dir, "new"), "new and longer")
	must(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "file")))
	wantContent(t, s, name, "new and longer")
}

// A directory given through a symbolic link is remembered by its real path.
func TestDirectoryBehindALink(t *testing.T) {
	dir := realTempDir(t)
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	must(t, os.Symlink("real", filepath.Join(dir, "link")))
	write(t, filepath.Join(dir, "real", "file"), "content")
	s := New()
	name := publish(t, s, filepath.Join(dir, "link", "file"))
	wantContent(t, s, name, "content")
	must(t, os.Remove(filepath.Join(dir, "link")))
	wantContent(t, s, name, "content")
}

func TestLinkBelowItsDirectoryIsServed(t *testing.T) {
	dir := realTempDir(t)
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	write(t, filepath.Join(dir, "beside"), "beside")
	write(t, filepath.Join(dir, "sub", "below"), "below")
	must(t, os.Symlink("beside", filepath.Join(dir, "a")))
	must(t, os.Symlink("sub/../sub/below", filepath.Join(dir, "b")))
	s := New()
	wantContent(t, s, publish(t, s, filepath.Join(dir, "a")), "beside")
	wantContent(t, s, publish(t, s, filepath.Join(dir, "b")), "below")
}

func TestAddRefuses(t *testing.T) {
	parent := realTempDir(t)
	in := func(name string) string { return filepath.Join(parent, "dir", name) }
	must(t, os.Mkdir(in(""), 0o700))
	write(t, in("file"), "content")
	secret := write(t, filepath.Join(parent, "secret"), "secret")
	must(t, syscall.Mkfifo(in("fifo"), 0o600))
	must(t, os.Symlink(secret, in("absolute-out")))
	must(t, os.Symlink("../secret", in("relative-out")))
	must(t, os.Symlink("fifo", in("to-fifo")))
	must(t, os.Symlink("nothing", in("dangling")))
	must(t, os.Symlink("loop", in("loop")))
	must(t, os.Symlink(os.DevNull, in("to-device")))
	socket := listen(t, in("socket"))

	for name, tc := range map[string]struct {
		name, path string
		cause      error // nil where os.Root does not export it
		text       string
	}{
		"missing":           {"", in("none"), fs.ErrNotExist, "no such file or directory"},
		"missing directory": {"", in("none/file"), fs.ErrNotExist, "no such file or directory"},
		"below a file":      {"", in("file/file"), syscall.ENOTDIR, "not a directory"},
		"directory":         {"", in(""), errNotRegular, "not a regular file"},
		"final slash":       {"", in("file") + "/", errNotRegular, "not a regular file"},
		"root":              {"", "/", errNotRegular, "not a regular file"},
		"FIFO":              {"", in("fifo"), errNotRegular, "not a regular file"},
		"below a FIFO":      {"", in("fifo/file"), syscall.ENOTDIR, "not a directory"},
		"socket":            {"", socket, errNotRegular, "not a regular file"},
		"device":            {"", os.DevNull, errNotRegular, "not a regular file"},
		"link to a device":  {"", in("to-device"), nil, "path escapes"},
		"link to a FIFO":    {"", in("to-fifo"), errNotRegular, "not a regular file"},
		"link out":          {"", in("absolute-out"), nil, "path escapes"},
		"link up and out":   {"", in("relative-out"), nil, "path escapes"},
		"dangling link":     {"", in("dangling"), fs.ErrNotExist, "no such file or directory"},
		"link to itself":    {"", in("loop"), nil, "symbolic links"},
		"dot dot in path":   {"name", parent + "/dir/../dir/file", errClimbs, `".." is not allowed`},
		"dot dot in name":   {"a/../b", in("file"), errClimbs, `".." is not allowed`},
		"dot dot, windows":  {`a\..\b`, in("file"), errClimbs, `".." is not allowed`},
		"relative":          {"", "file", errNotAbsolute, "not absolute"},
		"NUL":               {"", in("a\x00b"), nil, "invalid argument"},
		"told apart":        {"name", in("none"), fs.ErrNotExist, "publish: name: " + in("none") + ": no such"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.name == "" {
				tc.name = tc.path
			}
			s := New()
			err := s.Add(lonja.FileName(tc.name), tc.path)
			if !errors.Is(err, lonja.Invalid) {
				t.Fatalf("Add: %v, want an error of kind Invalid", err)
			}
			if tc.cause != nil && !errors.Is(err, tc.cause) {
				t.Errorf("Add: %v, want the cause %v", err, tc.cause)
			}
			if !strings.Contains(err.Error(), tc.text) {
				t.Errorf("Add says %q, want %q in it", err, tc.text)
			}
			wantNames(t, s)
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	dir := realTempDir(t)
	s := New()
	stays := publish(t, s, write(t, filepath.Join(dir, "stays"), "content"))
	var wg sync.WaitGroup
	for i := range 8 {
		path := write(t, filepath.Join(dir, fmt.Sprint(i)), "x")
		wg.Go(func() {
			for range 50 {
				if err := s.Add(lonja.FileName(path), path); err != nil {
					t.Error(err)
				}
				if got, err := read(s, stays); err != nil || got != "content" {
					t.Errorf("read %q (%v)", got, err)
				}
				if err := s.Remove(lonja.FileName(path)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantNames(t, s, stays)
}
