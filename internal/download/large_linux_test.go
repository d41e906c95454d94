//go:build interop

package download

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"lonja"
	"lonja/internal/upload"
)

// A file of more than 4 GiB comes whole, both ways. It is zeros but for a few
// marks, so that only the copies take space, one after the other.
func TestMoreThan4GiB(t *testing.T) {
	const size = 4<<30 + 5
	marks := map[int64]string{0: "x begin", size/3 - 3: "across", 1<<32 - 2: "wrap", size - 3: "end"}
	path := filepath.Join(t.TempDir(), "file")
	writeMarks(t, path, size, marks)
	holders := []lonja.Holder{
		serveFile(t, path, upload.Options{}), serveFile(t, path, upload.Options{}), serveFile(t, path, upload.Options{}),
	}
	for name, fetch := range map[string]func(target string) (int64, error){
		"FetchFile": func(target string) (int64, error) {
			return FetchFile(t.Context(), holders[0], target, Options{})
		},
		"FetchMulti": func(target string) (int64, error) {
			return FetchMulti(t.Context(), holders, target, Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := newPlace(t)
			got, err := fetch(at.target)
			if err != nil || got != size {
				t.Fatalf("%d bytes came (%v), want %d", got, err, int64(size))
			}
			wantMarks(t, at.target, size, marks)
		})
	}
}

func writeMarks(t *testing.T, path string, size int64, marks map[int64]string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for offset, mark := range marks {
		if _, err := f.WriteAt([]byte(mark), offset); err != nil {
			t.Fatal(err)
		}
	}
}

func wantMarks(t *testing.T, path string, size int64, marks map[int64]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != size {
		t.Errorf("the file has %d bytes (%v), want %d", info.Size(), err, size)
	}
	for offset, mark := range marks {
		got := make([]byte, len(mark))
		if _, err := f.ReadAt(got, offset); err != nil && err != io.EOF || string(got) != mark {
			t.Errorf("at %d there is %q (%v), want %q", offset, got, err, mark)
		}
	}
}

// A disk that fills up is an error of this machine, not of a holder, and is
// told by the target's name.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("lonja-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a small tmpfs (this test needs root): %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	}()
	at := place{target: filepath.Join(dir, "target"), old: true}
	if err := os.WriteFile(at.target, []byte(oldContent), 0o600); err != nil {
		t.Fatal(err)
	}
	content := random(3 << 20)
	peers := []*script{{content: content}, {content: content}}
	holders := starts(t, peers...)
	_, err := FetchFile(t.Context(), holders[0], at.target, Options{})
	wantNoSpace(t, at, err)
	for _, limit := range []int64{smallSides, sideLimit} {
		served := peers[0].served.Load() + peers[1].served.Load()
		_, err = FetchMulti(t.Context(), holders, at.target, Options{testOnlySideLimit: limit})
		wantNoSpace(t, at, err)
		if n := peers[0].served.Load() + peers[1].served.Load() - served; n > 4 {
			t.Errorf("%d requests were made, want no replacements", n)
		}
	}
}

func wantNoSpace(t *testing.T, at place, err error) {
	t.Helper()
	at.wantFailure(t, err, lonja.LocalFile)
	want := "write: " + at.target + ": no space left on device"
	if err == nil || err.Error() != want || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error is %q, want %q", err, want)
	}
}
