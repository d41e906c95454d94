package share

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lonja"
)

func TestOpenLocal(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(in("file"), []byte("content"), 0o600),
		os.WriteFile(filepath.Join(elsewhere, "file"), []byte("content"), 0o600),
		os.Symlink("file", in("link")),
		os.Symlink(filepath.Join(elsewhere, "file"), in("out")),
		os.Symlink(elsewhere, in("to-dir")),
		syscall.Mkfifo(in("fifo"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{in("file"), in("link"), in("to-dir/file")} {
		f, err := OpenLocal(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if b, err := io.ReadAll(f); err != nil || string(b) != "content" {
			t.Errorf("%s: got %q (%v)", path, b, err)
		}
		_ = f.Close()
	}
	for _, path := range []string{
		in("none"), in("out"), in("fifo"), dir, dir + "/", os.DevNull, "file", "", dir + "/x/../file", in("a\x1b"),
	} {
		f, err := OpenLocal(path)
		if err == nil {
			_ = f.Close()
		}
		if !errors.Is(err, lonja.Invalid) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v, want an error of kind Invalid that can be shown", path, err)
		}
	}
}
