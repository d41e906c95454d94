package main

import (
	"strings"
	"syscall"
	"testing"
)

// TestEvents: what happens is told as it does, to whom may know of it.
func TestEvents(t *testing.T) {
	f := openFair(t)
	ana, luis, eve := f.join("ana"), f.join("luis"), f.join("eve")
	all := luis.start("events", "--json")
	matching := eve.start("events", "--matching", "poem")
	all.waitFor(`{"event":"lost"}`)
	matching.waitFor("lost")
	console := ana.console()
	all.waitFor(`{"event":"connected","user":"ana"`)
	ana.does("publish", ana.file("letter.txt", "dear luis, a poem"), "-d", "poem", "--to", "luis")
	ana.does("publish", ana.file("poem.txt", "for all"))
	all.waitFor(`"name":"letter.txt"`)
	matching.waitFor("poem.txt")
	ana.does("unpublish", "poem.txt")
	matching.waitFor("withdrawn  ana poem.txt")
	console.stop()
	all.waitFor(`{"event":"left","user":"ana"`)
	told := lines[eventLine](t, all.output())
	kinds := ""
	for _, e := range told {
		kinds += e.Event + " "
	}
	if kinds != "lost connected published published withdrawn left " || *told[2].Size != 17 || told[2].Dialect != dialectSecure {
		t.Errorf("got %s, %+v", kinds, told)
	}
	if out := matching.output(); strings.Contains(out, "letter") || strings.Contains(out, "connected") {
		t.Errorf("eve was told %s", out)
	}
	for _, p := range []*process{all, matching} {
		if status := p.end(syscall.SIGINT); status != 0 {
			t.Errorf("ended with status %d", status)
		}
	}
	eve.fails(2, "--matching", "events", "--matching", strings.Repeat("x", 300))
}
