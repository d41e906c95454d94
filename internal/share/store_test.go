package share

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lonja"
)

var ana = Key{Directory: "localhost:4444", User: "ana"}

func openSet(t *testing.T, stateDir string, key Key) *Set {
	t.Helper()
	s, err := Open(stateDir, key)
	must(t, err)
	return s
}

func TestPublicationsSurvive(t *testing.T) {
	dir, state := realTempDir(t), filepath.Join(realTempDir(t), "some", "state")
	s := openSet(t, state, ana)
	wantNames(t, s)
	a := publish(t, s, write(t, filepath.Join(dir, "a"), "content of a"))
	b := publish(t, s, write(t, filepath.Join(dir, "b"), "content of b"))
	odd := publish(t, s, write(t, filepath.Join(dir, "c\xff<\u2028\ufffd"), "odd"))

	again := openSet(t, state, ana)
	wantNames(t, again, a, b, odd)
	wantContent(t, again, a, "content of a")
	wantContent(t, again, odd, "odd")

	must(t, again.Remove(a))
	wantNames(t, openSet(t, state, ana), b, odd)
	must(t, again.Clear())
	wantNames(t, openSet(t, state, ana))
}

// A file that is away stays published: its disk may come back.
func TestMissingFilesStayPublished(t *testing.T) {
	dir, state := realTempDir(t), realTempDir(t)
	name := publish(t, openSet(t, state, ana), write(t, filepath.Join(dir, "a"), "content"))
	must(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "away")))
	s := openSet(t, state, ana)
	wantNames(t, s, name)
	wantNoSuchFile(t, s, name)
	must(t, os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "a")))
	wantContent(t, s, name, "content")
}

// The place that was remembered counts, not what its path leads to now.
func TestPlaceIsNotResolvedAgain(t *testing.T) {
	y, state := newYard(t), realTempDir(t)
	name := publish(t, openSet(t, state, ana), y.file)
	must(t, os.RemoveAll(y.dir))
	must(t, os.Symlink(y.secretDir, y.dir))
	wantNoSuchFile(t, openSet(t, state, ana), name)
}

func TestUsersAndDirectoriesAreApart(t *testing.T) {
	state := realTempDir(t)
	keys := []Key{
		ana,
		{"localhost:4444", "luis"},
		{"localhost:5555", "ana"},
		{"localhost:4444 ", "ana"},
		{"localhost", ":4444ana"},
		{"", "../../etc/passwd"},
		{"", "\xff"},
		{"\xff", ""},
		{"", lonja.UserName(strings.Repeat("u", 255))},
	}
	path := write(t, filepath.Join(realTempDir(t), "file"), "")
	for i, key := range keys {
		must(t, openSet(t, state, key).Add(lonja.FileName(fmt.Sprint(i)), path))
	}
	for i, key := range keys {
		wantNames(t, openSet(t, state, key), lonja.FileName(fmt.Sprint(i)))
	}
	entries, err := os.ReadDir(state)
	must(t, err)
	if len(entries) != len(keys) {
		t.Errorf("the state directory holds %v, want %d records", entries, len(keys))
	}
}

func TestStateIsPrivate(t *testing.T) {
	state := filepath.Join(realTempDir(t), "state")
	s := openSet(t, state, ana)
	must(t, s.Clear())
	for path, want := range map[string]fs.FileMode{state: fs.ModeDir | 0o700, s.store.path(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v (%v), want %v", path, info.Mode(), err, want)
		}
	}
}

