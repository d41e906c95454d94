package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/share"
	"lonja/internal/statement"
	"lonja/internal/tree"
)

// transfers counts what a node has sent, by the beginning of its id.
type transfers struct {
	slog.Handler
	mu   *sync.Mutex
	sent map[string]int
	file string
}

func countTransfers(o *Options) *transfers {
	t := &transfers{
		Handler: slog.NewTextHandler(new(notebook), &slog.HandlerOptions{Level: slog.LevelDebug}),
		mu:      new(sync.Mutex), sent: make(map[string]int),
	}
	o.Log = slog.New(t)
	return t
}

func (t *transfers) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *t
	for _, a := range attrs {
		if a.Key == "file" {
			with.file = a.Value.String()
		}
	}
	return &with
}

func (t *transfers) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "transfer done" {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.sent[t.file]++
	}
	return nil
}

// of returns how often a content was sent, in whole or a part of it.
func (t *transfers) of(content string) int {
	id := idOf(content)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent[id.String()[:16]]
}

// idOf returns the id of a content of any size.
func idOf(content string) lonja.FileID {
	if len(content) <= tree.PieceSize {
		return tree.Sum([]byte(content))
	}
	var hashes []tree.Hash
	for at := 0; at < len(content); at += tree.PieceSize {
		var h tree.Hasher
		h.Reset(int64(len(hashes)))
		_, _ = h.Write([]byte(content[at:min(len(content), at+tree.PieceSize)])) // no more than a piece
		hashes = append(hashes, h.Sum())
	}
	return lonja.FileID(tree.Join(hashes, true))
}

// all returns how many answers were sent.
func (t *transfers) all() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, each := range t.sent {
		n += each
	}
	return n
}

// bigContent is of more than one piece.
var bigContent = strings.Repeat("0123456789abcdef", (2<<20)/16) + "."

// plant makes a directory: paths that end in '/' are directories, those with '*' at
// the end may be executed.
func (v *town) plant(dir string, files map[string]string) string {
	v.Helper()
	for name, content := range files {
		path := filepath.Join(dir, strings.TrimSuffix(name, "*"))
		if strings.HasSuffix(name, "/") {
			v.ok(os.MkdirAll(path, 0o700))
			continue
		}
		v.ok(os.MkdirAll(filepath.Dir(path), 0o700))
		mode := fs.FileMode(0o600)
		if strings.HasSuffix(name, "*") {
			mode = 0o700
		}
		v.ok(os.WriteFile(path, []byte(content), mode))
	}
	return dir
}

// grown returns what is in a directory, as plant takes it.
func (v *town) grown(dir string) map[string]string {
	v.Helper()
	files := make(map[string]string)
	v.ok(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if e.IsDir() {
			within, err := os.ReadDir(path)
			if len(within) == 0 {
				files[rel+"/"] = ""
			}
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode()&0o111 != 0 {
			rel += "*"
		}
		b, err := os.ReadFile(path)
		files[rel] = string(b)
		return err
	}))
	return files
}

func (v *town) wantGrown(dir string, want map[string]string) {
	v.Helper()
	got := v.grown(dir)
	for name, content := range want {
		if got[name] != content {
			v.Errorf("%q: got %.40q, want %.40q", name, got[name], content)
		}
	}
	for name := range got {
		if _, wanted := want[name]; !wanted {
			v.Errorf("%q is there", name)
		}
	}
	for name := range want {
		if _, there := got[name]; !there {
			v.Errorf("%q is not there", name)
		}
	}
}

// offerFolder publishes a directory as a folder.
func (c *citizen) offerFolder(dir string, name lonja.FileName, audience ...lonja.UserName) lonja.Listing {
	c.town.Helper()
	errand, err := c.Errand(c.user)
	c.town.ok(err)
	l, err := errand.OfferFolder(c.town.Context(), FolderOffer{Offer: Offer{Path: dir, Name: name, Audience: audience}})
	c.town.ok(err)
	return l
}

// getFolder fetches a folder; change may say how.
func (c *citizen) getFolder(name lonja.FileName, dir string, change ...func(*FolderFetching)) (FetchedFolder, error) {
	c.town.Helper()
	errand, err := c.Errand(c.user)
	c.town.ok(err)
	w := lonja.Wanted{Name: name}
	choices, err := errand.Choices(c.town.Context(), w, "")
	if err != nil {
		return FetchedFolder{}, err
	}
	f := FolderFetching{Fetching: Fetching{Wanted: w, Choice: choices[0], Local: dir}}
	for _, ch := range change {
		ch(&f)
	}
	return errand.FetchFolder(c.town.Context(), f)
}

