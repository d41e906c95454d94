package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"lonja/internal/downloads"
)

// written returns how many bytes a process has written, to sockets too.
func (p *process) written() (n int64) {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	p.t.Fatalf("no figure in %s", text)
	return 0
}

// TestDownloadKilled: who fetches is killed; the list says so, and whoever goes on
// asks only for what is missing: as the holder's process counts it.
func TestDownloadKilled(t *testing.T) {
	t.Parallel() // it waits for a speed to sink
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	holder := ana.console()
	ana.does("publish", ana.large("film.mkv", 192))
	get, id := luis.begun("film.mkv", holder)
	var why whyLine
	luis.asked("a holder that sends nothing", func(out string) bool {
		why = whyLine{}
		if err := json.Unmarshal([]byte(out), &why); err != nil || why.Status == nil {
			t.Fatalf("%v: %s", err, out)
		}
		return len(why.Status.Holders) == 1 && why.Status.Speed == 0
	}, "why", id, "--json")
	stuck := why.Status.Holders[0]
	if stuck.User != "ana" || stuck.Conns == 0 || stuck.Way != wayLoopback || !strings.HasPrefix(stuck.At, "127.0.0.1:") || stuck.Pieces == 0 || stuck.Trip <= 0 {
		t.Errorf("got %+v", stuck)
	}
	if out := luis.does("why", id); !strings.Contains(out, "and sends nothing") || !strings.Contains(out, "this machine") {
		t.Errorf("got %s", out)
	}
	if why.Status.Of != 192 || why.Status.Pieces == 192 {
		t.Fatalf("the holder froze too late: %+v", why.Status)
	}
	get.signal(syscall.SIGKILL)
	get.wait()
	left := luis.wantDownload("film.mkv", downloads.Interrupted)
	if left.Received == 0 || left.Received > why.Status.Received {
		t.Errorf("%d bytes are said to be here, where %d had come", left.Received, why.Status.Received)
	}

	holder.thaw()
	before := holder.written()
	if e := lines[event](t, luis.does("resume", id, "--json")); lastOf(e).Event != eventDone || e[0].Received == nil || *e[0].Received != left.Received {
		t.Errorf("got %+v", e)
	}
	missing := (why.Status.Of - why.Status.Pieces) << 20
	if sent := holder.written() - before; sent > missing+missing/50+1<<20 || sent < missing/2 {
		t.Errorf("the holder sent %d bytes, where %d were missing", sent, missing)
	}
	luis.wantDownload("film.mkv", downloads.Done)
}

// TestDownloadTakenUp: a node that starts goes on with what another process was killed
// at.
func TestDownloadTakenUp(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	holder := ana.console()
	ana.does("publish", ana.large("film.mkv", 128))
	get, _ := luis.begun("film.mkv", holder)
	get.signal(syscall.SIGKILL)
	get.wait()
	luis.wantDownload("film.mkv", downloads.Interrupted)
	holder.thaw()
	luis.console()
	luis.asked("the end", func(out string) bool { return strings.Contains(out, `"done"`) }, "downloads", "--json")
	luis.wantNoParts()
}
