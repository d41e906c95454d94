package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lonja/internal/downloads"
)

// types types a command into a console.
func (p *process) types(command string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, command); err != nil {
		p.t.Fatal(err)
	}
}

// TestTypedIsListed: what is fetched in a console is on the list of downloads, where it can
// be asked about and stopped, and what a kill interrupts goes on.
func TestTypedIsListed(t *testing.T) {
	const size = 12
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.large("public/film", size)
	ana.file("public/poem", "one")
	share := ana.share("public", "--limit-up", "2MB/s", "--limit-lan", "--verbose")
	for _, name := range []string{"poem", "film"} {
		share.waitOutput(name, func(out []byte) bool { return bytes.Contains(out, []byte("published public/"+name)) })
	}
	console := luis.console()
	console.types("get_file ana public/poem poem")
	console.waitOutput("the poem", func(out []byte) bool { return bytes.Contains(out, []byte("GET_FILE OK")) })
	if d := luis.wantDownload("poem", downloads.Done); d.Path != filepath.Join(luis.home, "poem") || d.From != "ana" {
		t.Errorf("got %+v", d)
	}

	console.types("get_multifile film film")
	pieces := func(out string) bool {
		all := lines[whyLine](t, out)
		return len(all) == 1 && all[0].Status != nil && all[0].Status.Pieces > 0
	}
	luis.asked("that it is listed", func(out string) bool { return strings.Contains(out, `/film"`) }, "downloads", "--json")
	luis.asked("some pieces", pieces, "why", "film", "--json")
	luis.does("pause", "film")
	console.waitOutput("its end", func(out []byte) bool { return bytes.Contains(out, []byte("GET_MULTIFILE FAIL")) })
	luis.wantDownload("film", downloads.Paused)

	console.types("get_multifile film film")
	luis.asked("that it runs", func(out string) bool { return strings.Contains(out, `"running"`) }, "downloads", "--json")
	console.end(syscall.SIGKILL)
	luis.wantDownload("film", downloads.Interrupted)
	luis.does("resume", "film")
	got, err := os.ReadFile(filepath.Join(luis.home, "film"))
	want, _ := os.ReadFile(filepath.Join(ana.home, "public/film"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	if sent := share.bytesSent(); sent > (size+8)<<20 { // what was on its way, four times
		t.Errorf("%d bytes were sent of %d", sent, size<<20)
	}
}
