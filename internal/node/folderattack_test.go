package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/share"
	"lonja/internal/statement"
	"lonja/internal/tree"
)

// TestFolderInTheWay: nothing of what is there already is lost, unless that is wanted.
func TestFolderInTheWay(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	ana.offerFolder(v.plant(t.TempDir(), map[string]string{"a/one": "first", "film": bigContent, "run*": "run"}), "things")
	before := map[string]string{"a/one": "other", "film": "short", "run": "run", "mine": "own"}
	dir := v.plant(t.TempDir(), before)
	_, err := luis.getFolder("things", dir)
	v.is(err, lonja.LocalFile)
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "a/one") || !strings.Contains(err.Error(), "film") {
		t.Errorf("%v does not say what is in the way", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "a/one")); string(b) != "other" {
		t.Errorf("a/one has %q", b)
	}
	_, err = luis.getFolder("things", dir, func(f *FolderFetching) { f.Force = true })
	v.ok(err)
	v.wantGrown(dir, map[string]string{"a/one": "first", "film": bigContent, "run*": "run", "mine": "own"})

	elsewhere := t.TempDir()
	for what, in := range map[string]func(dir string){
		"a directory for a file":  func(dir string) { v.plant(dir, map[string]string{"run/x": "x"}) },
		"a file for a directory":  func(dir string) { v.plant(dir, map[string]string{"a": "x"}) },
		"a link for a directory":  func(dir string) { v.ok(os.Symlink(elsewhere, filepath.Join(dir, "a"))) },
		"a link for a file":       func(dir string) { v.ok(os.Symlink(filepath.Join(elsewhere, "x"), filepath.Join(dir, "run"))) },
		"a link for a large file": func(dir string) { v.ok(os.Symlink(filepath.Join(elsewhere, "x"), filepath.Join(dir, "film"))) },
	} {
		dir := t.TempDir()
		in(dir)
		if _, err := luis.getFolder("things", dir, func(f *FolderFetching) { f.Force = true }); !errors.Is(err, lonja.LocalFile) {
			t.Errorf("%s: got %v, want %v", what, err, lonja.LocalFile)
		}
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("links were followed: %v, %v", left, err)
	}
}

// TestFolderAudience: others learn neither of it nor of a file in it.
func TestFolderAudience(t *testing.T) {
	v := newTown(t)
	ana, luis, eva := v.resident("ana"), v.resident("luis"), v.resident("eva")
	listing := ana.offerFolder(v.plant(t.TempDir(), someFiles), "things", "luis")
	if _, err := eva.getFolder("things", filepath.Join(t.TempDir(), "got")); !errors.Is(err, lonja.NoHolder) {
		t.Errorf("eva: got %v", err)
	}
	dir := filepath.Join(t.TempDir(), "got")
	_, err := luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, someFiles)
	// Whoever knows the ids, and where ana is, gets no further.
	errand, err := luis.Errand("luis")
	v.ok(err)
	choices, err := errand.Choices(t.Context(), lonja.Wanted{File: listing.Proof.File}, "")
	v.ok(err)
	stranger, err := eva.Errand("eva")
	v.ok(err)
	_, err = stranger.FetchFolder(t.Context(), FolderFetching{Fetching: Fetching{Choice: choices[0], Local: filepath.Join(t.TempDir(), "got")}})
	v.is(err, lonja.NoSuchFile)
}

// TestFolderOfUnsafeNames: they come under others, and one is told.
func TestFolderOfUnsafeNames(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	ana.offerFolder(v.plant(t.TempDir(), map[string]string{
		"a\nb": "line", "\x1b[2J.txt": "clears", ".lonja-part/lock": "reserved", "safe": "safe", "x\u202egpj.exe": "turned",
	}), "things")
	dir := filepath.Join(t.TempDir(), "got")
	renamed := make(map[string]string)
	_, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Renamed = func(path, name string) { renamed[name] = path }
	})
	v.ok(err)
	got := v.grown(dir)
	if len(got) != 5 || len(renamed) != 4 || got["safe"] != "safe" {
		t.Errorf("got %q, renamed %q", got, renamed)
	}
	for name := range got {
		if lonja.Printable(name) != name {
			t.Errorf("there is a %q", name)
		}
	}
}

// offerList publishes a list that is made by hand, as somebody would who lies: signed
// as a folder of so many files and bytes, and served.
func (c *citizen) offerList(name lonja.FileName, list []byte, files, bytes int64) {
	v := c.town
	v.Helper()
	s := c.current()
	path := c.write(string(name), string(list))
	info, err := os.Stat(path)
	v.ok(err)
	d := c.dialect.(*secureDialect)
	p, err := statement.SignPublication(lonja.Publication{Owner: c.user, Listing: lonja.Listing{
		Name: name, Size: bytes,
		Proof: &lonja.Proof{File: tree.Sum(list), Date: 1795000000, Folder: &lonja.Folder{Files: files, ListSize: int64(len(list))}},
	}}, d.Key)
	v.ok(err)
	// It is served as the plain file that it is.
	plain := p.Listing
	proof := *p.Proof
	proof.Folder, plain.Proof, plain.Size = nil, &proof, int64(len(list))
	v.ok(s.files.Offer(path, share.Offering{Listing: plain, Seen: info}))
	v.ok(d.Directory.Publish(v.Context(), c.user, p.Listing))
}

// TestFolderThatLies: a list that leads out, that is none, or that is not what was
// signed, is refused, and leaves nothing outside.
func TestFolderThatLies(t *testing.T) {
	v := newTown(t)
	eva, luis := v.resident("eva"), v.resident("luis")
	entry := func(path string) []byte {
		id := tree.Sum([]byte("x"))
		b := append([]byte(folder.Magic), 1, 0, byte(len(path)))
		b = append(append(b, path...), 1)
		return append(append(b, id[:]...), 0, 1, 1, 1)
	}
	for name, c := range map[string]struct {
		list         []byte
		files, bytes int64
		want         lonja.Kind
	}{
		"up":       {entry("../up"), 1, 1, lonja.Malformed},
		"within":   {entry("a/../../up"), 1, 1, lonja.Malformed},
		"absolute": {entry("/tmp/up"), 1, 1, lonja.Malformed},
		"NUL":      {entry("a\x00b"), 1, 1, lonja.Malformed},
		"none":     {[]byte("no list"), 1, 1, lonja.Malformed},
		"fewer":    {entry("a"), 2, 1, lonja.Untrusted},
		"smaller":  {entry("a"), 1, 2, lonja.Untrusted},
		"missing":  {entry("a"), 1, 1, lonja.NoSuchFile},
	} {
		eva.offerList(lonja.FileName(name), c.list, c.files, c.bytes)
		above := t.TempDir()
		_, err := luis.getFolder(lonja.FileName(name), filepath.Join(above, "got"))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		err = filepath.WalkDir(above, func(path string, e fs.DirEntry, err error) error {
			if base := filepath.Base(path); err == nil && (base == "up" || base == "a") {
				t.Errorf("%s: there is %s", name, path)
			}
			return err
		})
		v.ok(err)
	}
}