// Two programs of one user add to what the other has, they do not undo it.
func TestWritersDoNotLoseEachOthersEntries(t *testing.T) {
	const writers, each = 6, 8
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "file"), "")
	var wg sync.WaitGroup
	for w := range writers {
		s := openSet(t, state, ana)
		wg.Go(func() {
			for i := range each {
				if err := s.Add(lonja.FileName(fmt.Sprintf("%d/%d", w, i)), path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(openSet(t, state, ana).Names()); got != writers*each {
		t.Errorf("%d entries are left, want %d", got, writers*each)
	}
}

func TestDamagedRecordIsSetAside(t *testing.T) {
	for name, content := range map[string]string{
		"empty":           "",
		"cut short":       `{"version":1,"directory":"localhost:4444","user":"ana","files":[{"na`,
		"another's":       `{"version":1,"directory":"localhost:4444","user":"luis","files":[]}`,
		"no version":      `{"directory":"localhost:4444","user":"ana","files":[]}`,
		"relative place":  `{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":"n","dir":"etc","base":"passwd"}]}`,
		"climbing place":  `{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":"n","dir":"/tmp/../etc","base":"passwd"}]}`,
		"path as base":    `{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":"n","dir":"/","base":"etc/passwd"}]}`,
		"root as base":    `{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":"n","dir":"/","base":"/"}]}`,
		"climbing base":   `{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":"n","dir":"/etc","base":".."}]}`,
		"no name":         `{"version":1,"directory":"localhost:4444","user":"ana","files":[{"dir":"/etc","base":"passwd"}]}`,
		"broken encoding": `{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":{"base64":"?"},"dir":"/","base":"b"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			state := realTempDir(t)
			record := write(t, filepath.Join(state, ana.fileName()), content)
			_, err := Open(state, ana)
			if !errors.Is(err, ErrDamaged) || !errors.Is(err, lonja.LocalFile) {
				t.Fatalf("Open: %v, want %v of kind LocalFile", err, ErrDamaged)
			}
			if !strings.Contains(err.Error(), record) {
				t.Errorf("the error %q does not name %s", err, record)
			}
			aside, globErr := filepath.Glob(record + ".damaged-*")
			if globErr != nil || len(aside) != 1 {
				t.Fatalf("set aside: %v (%v), want one file", aside, globErr)
			}
			if got, err := os.ReadFile(aside[0]); err != nil || string(got) != content {
				t.Errorf("%s holds %q (%v), want %q", aside[0], got, err, content)
			}
			wantNames(t, openSet(t, state, ana))
		})
	}
}

// What a running program has published is not lost with a damaged record.
func TestDamagedWhileRunning(t *testing.T) {
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "file"), "")
	s := openSet(t, state, ana)
	must(t, s.Add("first", path))
	write(t, s.store.path(), "damage")
	if err := s.Add("second", path); !errors.Is(err, ErrDamaged) {
		t.Errorf("Add: %v, want %v", err, ErrDamaged)
	}
	wantNames(t, s, "first")
	must(t, s.Add("second", path))
	wantNames(t, openSet(t, state, ana), "first", "second")
}

// The record of a newer program is neither used nor touched.
func TestNewerRecordIsLeftAlone(t *testing.T) {
	state := realTempDir(t)
	const content = `{"version":2,"files":"in some other form"}`
	record := write(t, filepath.Join(state, ana.fileName()), content)
	if _, err := Open(state, ana); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open: %v, want an error about a newer program", err)
	}
	if got, err := os.ReadFile(record); err != nil || string(got) != content {
		t.Errorf("the record holds %q (%v), want it as it was", got, err)
	}
}

// A change that cannot be written does not count either.
func TestUnwritableState(t *testing.T) {
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "file"), "")
	s := openSet(t, state, ana)
	must(t, s.Add("first", path))
	must(t, os.MkdirAll(s.store.path()+".tmp/in the way", 0o700))
	if err := s.Add("second", path); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("Add: %v, want an error of kind LocalFile", err)
	}
	if err := s.Clear(); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("Clear: %v, want an error of kind LocalFile", err)
	}
	wantNames(t, s, "first")

	file := write(t, filepath.Join(state, "file"), "")
	if _, err := Open(filepath.Join(file, "state"), ana); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("Open below a file: %v, want an error of kind LocalFile", err)
	}
}

// Whatever decodes, encodes to something that decodes to the same.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":"n","dir":"/d","base":"b"}]}`))
	f.Add([]byte(`{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":{"base64":"/w=="},"dir":"/","base":"b"}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decode(ana, b)
		if err != nil {
			return
		}
		encoded, err := encode(ana, p)
		must(t, err)
		again, err := decode(ana, encoded)
		must(t, err)
		if fmt.Sprint(again) != fmt.Sprint(p) {
			t.Errorf("%v became %v", p, again)
		}
	})
}
