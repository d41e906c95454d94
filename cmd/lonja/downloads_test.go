package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lonja/internal/downloads"
)

// large makes a file of random content.
func (v *visitor) large(name string, mib int) string {
	v.Helper()
	b := make([]byte, mib<<20)
	_, _ = rand.NewChaCha8([32]byte([]byte(name + strings.Repeat(".", 32))[:32])).Read(b)
	return v.file(name, string(b))
}

// freeze stops a process as a machine does that hangs; it is killed all the same.
func (p *process) freeze() { p.signal(syscall.SIGSTOP) }

func (p *process) thaw() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// event is what any event of a download may have.
type event struct {
	Event    string           `json:"event"`
	Time     time.Time        `json:"time"`
	Download string           `json:"download"`
	Path     string           `json:"path"`
	Size     int64            `json:"size"`
	Received *int64           `json:"received"`
	Pieces   *int64           `json:"pieces"`
	Of       int64            `json:"of"`
	Holder   downloads.Holder `json:"holder"`
	From     []string         `json:"from"`
	Waits    string           `json:"waits"`
	Error    string           `json:"error"`
	Kind     string           `json:"kind"`
}

// lastOf returns the last of what there is.
func lastOf[T any](all []T) (last T) {
	if len(all) > 0 {
		last = all[len(all)-1]
	}
	return last
}

