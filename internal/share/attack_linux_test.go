package share

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lonja"
)

// listen makes a Unix socket. Its path may be longer than such sockets take,
// so it is made under a short name and moved.
func listen(t *testing.T, path string) string {
	t.Helper()
	short, err := os.MkdirTemp("", "lonja")
	must(t, err)
	defer os.RemoveAll(short)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, "s"), Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	t.Cleanup(func() { _ = l.Close() })
	must(t, os.Rename(filepath.Join(short, "s"), path))
	return path
}

// A yard is what the attacks play in: dir/file is published, secret is not.
type yard struct{ parent, dir, file, secretDir, secret string }

func newYard(t *testing.T) yard {
	t.Helper()
	parent := realTempDir(t)
	y := yard{
		parent: parent, dir: filepath.Join(parent, "dir"), secretDir: filepath.Join(parent, "secrets"),
		file: filepath.Join(parent, "dir", "file"), secret: filepath.Join(parent, "secrets", "file"),
	}
	must(t, os.Mkdir(y.dir, 0o700))
	must(t, os.Mkdir(y.secretDir, 0o700))
	write(t, y.file, "published")
	write(t, y.secret, "secret")
	return y
}

// Whatever takes the place of a published file or of its directory is not
// served, and never makes Open wait.
func TestExchangedAfterPublishing(t *testing.T) {
	for name, attack := range map[string]func(t *testing.T, y yard){
		"gone": func(t *testing.T, y yard) { must(t, os.Remove(y.file)) },
		"absolute link out": func(t *testing.T, y yard) {
			must(t, os.Remove(y.file))
			must(t, os.Symlink(y.secret, y.file))
		},
		"relative link out": func(t *testing.T, y yard) {
			must(t, os.Remove(y.file))
			must(t, os.Symlink("../secrets/file", y.file))
		},
		"link through a link out": func(t *testing.T, y yard) {
			must(t, os.Remove(y.file))
			must(t, os.Symlink(y.secretDir, filepath.Join(y.dir, "sub")))
			must(t, os.Symlink("sub/file", y.file))
		},
		"FIFO": func(t *testing.T, y yard) {
			must(t, os.Remove(y.file))
			must(t, syscall.Mkfifo(y.file, 0o600))
		},
		"directory": func(t *testing.T, y yard) {
			must(t, os.Remove(y.file))
			must(t, os.Mkdir(y.file, 0o700))
		},
		"socket": func(t *testing.T, y yard) {
			must(t, os.Remove(y.file))
			listen(t, y.file)
		},
		"link to a device": func(t *testing.T, y yard) {
			must(t, os.Remove(y.file))
			must(t, os.Symlink("/dev/zero", y.file))
		},
		"directory gone": func(t *testing.T, y yard) { must(t, os.RemoveAll(y.dir)) },
		"directory is a link": func(t *testing.T, y yard) {
			must(t, os.RemoveAll(y.dir))
			must(t, os.Symlink(y.secretDir, y.dir))
		},
		"directory moved, a link left": func(t *testing.T, y yard) {
			must(t, os.Rename(y.dir, y.dir+"2"))
			must(t, os.Symlink("dir2", y.dir))
		},
		"directory is a file": func(t *testing.T, y yard) {
			must(t, os.RemoveAll(y.dir))
			write(t, y.dir, "")
		},
		"directory is a FIFO": func(t *testing.T, y yard) {
			must(t, os.RemoveAll(y.dir))
			must(t, syscall.Mkfifo(y.dir, 0o600))
		},
		"parent is a link": func(t *testing.T, y yard) {
			moved := y.parent + "-moved"
			must(t, os.Rename(y.parent, moved))
			t.Cleanup(func() { _ = os.RemoveAll(moved) })
			must(t, os.Symlink(moved, y.parent))
		},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			s := New()
			name := publish(t, s, y.file)
			wantContent(t, s, name, "published")
			attack(t, y)
			wantNoSuchFile(t, s, name)
		})
	}
}

// A device in the file's own place, which only root could put there.
func TestDeviceIsNotServed(t *testing.T) {
	s := New()
	s.current = publications{"name": {place: place{dir: "/dev", base: "zero"}}}
	wantNoSuchFile(t, s, "name")
}

// While others exchange the file, or its directory, again and again, Open
// gives the published file or an error: never the secret, and never a wait.
func TestExchangedWhileOpening(t *testing.T) {
	for name, exchange := range map[string]func(y yard) error{
		"file and link": func(y yard) error {
			return errors.Join(
				os.Symlink(y.secret, y.file+".new"), os.Rename(y.file+".new", y.file),
				os.WriteFile(y.file+".new", []byte("published"), 0o600), os.Rename(y.file+".new", y.file))
		},
		"file and FIFO": func(y yard) error {
			return errors.Join(
				syscall.Mkfifo(y.file+".new", 0o600), os.Rename(y.file+".new", y.file),
				os.WriteFile(y.file+".new", []byte("published"), 0o600), os.Rename(y.file+".new", y.file))
		},
		"directory and link": func(y yard) error {
			return unix.Renameat2(unix.AT_FDCWD, y.dir, unix.AT_FDCWD, y.secretDir+"-link", unix.RENAME_EXCHANGE)
		},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			must(t, os.Symlink(y.secretDir, y.secretDir+"-link"))
			s := New()
			name := publish(t, s, y.file)
			var stop atomic.Bool
			done := make(chan error, 1)
			go func() {
				var err error
				for !stop.Load() && err == nil {
					err = exchange(y)
				}
				done <- err
			}()
			for range 2000 {
				if got, err := open(t, s, name); err == nil && got != "published" {
					t.Errorf("Open gave %q", got)
				} else if err != nil && !errors.Is(err, lonja.NoSuchFile) {
					t.Errorf("Open: %v, want an error of kind NoSuchFile", err)
				}
			}
			stop.Store(true)
			must(t, <-done)
		})
	}
}

func TestStatStraight(t *testing.T) {
	for name, stat := range map[string]func(string) (os.FileInfo, error){
		"of the system": statStraight,
		"stepwise":      statStepwise,
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			want, err := os.Lstat(y.dir)
			must(t, err)
			if got, err := stat(y.dir); err != nil || !os.SameFile(got, want) {
				t.Errorf("of a straight path: %v (%v)", got, err)
			}
			must(t, os.Symlink("dir", y.dir+"-link"))
			must(t, os.Symlink(y.parent, filepath.Join(y.secretDir, "up")))
			for _, bent := range []string{y.dir + "-link", filepath.Join(y.secretDir, "up", "dir")} {
				if _, err := stat(bent); !errors.Is(err, errMoved) {
					t.Errorf("of a path with a link: %v, want %v", err, errMoved)
				}
			}
			if _, err := stat(y.dir + "-none"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("of nothing: %v, want %v", err, os.ErrNotExist)
			}
		})
	}
}

// What is there but may not be read is told apart from what is not there.
func TestUnreadableIsOurTrouble(t *testing.T) {
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	y := newYard(t)
	s := New()
	name := publish(t, s, y.file)
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: limit.Max}))
	_, _, err := s.Open(name)
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	if !errors.Is(err, lonja.LocalFile) || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Open without a free handle: %v, want %v of kind LocalFile", err, syscall.EMFILE)
	}
}
