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

// TestEventsOfHolders: who has a content is told as it changes, whatever they call it,
// and nothing else is.
func TestEventsOfHolders(t *testing.T) {
	f := openFair(t)
	ana, luis, eva := f.join("ana"), f.join("luis"), f.join("eva")
	eva.fails(1, "no connected user has poem.txt", "events", "--holders", "poem.txt")
	anas := ana.console()
	ana.does("publish", ana.file("poem.txt", "one"), ana.file("other.txt", "two"))
	id := lines[publishedLine](t, ana.does("publish", ana.file("again.txt", "three"), "--json"))[0].File
	byName := eva.start("events", "--holders", "poem.txt", "--holders", "again.txt", "--json")
	byID := eva.start("events", "--holders", id)
	byName.waitFor(`{"event":"lost"}`)
	byID.waitFor("lost")

	luiss := luis.console()
	luis.does("publish", luis.file("verse.txt", "one"), luis.file("more.txt", "two"))
	byName.waitFor(`{"event":"appeared","user":"luis","name":"verse.txt"`)
	luiss.stop()
	byName.waitFor(`{"event":"gone","user":"luis","name":"verse.txt"`)
	ana.does("unpublish", "again.txt")
	byName.waitFor(`{"event":"gone","user":"ana","name":"again.txt"`)
	anas.stop()
	byName.waitFor(`{"event":"gone","user":"ana","name":"poem.txt"`)
	kinds := ""
	for _, e := range lines[eventLine](t, byName.output()) {
		kinds += e.Event + " "
		if e.Event == "appeared" && (len(e.Ways) == 0 || e.Key == "" || e.File == "" || *e.Size != 3) {
			t.Errorf("got %+v", e)
		}
	}
	if kinds != "lost appeared gone gone gone " {
		t.Errorf("got %s", kinds)
	}
	byID.waitFor("gone       ana again.txt")
	if out := byID.output(); strings.Count(out, "\n") != 2 {
		t.Errorf("by its id: got %s", out)
	}
	eva.fails(2, "--holders", "events", "--holders", "")
}
