package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"lonja"
)

// fetchFolderHeld has the citizen fetch a folder to a directory, and returns once so
// many bytes are there: it goes on when goOn is closed.
func (c *citizen) fetchFolderHeld(name lonja.FileName, dir string, bytes int64) (goOn chan struct{}, done chan error) {
	v := c.town
	v.Helper()
	goOn, done = make(chan struct{}), make(chan error, 1)
	reached := make(chan struct{})
	var once sync.Once
	go func() {
		_, err := c.getFolder(name, dir, func(f *FolderFetching) {
			f.Progress = func(received int64) {
				if received >= bytes {
					once.Do(func() { close(reached) })
					<-goOn
				}
			}
		})
		done <- err
	}()
	select {
	case <-reached:
	case err := <-done:
		v.Fatalf("it has ended before %d bytes were there: %v", bytes, err)
	case <-time.After(patience):
		v.Fatalf("%d bytes of %s do not come", bytes, name)
	}
	return goOn, done
}

// TestFolderIsPassedOn: who fetches a folder gives of it what is there already, small
// files and pieces of big ones, to others who fetch it, also what its owner lost.
func TestFolderIsPassedOn(t *testing.T) {
	v := newTown(t)
	var sent *transfers
	ana, luis, eva := v.resident("ana"), v.residentWith("luis", func(o *Options) { sent = countTransfers(o) }), v.resident("eva")
	film := random(5<<20 + 7)
	files, small := map[string]string{"film": film, "done": bigContent}, int64(0)
	for i := range 150 {
		content := fmt.Sprintf("content %d", i)
		files[fmt.Sprintf("%d/%d", i%7, i)] = content
		small += int64(len(content))
	}
	home := v.plant(t.TempDir(), files)
	listing := ana.offerFolder(home, "things")
	dir := filepath.Join(t.TempDir(), "got")
	_, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Include = func(path string) bool { return path != "film" }
	})
	v.ok(err)
	// Now luis has all but the film, and of that three pieces at least: over two
	// connections, one piece of each can be on its way. Ana has lost all but the film.
	goOn, done := luis.fetchFolderHeld("things", dir, small+int64(len(bigContent))+5<<20)
	for name := range files {
		if name != "film" {
			v.ok(os.Remove(filepath.Join(home, name)))
		}
	}
	eva.sees(luis, listing.Proof.File)
	got := filepath.Join(t.TempDir(), "got")
	evas := make(chan error, 1)
	var from FetchedFolder
	go func() {
		var err error
		from, err = eva.getFolder("things", got)
		evas <- err
	}()
	v.ok(<-evas)
	for name, content := range files {
		if name != "film" && sent.of(content) == 0 {
			t.Errorf("luis has not sent %s", name)
		}
	}
	close(goOn)
	v.ok(<-done)
	v.wantGrown(dir, files)
	v.wantGrown(got, files)
	if !slices.Contains(from.From, "luis") {
		t.Errorf("got %+v", from)
	}
	v.until("nobody is listed as fetching it", func() bool { return len(ana.partial(listing.Proof.File)) == 0 })
}

// TestFolderIsPassedOnToItsAudience: and to nobody else, nor what was changed since,
// nor with PartialOff.
func TestFolderIsPassedOnToItsAudience(t *testing.T) {
	v := newTown(t)
	ana, luis, eva, bob := v.resident("ana"), v.resident("luis"), v.resident("eva"), v.resident("bob")
	film := random(5<<20 + 7)
	files := map[string]string{"film": film, "first": "first", "second": "second", "third": bigContent}
	listing := ana.offerFolder(v.plant(t.TempDir(), files), "things", "luis", "eva")
	dir := filepath.Join(t.TempDir(), "got")
	_, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Include = func(path string) bool { return path != "film" }
	})
	v.ok(err)
	luis.meets(eva)
	goOn, done := luis.fetchFolderHeld("things", dir, 11+int64(len(bigContent))+5<<20)
	holder := eva.sees(luis, listing.Proof.File)
	has := func(c *citizen, content string) string {
		t.Helper()
		have, err := c.partsOf(holder, idOf(content)).Have(t.Context(), int64(len(content)>>20+1))
		switch {
		case err != nil:
			return lonja.KindOf(err).Error()
		case have == nil:
			return "all"
		}
		return "some"
	}
	v.ok(os.WriteFile(filepath.Join(dir, "second"), []byte("SECOND"), 0o600))
	for content, want := range map[string]string{"first": "all", bigContent: "all", film: "some", "second": lonja.NoSuchFile.Error(), "other": lonja.NoSuchFile.Error()} {
		if got := has(eva, content); got != want {
			t.Errorf("eva, %.10q: got %s, want %s", content, got, want)
		}
		if got := has(bob, content); got != lonja.NoSuchFile.Error() {
			t.Errorf("bob, %.10q: got %s", content, got)
		}
	}
	if got := len(bob.partial(listing.Proof.File)); got != 0 {
		t.Errorf("bob is told of %d who fetch it", got)
	}
	close(goOn)
	v.ok(<-done)
	if got := has(eva, "first"); got != lonja.NoSuchFile.Error() {
		t.Errorf("when all is done: got %s", got)
	}

	silent := v.residentWith("silent", func(o *Options) { o.Secure.PartialOff = true })
	ana.offerFolder(v.plant(t.TempDir(), map[string]string{"film": film}), "more")
	goOn, done = silent.fetchFolderHeld("more", filepath.Join(t.TempDir(), "got"), 3<<20)
	if told := silent.dialect.(*secureDialect).fetching.told(); len(told) > 0 {
		t.Errorf("the directory is told of %v", told)
	}
	close(goOn)
	v.ok(<-done)
}