var someFiles = map[string]string{
	"a/one.txt": "first", "a/deep/two.txt": "second", "run*": "#!/bin/sh", "nothing": "", "empty/of all/": "", "film": bigContent,
}

// TestFolder: it is listed once, and comes whole from several, with what is empty and
// what may be executed; the same again fetches nothing.
func TestFolder(t *testing.T) {
	v := newTown(t)
	luis := v.resident("luis")
	var listing lonja.Listing
	for _, name := range []lonja.UserName{"ana", "eva"} {
		holder := v.resident(name)
		listing = holder.offerFolder(v.plant(t.TempDir(), someFiles), "things")
		if got := holder.listed(); got != "things" {
			t.Errorf("listed: %q", got)
		}
	}
	if f := listing.Folder(); f == nil || f.Files != 5 || listing.Size != int64(len(bigContent)+5+6+9) {
		t.Errorf("got %+v, %+v", listing, f)
	}
	dir := filepath.Join(t.TempDir(), "got")
	got, err := luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, someFiles)
	if got.Files != 5 || got.Kept+got.Copied != 1 || got.Bytes != listing.Size || len(got.From) == 0 || got.ID != listing.Proof.File {
		t.Errorf("got %+v", got)
	}
	got, err = luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, someFiles)
	if got.Kept != 5 || len(got.From) == 0 { // the list is fetched again
		t.Errorf("again: got %+v", got)
	}
	v.is(luis.FetchMulti(t.Context(), "things", filepath.Join(t.TempDir(), "f"), nil), lonja.Invalid)
	v.is(luis.FetchFile(t.Context(), "ana", "things", filepath.Join(t.TempDir(), "f"), nil), lonja.Invalid)
}

// TestFolderIsFetchedOnce: what is in it twice is sent once, what is here already not
// at all.
func TestFolderIsFetchedOnce(t *testing.T) {
	v := newTown(t)
	var sent *transfers
	ana, luis := v.residentWith("ana", func(o *Options) { sent = countTransfers(o) }), v.resident("luis")
	files := map[string]string{
		"a": "the same", "b/a": "the same", "c*": "the same", "own": "published here", "own film": bigContent, "again": bigContent, "moved": "from there",
		"left": "by a run before", "wrong": "never so", "new": "of hers",
	}
	ana.offerFolder(v.plant(t.TempDir(), files), "things")
	v.ok(luis.Publish(t.Context(), luis.write("mine", "published here"), ""))
	v.ok(luis.Publish(t.Context(), luis.write("my film", bigContent), ""))
	dir := v.plant(t.TempDir(), map[string]string{"old name": "from there", "another": "much the same, not"})
	left := func(content, really string) {
		id := tree.Sum([]byte(content))
		v.plant(dir, map[string]string{".lonja-part/" + id.String() + "-7": really})
	}
	left("by a run before", "by a run before")
	left("never so", "damaged!")
	got, err := luis.getFolder("things", dir)
	v.ok(err)
	for content, want := range map[string]int{"the same": 1, "published here": 0, bigContent: 0, "from there": 0, "by a run before": 0, "never so": 1, "of hers": 1} {
		if n := sent.of(content); n != want {
			t.Errorf("%.20q was sent %d times, want %d", content, n, want)
		}
	}
	if n := sent.all(); n != 4 { // the list too
		t.Errorf("%d answers, want 4", n)
	}
	if got.Kept != 1 || got.Copied != 6 {
		t.Errorf("got %+v", got)
	}
	want := map[string]string{"old name": "from there", "another": "much the same, not"}
	for name, content := range files {
		want[name] = content
	}
	v.wantGrown(dir, want)
}

// TestFolderInPart: only what is asked for comes.
func TestFolderInPart(t *testing.T) {
	v := newTown(t)
	var sent *transfers
	ana, luis := v.residentWith("ana", func(o *Options) { sent = countTransfers(o) }), v.resident("luis")
	ana.offerFolder(v.plant(t.TempDir(), someFiles), "things")
	dir := filepath.Join(t.TempDir(), "got")
	_, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Include = func(string) bool { return false }
	})
	v.is(err, lonja.NoSuchFile)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a folder of which nothing is wanted there is left: %v", err)
	}
	got, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Include = func(path string) bool { return strings.HasPrefix(path, "a/") }
	})
	v.ok(err)
	v.wantGrown(dir, map[string]string{"a/one.txt": "first", "a/deep/two.txt": "second"})
	if got.Files != 2 || sent.of("first") != 1 || sent.of("#!/bin/sh") != 0 {
		t.Errorf("got %+v", got)
	}
	// The rest later: what came is not fetched again.
	_, err = luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, someFiles)
	if sent.of("first") != 1 || sent.of("#!/bin/sh") != 1 {
		t.Errorf("sent: %v", sent.sent)
	}
}

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