// waitEvent waits until a command has written an event that is the one.
func (p *process) waitEvent(what string, is func(event) bool) (found event) {
	p.t.Helper()
	p.waitOutput(what, func(out []byte) bool {
		for line := range strings.Lines(string(out)) {
			var e event
			if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &e) == nil && is(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// begun fetches with a holder that freezes when some pieces have come, and not all: on
// a busy machine that may take more than one try.
func (v *visitor) begun(name string, holder *process, args ...string) (get *process, id string) {
	v.Helper()
	for range 5 {
		get = v.start(append([]string{"get", name, "--json", "--progress", "1ms"}, args...)...)
		e := get.waitEvent("some pieces", func(e event) bool { return e.Event == eventProgress && *e.Pieces > 0 || e.Event == eventDone })
		holder.freeze()
		if d := v.listed()[name]; d.State == string(downloads.Running) && d.Received < d.Size {
			return get, e.Download
		}
		holder.thaw()
		if status := get.wait(); status != 0 {
			v.Fatalf("got status %d", status)
		}
		v.does("downloads", "clear")
		if err := os.Remove(filepath.Join(v.home, name)); err != nil {
			v.Fatal(err)
		}
	}
	v.Fatalf("%s always came at once", name)
	return nil, ""
}

// asked repeats a question until its answer is content.
func (v *visitor) asked(what string, content func(out string) bool, args ...string) string {
	v.Helper()
	for end := time.Now().Add(patience); ; {
		out := v.does(args...)
		if content(out) {
			return out
		}
		if time.Now().After(end) {
			v.Fatalf("%s never came: %v says\n%s", what, args, out)
		}
	}
}

// listed returns the downloads by the base names of their files.
func (v *visitor) listed() map[string]downloadLine {
	v.Helper()
	all := make(map[string]downloadLine)
	for _, d := range lines[downloadLine](v.T, v.does("downloads", "--json")) {
		all[filepath.Base(d.Path)] = d
	}
	return all
}

func (v *visitor) wantDownload(base string, want downloads.State) downloadLine {
	v.Helper()
	d := v.listed()[base]
	if d.State != string(want) {
		v.Errorf("%s: got %+v, want %s", base, d, want)
	}
	return d
}

func (v *visitor) wantNoParts() {
	v.Helper()
	if left, err := filepath.Glob(filepath.Join(v.home, ".*.lonja-part")); err != nil || len(left) > 0 {
		v.Errorf("left are %v, %v", left, err)
	}
}

// TestGetEvents: what programs are told of a download, from its beginning to its end.
func TestGetEvents(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.console()
	ana.does("publish", ana.large("film.mkv", 8))
	out := luis.does("get", "film.mkv", "--json", "--progress", "1ms")
	events := lines[event](t, out)
	var kinds []string
	last := int64(0)
	for _, e := range events {
		kinds = append(kinds, e.Event)
		if e.Time.IsZero() || e.Download != events[0].Download || e.Download == "" {
			t.Errorf("got %+v", e)
		}
		if e.Event == eventProgress {
			if *e.Pieces < last || e.Of != 8 || e.Size != 8<<20 {
				t.Errorf("got %+v after %d pieces", e, last)
			}
			last = *e.Pieces
		}
	}
	joined := slices.IndexFunc(events, func(e event) bool { return e.Event == eventJoined && e.Holder.User == "ana" })
	if kinds[0] != eventStarted || *events[0].Received != 0 || events[0].Path != "film.mkv" || joined < 0 || !strings.HasPrefix(events[joined].Holder.At, "127.0.0.1:") {
		t.Errorf("got %s", out)
	}
	if done := lastOf(events); done.Event != eventDone || !slices.Equal(done.From, []string{"ana"}) {
		t.Errorf("got %+v", done)
	}
	if d := luis.wantDownload("film.mkv", downloads.Done); d.Received != 8<<20 || d.Path != filepath.Join(luis.home, "film.mkv") {
		t.Errorf("got %+v", d)
	}
	luis.fails(1, "is there already", "resume", "film.mkv")
	luis.does("downloads", "clear")
	if all := luis.listed(); len(all) != 0 {
		t.Errorf("got %v", all)
	}
	luis.fails(2, "no download is called film.mkv", "why", "film.mkv")
	luis.fails(2, "--max-downloads", "downloads", "run", "--max-downloads", "-1")
	luis.fails(2, "no number", "downloads", "priority", "x", "y")
}

// TestGetTellsPlainly: without a terminal, a line now and then says how far it is.
func TestGetTellsPlainly(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.console()
	ana.does("publish", ana.large("film.mkv", 32))
	status, stdout, stderr := luis.try("get", "film.mkv", "--progress", "1ms")
	first := firstLine(stderr)
	if status != 0 || stdout != "film.mkv: 33554432 bytes from ana\n" || !strings.HasPrefix(first, "lonja: film.mkv: ") || !strings.Contains(first, " of 33.6 MB, ") ||
		!strings.Contains(stderr, "1 holder, piece ") {
		t.Errorf("got status %d, %q and %q", status, stdout, first)
	}
	luis.does("get", "film.mkv", "-o", "silent", "--progress", "0")
}

// TestDownloadsBackground: what is queued is fetched by a node that runs, by priority,
// so many at once; what nobody has is tried again.
func TestDownloadsBackground(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	holder := ana.console()
	for _, name := range []string{"a", "b", "c", "d"} {
		ana.does("publish", ana.file(name, "the content of "+name))
	}
	for i, name := range []string{"a", "b", "c", "d"} {
		_, _, stderr := luis.try("get", name, "-b", "--priority", string("0231"[i]))
		if !strings.Contains(stderr, "no node of yours runs here") {
			t.Errorf("got %q", stderr)
		}
	}
	luis.does("downloads", "priority", luis.listed()["b"].ID, "--", "-5")
	out := luis.does("downloads", "run", "--max-downloads", "1")
	order := ""
	for line := range strings.Lines(out) {
		order += filepath.Base(strings.Fields(line)[1])
	}
	if order != "cdab" {
		t.Errorf("fetched were %s: %s", order, out)
	}
	luis.holds("c", "the content of c")

	holder.freeze() // whoever asks waits
	for _, name := range []string{"e", "g", "h"} {
		luis.does("get", lines[publishedLine](t, ana.does("publish", ana.file(name, "the content of "+name), "--json"))[0].File, "-o", name, "--background")
	}
	if err := os.Mkdir(filepath.Join(luis.home, "public"), 0o700); err != nil {
		t.Fatal(err)
	}
	share := luis.share("public", "--max-downloads", "2")
	luis.asked("two that run", func(out string) bool { return strings.Count(out, `"running"`) == 2 }, "downloads", "--json")
	if out := luis.does("downloads", "--json"); strings.Count(out, `"queued"`) != 1 {
		t.Errorf("got %s", out)
	}
	holder.thaw()
	for _, name := range []string{"e", "g", "h"} {
		share.waitFor("fetched " + filepath.Join(luis.home, name) + " ")
		luis.holds(name, "the content of "+name)
	}
	if status := share.end(syscall.SIGINT); status != 0 {
		t.Errorf("share ended with status %d", status)
	}
}

// TestDownloadPausedByAnother: one process fetches, others pause and cancel it and go
// on with it.
func TestDownloadPausedByAnother(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	holder := ana.console()
	ana.does("publish", ana.large("film.mkv", 128))
	get, id := luis.begun("film.mkv", holder)
	luis.fails(1, "is being fetched already", "get", "film.mkv")
	luis.does("pause", id[:3])
	if status := get.wait(); status != 1 || !strings.Contains(get.stderr.String(), `is paused: "lonja resume `+id) {
		t.Errorf("got status %d and %q", status, get.stderr.String())
	}
	if last := lastOf(lines[event](t, get.output())); last.Event != eventPaused {
		t.Errorf("got %+v", last)
	}
	if d := luis.wantDownload("film.mkv", downloads.Paused); d.Received < 1<<20 {
		t.Errorf("got %+v", d)
	}
	if out := luis.does("why", id); !strings.Contains(out, `"lonja resume `+id+`" goes on`) {
		t.Errorf("got %s", out)
	}

	again := luis.start("resume", "film.mkv", "--json", "--progress", "1ms")
	again.waitEvent("what was there", func(e event) bool { return e.Event == eventProgress && *e.Pieces > 0 })
	luis.wantDownload("film.mkv", downloads.Running)
	if out := luis.does("cancel", id); !strings.HasPrefix(out, "canceled download "+id) {
		t.Errorf("got %q", out)
	}
	if status := again.wait(); status != 1 || !strings.Contains(again.stderr.String(), "was canceled") {
		t.Errorf("got status %d and %q", status, again.stderr.String())
	}
	luis.wantNoParts()
	if all := luis.listed(); len(all) != 0 {
		t.Errorf("got %v", all)
	}

	holder.thaw()
	interrupted, id := luis.begun("film.mkv", holder)
	if status := interrupted.end(syscall.SIGINT); status != 1 {
		t.Errorf("got status %d", status)
	}
	luis.wantDownload("film.mkv", downloads.Paused)
	holder.thaw()
	if e := lines[event](t, luis.does("resume", id, "--json")); lastOf(e).Event != eventDone || *e[0].Received == 0 {
		t.Errorf("got %+v", e)
	}
	luis.wantNoParts()
}

// TestDownloadFails: what was tried is said, and what to do; a node tries again what
// passes.
func TestDownloadFails(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	holder := ana.console()
	ana.does("publish", ana.file("poem.txt", "I met a traveller"))
	luis.does("get", "poem.txt", "-b")
	d := luis.wantDownload("poem.txt", downloads.Queued)
	holder.end(syscall.SIGINT)
	status, stdout, stderr := luis.try("resume", d.ID, "--json")
	if status != 1 || !strings.Contains(stderr, "no connected user has the file") || !strings.Contains(stderr, `"lonja resume `+d.ID+`" tries again`) {
		t.Errorf("got status %d and %q", status, stderr)
	}
	if e := lines[event](t, stdout); lastOf(e).Event != eventFailed || lastOf(e).Kind == "" {
		t.Errorf("got %s", stdout)
	}
	if d := luis.wantDownload("poem.txt", downloads.Failed); !strings.Contains(d.Error, "no connected user") {
		t.Errorf("got %+v", d)
	}
	luis.does("resume", d.ID, "--background")
	run := luis.start("downloads", "run", "--json")
	run.waitEvent("that it waits", func(e event) bool { return e.Event == eventWaiting })
	ana.console()
	run.waitEvent("the end", func(e event) bool { return e.Event == eventDone })
	if status := run.wait(); status != 0 {
		t.Errorf("got status %d", status)
	}
	luis.holds("poem.txt", "I met a traveller")

	ana.does("publish", ana.file("other.txt", "other"))
	luis.does("get", "other.txt", "-b")
	luis.file("other.txt", "is there by now")
	luis.fails(1, "1 of the downloads failed", "downloads", "run")
	luis.wantDownload("other.txt", downloads.Failed)
	luis.holds("other.txt", "is there by now")
}

// TestKeepTrying: who is told so waits for holders that are gone, and goes on with what
// is there once one is back.
func TestKeepTrying(t *testing.T) {
	t.Parallel() // it waits for holders to be given up
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	holder := ana.console()
	ana.does("publish", ana.large("film.mkv", 96))
	get, id := luis.begun("film.mkv", holder, "--keep-trying")
	holder.signal(syscall.SIGKILL)
	holder.wait()
	waits := get.waitEvent("that it waits", func(e event) bool { return e.Waits != "" })
	if !strings.Contains(waits.Waits, "tried again in 5s") || *waits.Received == 0 {
		t.Errorf("got %+v", waits)
	}
	luis.asked("that it waits", func(out string) bool { return strings.Contains(out, "waits: tried again in ") }, "why", id)
	ana.console()
	if status := get.wait(); status != 0 {
		t.Errorf("got status %d", status)
	}
	luis.wantDownload("film.mkv", downloads.Done)
}

// TestDownloadsComplete: the shell proposes what is on the list.
func TestDownloadsComplete(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.console()
	ana.does("publish", ana.file("poem.txt", "one"))
	luis.does("get", "poem.txt")
	id := luis.listed()["poem.txt"].ID
	for _, words := range [][]string{{"why", ""}, {"pause", id[:1]}, {"resume", ""}, {"cancel", ""}, {"downloads", "priority", ""}} {
		if got := luis.proposals(words...); got != id+" done poem.txt" {
			t.Errorf("%v: got %q", words, got)
		}
	}
	if got := luis.proposals("why", id, ""); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestGetOnTerminal: a person sees how far it is, and is told when it is there.
func TestGetOnTerminal(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	holder := ana.console()
	ana.does("publish", ana.large("film.mkv", 8))
	if err := os.Symlink(filepath.Join(luis.home, ".local", "state"), filepath.Join(luis.home, "state")); err != nil {
		t.Fatal(err)
	}
	holder.freeze()
	term := openTerminal(t, luis.home, "get", "film.mkv", "-s", luis.at)
	term.waitFor("film.mkv", "/ 8.0 MiB", "0 B/s, 0 holders, piece 0 of 8")
	holder.thaw()
	term.waitFor("film.mkv: 8388608 bytes from ana")
}
