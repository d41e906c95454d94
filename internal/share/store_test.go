package share

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"lonja"
)

var ana = Key{Directory: "localhost:4444", User: "ana"}

// version2 begins a record of ana's.
const version2 = `{"version":2,"directory":"localhost:4444","user":"ana"}` + "\n"

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
	must(t, s.Add("file", write(t, filepath.Join(realTempDir(t), "file"), "")))
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
		"broken entry":    version2 + `{"name":"n","dir":"/d","base":"b"` + "\n",
		"climbing entry":  version2 + `{"name":"n","dir":"/tmp/../etc","base":"passwd"}` + "\n",
		"broken header":   strings.TrimSuffix(version2, "\n"),
		"two headers":     version2 + version2,
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
	const content = `{"version":6,"files":"in some other form"}`
	record := write(t, filepath.Join(state, ana.fileName()), content)
	if _, err := Open(state, ana); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open: %v, want an error about a newer program", err)
	}
	if got, err := os.ReadFile(record); err != nil || string(got) != content {
		t.Errorf("the record holds %q (%v), want it as it was", got, err)
	}
}

// What cannot be remembered is not served, and neither is what was removed:
// that counts at once, and the disk is told when it can be again.
func TestUnwritableState(t *testing.T) {
	for name, remove := range map[string]func(*Set) error{
		"remove": func(s *Set) error { return errors.Join(s.Remove("first"), s.Remove("first")) },
		"clear":  (*Set).Clear,
	} {
		t.Run(name, func(t *testing.T) {
			state := realTempDir(t)
			path := write(t, filepath.Join(state, "file"), "")
			s := openSet(t, state, ana)
			must(t, s.Add("first", path))
			must(t, os.Rename(state, state+".away"))
			t.Cleanup(func() { _ = os.RemoveAll(state + ".away") })
			if err := s.Add("second", path); !errors.Is(err, lonja.Invalid) {
				t.Errorf("Add of what is away: %v, want an error of kind Invalid", err)
			}
			other := write(t, filepath.Join(realTempDir(t), "file"), "")
			if err := s.Add("second", other); !errors.Is(err, lonja.LocalFile) {
				t.Errorf("Add: %v, want an error of kind LocalFile", err)
			}
			wantNames(t, s, "first")
			if err := remove(s); !errors.Is(err, lonja.LocalFile) {
				t.Errorf("%v, want an error of kind LocalFile", err)
			}
			wantNames(t, s)
			wantNoSuchFile(t, s, "first")

			must(t, os.Rename(state+".away", state))
			must(t, s.Add("second", other))
			wantNames(t, s, "second")
			wantNames(t, openSet(t, state, ana), "second")
		})
	}
	file := write(t, filepath.Join(realTempDir(t), "file"), "")
	if _, err := Open(filepath.Join(file, "state"), ana); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("Open below a file: %v, want an error of kind LocalFile", err)
	}
}

// What the last version wrote is read, and becomes what this one writes.
func TestOlderRecord(t *testing.T) {
	state := realTempDir(t)
	const older = `{
	"version": 1, "directory": "localhost:4444", "user": "ana",
	"files": [{"name": "kept", "dir": "/d", "base": "b"}, {"name": "gone", "dir": "/d", "base": "c"}]
}
`
	record := write(t, filepath.Join(state, ana.fileName()), older)
	s := openSet(t, state, ana)
	wantNames(t, s, "gone", "kept")
	must(t, s.Remove("gone"))
	wantNames(t, openSet(t, state, ana), "kept")
	if b, err := os.ReadFile(record); err != nil || !strings.HasPrefix(string(b), `{"version":5,`) {
		t.Errorf("the record is now %q (%v), want one of version 4", b, err)
	}
}

