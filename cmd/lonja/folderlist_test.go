package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lonja/internal/downloads"
)

// publishThings has ana publish a folder of so many small files and two big ones.
func publishThings(ana *visitor, small int) {
	ana.Helper()
	for i := range small {
		ana.file(fmt.Sprintf("things/%d/%d", i%10, i), fmt.Sprintf("content %d", i))
	}
	ana.large("things/film.mkv", 12)
	ana.large("things/0/song.ogg", 8)
	ana.does("publish", "--folder", "things")
}

// slowly has a folder come in some ten seconds.
var slowly = []string{"--limit-down", "2MB/s", "--limit-lan"}

// wantThings fails unless the folder is there, whole and with nothing beside it.
func (v *visitor) wantThings(ana *visitor, local string) {
	v.Helper()
	for name := range strings.SplitSeq("film.mkv 0/song.ogg 0/0 9/19", " ") {
		want, err := os.ReadFile(filepath.Join(ana.home, "things", name))
		if err != nil {
			v.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(v.home, local, name)); err != nil || string(got) != string(want) {
			v.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	v.wantNoFolderParts(local)
}

// wantNoFolderParts fails if anything unfinished is left of a folder.
func (v *visitor) wantNoFolderParts(local string) {
	v.Helper()
	_ = filepath.WalkDir(filepath.Join(v.home, local), func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".lonja-part") {
			v.Errorf("%s is left", path)
		}
		return nil
	})
}

// TestFolderOnTheList: it is paused, asked about, resumed and given up from another
// terminal, and tells its events, as a file does.
func TestFolderOnTheList(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.console()
	publishThings(ana, 20)
	get := luis.start(append([]string{"get", "things", "--json", "--progress", "1ms"}, slowly...)...)
	some := get.waitEvent("some bytes of the big files", func(e event) bool { return e.Event == eventProgress && *e.Received > 3<<20 })
	luis.fails(1, "is being fetched already", "get", "things", "--background")
	why := lines[whyLine](t, luis.does("why", "things", "--json"))[0]
	if why.Kind != kindFolder || why.Status == nil || why.Status.OfFiles != 22 || len(why.Status.Holders) != 1 || why.Status.Holders[0].Conns == 0 {
		t.Errorf("got %+v", why)
	}
	if out := luis.does("why", "things"); !strings.Contains(out, " of 22") || !strings.Contains(out, "this machine") {
		t.Errorf("got %s", out)
	}
	luis.does("pause", "things")
	if status := get.wait(); status != 1 {
		t.Errorf("got status %d", status)
	}
	paused := lines[event](t, get.output())
	if paused[0].Event != eventStarted || lastOf(paused).Event != eventPaused || !slices.ContainsFunc(paused, func(e event) bool { return e.Event == eventJoined && e.Holder.User == "ana" }) {
		t.Errorf("got %+v", paused)
	}
	if d := luis.wantDownload("things", downloads.Paused); d.ID != some.Download || d.Received < 1<<20 || d.Kind != kindFolder {
		t.Errorf("got %+v", d)
	}

	resumed := lines[event](t, luis.does("resume", "things", "--json", "--progress", "1ms"))
	if done := lastOf(resumed); done.Event != eventDone || !slices.Equal(done.From, []string{"ana"}) {
		t.Errorf("got %+v", done)
	}
	luis.wantDownload("things", downloads.Done)
	luis.wantThings(ana, "things")

	get = luis.start(append([]string{"get", "things", "-o", "again", "--json", "--progress", "1ms"}, slowly...)...)
	get.waitEvent("some bytes of the big files", func(e event) bool { return e.Event == eventProgress && *e.Received > 3<<20 })
	luis.does("cancel", "again")
	get.wait()
	if lastOf(lines[event](t, get.output())).Event != eventCanceled {
		t.Errorf("got %s", get.output())
	}
	if _, there := luis.listed()["again"]; there {
		t.Error("it is listed still")
	}
	luis.wantNoFolderParts("again")
}

// TestFolderInBackground: a node fetches what is queued of a folder, also what another
// process was killed at; of one that is given up while nobody fetches it, nothing
// unfinished is left.
func TestFolderInBackground(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.console()
	publishThings(ana, 20)
	kill := func(local string) {
		get := luis.start(append([]string{"get", "things", "-o", local, "--json", "--progress", "1ms"}, slowly...)...)
		get.waitEvent("some bytes of the big files", func(e event) bool { return e.Event == eventProgress && *e.Received > 3<<20 })
		get.end(syscall.SIGKILL)
		luis.wantDownload(local, downloads.Interrupted)
	}
	kill("dropped")
	luis.does("cancel", "dropped")
	luis.wantNoFolderParts("dropped")
	kill("killed")
	luis.does("get", "things", "-o", "part", "--include", "*/*.ogg", "--include", "9", "--background", "--priority", "5")
	if d := luis.wantDownload("part", downloads.Queued); d.Priority != 5 || !slices.Equal(d.Include, []string{"*/*.ogg", "9"}) || d.Size <= 20<<20 {
		t.Errorf("got %+v", d)
	}
	luis.console()
	luis.asked("the end of both", func(out string) bool { return strings.Count(out, `"done"`) == 2 }, "downloads", "--json")
	luis.wantThings(ana, "killed")
	luis.wantNoFolderParts("part")
	luis.holds("part/9/19", "content 19")
	if d := luis.wantDownload("part", downloads.Done); d.Size != 8<<20+19 || d.Received != d.Size {
		t.Errorf("got %+v", d)
	}
	for _, name := range []string{"part/film.mkv", "part/0/0"} {
		if _, err := os.Lstat(filepath.Join(luis.home, name)); err == nil {
			t.Errorf("%s came, which was not wanted", name)
		}
	}
}