// TestFolderThatChanges: it is withdrawn, with a word about it, and can be published
// again.
func TestFolderThatChanges(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	home := v.plant(t.TempDir(), map[string]string{"a": "first", "b": "second"})
	ana.offerFolder(home, "things")
	v.plant(home, map[string]string{"a": "longer now"})
	dir := filepath.Join(t.TempDir(), "got")
	_, err := luis.getFolder("things", dir)
	if err == nil {
		t.Error("it came all the same")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a")); err == nil {
		t.Errorf("a came as %q", b)
	}
	v.until("it is listed no more", func() bool { return ana.listed() == "" })
	ana.offerFolder(home, "things")
	_, err = luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, map[string]string{"a": "longer now", "b": "second"})
	v.ok(ana.Delete(t.Context(), home))
	if got := ana.listed(); got != "" {
		t.Errorf("listed: %q", got)
	}
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

// TestManySmallFiles come from two holders, of which one loses its folder on the
// way.
func TestManySmallFiles(t *testing.T) {
	v := newTown(t)
	ana, eva, luis := v.resident("ana"), v.resident("eva"), v.resident("luis")
	rng := rand.New(rand.NewPCG(1, 2))
	files := make(map[string]string)
	for i := range 700 {
		b := make([]byte, rng.IntN(3000))
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		files[fmt.Sprintf("%d/%d", i%7, i)] = string(b)
	}
	home := v.plant(t.TempDir(), files)
	ana.offerFolder(v.plant(t.TempDir(), files), "things")
	eva.offerFolder(home, "things")
	dir := filepath.Join(t.TempDir(), "got")
	var once sync.Once
	_, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Progress = func(int64) { once.Do(func() { v.ok(os.RemoveAll(home)) }) }
	})
	v.ok(err)
	v.wantGrown(dir, files)
}

// TestFolderGoesOn: what came before it was ended is not fetched again.
func TestFolderGoesOn(t *testing.T) {
	v := newTown(t)
	var sent *transfers
	ana, luis := v.residentWith("ana", func(o *Options) { sent = countTransfers(o) }), v.resident("luis")
	files := make(map[string]string)
	for i := range 600 {
		files[fmt.Sprintf("f%d", i)] = fmt.Sprintf("content %d", i)
	}
	ana.offerFolder(v.plant(t.TempDir(), files), "things")
	dir := filepath.Join(t.TempDir(), "got")
	ctx, cancel := context.WithCancel(t.Context())
	errand, err := luis.Errand("luis")
	v.ok(err)
	choices, err := errand.Choices(t.Context(), lonja.Wanted{Name: "things"}, "")
	v.ok(err)
	how := FolderFetching{Fetching: Fetching{Choice: choices[0], Local: dir, Progress: func(n int64) {
		if n > 3_000 {
			cancel()
		}
	}}}
	_, err = errand.FetchFolder(ctx, how)
	v.is(err, lonja.Canceled)
	came := len(v.grown(dir))
	how.Progress = nil
	got, err := errand.FetchFolder(t.Context(), how)
	v.ok(err)
	v.wantGrown(dir, files)
	if came < 200 || got.Kept < int64(came)-3 { // the list and a lock are there too
		t.Errorf("%d files were there, and then %+v", came, got)
	}
	// What was on its way when it was ended may have been sent in vain.
	if n := sent.all(); n > 600+4*2*64+1 {
		t.Errorf("%d answers for 600 files", n)
	}
}

func TestFolderHoldersAgree(t *testing.T) {
	holder := func(user lonja.UserName, files, size int64, isFolder bool) lonja.Holder {
		h := lonja.Holder{User: user, Reach: &lonja.Reach{}, Size: size, Proof: &lonja.Proof{}}
		if isFolder {
			h.Proof.Folder = &lonja.Folder{Files: files, ListSize: 9}
		}
		return h
	}
	a, b, liar, file := holder("a", 1, 5, true), holder("b", 1, 5, true), holder("liar", 2, 5, true), holder("file", 0, 9, false)
	most := folderHolders([]lonja.Holder{liar, a, file, b})
	if len(most) != 2 || most[0].User != "a" || most[1].User != "b" {
		t.Errorf("got %v", most)
	}
	for want, holders := range map[bool][]lonja.Holder{true: {a, b, file}, false: {a, file}} {
		if got := (Choice{Holders: holders}).IsFolder(); got != want {
			t.Errorf("%d holders: got %t", len(holders), got)
		}
	}
}