// An entry that a crash cut short was never acknowledged: it does not count,
// and the next one takes its place.
func TestEntryCutShort(t *testing.T) {
	for _, torn := range []string{`{"name":"torn","dir":"/d","ba`, "\x00\x00\x00", `{"name":"torn","dir":"/d","base":"` + strings.Repeat("b", 1000) + `"}`} {
		state := realTempDir(t)
		path := write(t, filepath.Join(realTempDir(t), "file"), "")
		must(t, openSet(t, state, ana).Add("first", path))
		record := filepath.Join(state, ana.fileName())
		b, err := os.ReadFile(record)
		must(t, err)
		write(t, record, string(b)+torn)
		s := openSet(t, state, ana)
		wantNames(t, s, "first")
		must(t, s.Add("second", path))
		wantNames(t, openSet(t, state, ana), "first", "second")
		if b, err = os.ReadFile(record); err != nil || !strings.HasSuffix(string(b), "}\n") {
			t.Errorf("%q (%v) has something behind its last entry", b, err)
		}
	}
}

// Changes add a line each, and the record is written anew before lines that do
// not count any more outnumber those that do.
func TestRecordStaysSmall(t *testing.T) {
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "file"), "")
	s := openSet(t, state, ana)
	must(t, s.Add("stays", path))
	most := 0
	for i := range 10 * slack {
		name := lonja.FileName(fmt.Sprint(i))
		must(t, errors.Join(s.Add(name, path), s.Remove(name)))
		b, err := os.ReadFile(s.store.path())
		must(t, err)
		most = max(most, strings.Count(string(b), "\n"))
	}
	wantNames(t, openSet(t, state, ana), "stays")
	if least, limit := slack, 2*slack; most < least || most > limit {
		t.Errorf("the record had up to %d lines, want %d to %d", most, least, limit)
	}
}

// An account that publishes nothing leaves nothing behind.
func TestNothingPublishedIsNotRecorded(t *testing.T) {
	state := realTempDir(t)
	s := openSet(t, state, ana)
	must(t, s.Clear())
	must(t, s.Remove("never there"))
	wantRecords(t, state, 0)
	must(t, s.Add("file", write(t, filepath.Join(realTempDir(t), "file"), "")))
	wantRecords(t, state, 1)
	must(t, s.Clear())
	must(t, s.Clear())
	wantRecords(t, state, 0)
	wantNames(t, openSet(t, state, ana))
}

func wantRecords(t *testing.T, state string, want int) {
	t.Helper()
	entries, err := os.ReadDir(state)
	must(t, err)
	if len(entries) != want {
		t.Errorf("the state directory holds %v, want %d records", entries, want)
	}
}

// BenchmarkPublish adds to a Set that holds some thousands.
func BenchmarkPublish(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	for range b.N {
		s, err := Open(filepath.Join(dir, "state"), ana)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 4000 {
			if err := s.Add(lonja.FileName(fmt.Sprintf("/some/where/published%d", i)), path); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Clear(); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever decodes, encodes to something that decodes to the same.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":"n","dir":"/d","base":"b"}]}`))
	f.Add([]byte(`{"version":1,"directory":"localhost:4444","user":"ana","files":[{"name":{"base64":"/w=="},"dir":"/","base":"b"}]}`))
	f.Add([]byte(`{"version":2,"directory":"localhost:4444","user":"ana"}` + "\n" +
		`{"name":"n","dir":"/d","base":"b"}` + "\n" + `{"name":"n","removed":true}` + "\n" + `{"name":"m","dir"`))
	f.Add([]byte(`{"version":3}`))
	f.Add([]byte(`{"version":3,"directory":"localhost:4444","user":"ana"}` + "\n" +
		`{"name":"n","dir":"/d","base":"b","signed":{"description":"d","size":3,"file":"` + strings.Repeat("0a", 32) +
		`","date":5,"audience":["luis"],"key":"` + strings.Repeat("A", 43) + `","signature":"` + strings.Repeat("A", 86) + `","modified":7}}` + "\n"))
	f.Add([]byte(`{"version":5,"directory":"localhost:4444","user":"ana"}` + "\n" +
		`{"name":"n","dir":"/d","base":"b","signed":{"size":3,"file":"` + strings.Repeat("0a", 32) +
		`","date":5,"audience":["luis"],"key":"` + strings.Repeat("A", 43) + `","signature":"` + strings.Repeat("A", 86) +
		`","modified":7,"known":[{"user":"luis","key":"` + strings.Repeat("A", 43) + `"}]}}` + "\n" + `{"name":"m","withdrawn":true}` + "\n"))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(ana, b)
		if err != nil {
			return
		}
		encoded, err := encode(ana, r.files)
		must(t, err)
		again, err := decode(ana, encoded)
		must(t, err)
		if !reflect.DeepEqual(again.files, r.files) || again.end != int64(len(encoded)) {
			t.Errorf("%v became %v", r, again)
		}
	})
}

func TestElsewhere(t *testing.T) {
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "file"), "")
	write(t, filepath.Join(state, "published-damaged.json"), "damaged")
	for _, key := range []Key{ana, {"127.0.0.1:4444", "ana"}, {"10.0.0.1:4444", "luis"}} {
		must(t, openSet(t, state, key).Add("file", path))
	}
	for key, want := range map[Key][]string{
		ana:                       {"127.0.0.1:4444"},
		{"elsewhere:4444", "ana"}: {"127.0.0.1:4444", "localhost:4444"},
		{"elsewhere:4444", "eva"}: nil,
	} {
		if got := Elsewhere(state, key); !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", key, got, want)
		}
	}
}

// What one program of a user changes, another serves, or serves no more, without
// having changed anything itself.
func TestOthersChangesAreSeen(t *testing.T) {
	dir, state := realTempDir(t), realTempDir(t)
	serving, publishing := openSet(t, state, ana), openSet(t, state, ana)
	a, b := write(t, filepath.Join(dir, "a"), "content of a"), write(t, filepath.Join(dir, "b"), "content of b")
	listing := offer(t, publishing, a, "first", 1)
	offer(t, publishing, b, "second", 2)
	if got := opens(t, serving, 1, "luis"); got != "content of a" {
		t.Errorf("got %q", got)
	}
	wantNames(t, serving, "first", "second")
	if got := serving.NamesOf(a); !slices.Equal(got, []lonja.FileName{"first"}) {
		t.Errorf("names of %s: got %q", a, got)
	}
	if got, there := serving.Listing("first"); !there || !reflect.DeepEqual(got, listing) {
		t.Errorf("got %+v, want %+v", got, listing)
	}
	must(t, publishing.Remove("second"))
	if serving.Digest() != publishing.Digest() {
		t.Error("the two have not the same digest")
	}
	if got := opens(t, serving, 2, "luis"); got != "nothing" {
		t.Errorf("got %q of what was withdrawn", got)
	}
	must(t, serving.Remove("first"))
	wantNames(t, publishing)
}

// A removal that the disk could not be told counts also after another program's
// change was seen.
func TestOwedRemovalsOutliveOthersChanges(t *testing.T) {
	dir, state := realTempDir(t), realTempDir(t)
	s, other := openSet(t, state, ana), openSet(t, state, ana)
	a := publish(t, s, write(t, filepath.Join(dir, "a"), ""))
	wantNames(t, other, a)
	record := s.store.path()
	must(t, os.Rename(record, record+".away"))
	must(t, os.Mkdir(record, 0o700)) // nothing can be written there
	if err := s.Remove(a); !errors.Is(err, lonja.LocalFile) {
		t.Fatalf("got %v, want an error of the disk", err)
	}
	must(t, os.Remove(record))
	must(t, os.Rename(record+".away", record))
	b := publish(t, other, write(t, filepath.Join(dir, "b"), ""))
	wantNames(t, s, b)
}
