package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// here waits until the directory shows exactly these users as connected, in any order.
func (v *visitor) here(users ...string) {
	v.Helper()
	v.asked(fmt.Sprint("that these are here: ", users), func(out string) bool {
		there := make(map[string]bool)
		for _, u := range lines[presentLine](v.T, out) {
			there[u.User] = true
		}
		for _, user := range users {
			if !there[user] {
				return false
			}
		}
		return len(there) == len(users)
	}, "who", "--json")
}

var sentBytes = regexp.MustCompile(`transfer (done|broken off).* bytes=(\d+)`)

// bytesSent sums up what a node with --verbose says that it has sent of contents.
func (p *process) bytesSent() (n int64) {
	for _, m := range sentBytes.FindAllStringSubmatch(p.stderr.String(), -1) {
		b, _ := strconv.ParseInt(m[2], 10, 64)
		n += b
	}
	return n
}

// TestGetsGiveEachOther: three commands that fetch a file at the same time from one
// whose line is slow take most of it from each other. While they do they are connected,
// and once they have ended they are not.
func TestGetsGiveEachOther(t *testing.T) {
	const size = 12
	f := openFair(t)
	ana := f.join("ana")
	ana.large("public/film", size)
	share := ana.share("public", "--limit-up", "3MB/s", "--limit-lan", "--verbose")
	share.waitFor("published public/film")
	share.freeze() // until all three are there
	var gets []*process
	for _, name := range []string{"eva", "luis", "max"} {
		gets = append(gets, f.join(name).start("get", "film", "--keep-trying", "--listen", "127.0.0.1:0"))
	}
	ana.here("ana", "eva", "luis", "max")
	share.thaw()
	for _, get := range gets {
		if status := get.wait(); status != exitOK {
			t.Errorf("got status %d, %q", status, get.stderr.String())
		}
	}
	if sent := share.bytesSent(); sent < size<<20 || sent >= 5*size<<20/2 {
		t.Errorf("ana has sent %.2f times the file, want less than 2.5, of 3 without each other", float64(sent)/(size<<20))
	}
	t.Logf("ana has sent %.2f times the file", float64(share.bytesSent())/(size<<20))
	ana.here("ana")
}

// TestGetLeaves what it began of a session also when it is interrupted, and begins none
// where nobody is to be given anything.
func TestGetLeaves(t *testing.T) {
	f := openFair(t)
	ana, eva, luis := f.join("ana"), f.join("eva"), f.join("luis")
	ana.large("public/film", 4)
	share := ana.share("public")
	share.waitFor("published public/film")
	share.freeze()
	alone := luis.start("get", "film", "--keep-trying", "--json", "--partial", "off")
	alone.waitEvent("the download", func(e event) bool { return e.Event == eventStarted })
	get := eva.start("get", "film", "--keep-trying", "--listen", "127.0.0.1:0")
	ana.here("ana", "eva")
	if status := get.end(os.Interrupt); status == exitOK {
		t.Errorf("got status %d", status)
	}
	ana.here("ana")
	share.thaw()
	if status := alone.wait(); status != exitOK {
		t.Errorf("got status %d, %q", status, alone.stderr.String())
	}
}

// TestGetYields: a command that fetches something neither takes the session of a node of
// the same user nor keeps one from beginning its own.
func TestGetYields(t *testing.T) {
	f := openFair(t)
	ana, eva := f.join("ana"), f.join("eva")
	ana.large("public/film", 4)
	ana.large("public/song", 4)
	eva.file("own/poem", "one")
	holder := ana.share("public")
	holder.waitFor("published public/song")
	holder.freeze()
	first := eva.start("get", "film", "--keep-trying", "--listen", "127.0.0.1:0")
	ana.here("ana", "eva")
	share := eva.share("own") // takes the session from it
	share.waitFor("published own/poem")
	second := eva.start("get", "song", "--keep-trying", "--listen", "127.0.0.1:0", "--verbose")
	second.waitStderr("what is fetched is not given to others meanwhile")
	holder.thaw()
	for _, get := range []*process{first, second} {
		if status := get.wait(); status != exitOK {
			t.Errorf("got status %d, %q", status, get.stderr.String())
		}
	}
	if said := first.stderr.String(); strings.Contains(said, "served") {
		t.Errorf("who gave its session away said %q", said)
	}
	ana.does("get", "poem", "-o", "poem")
	ana.holds("poem", "one")
	if status := share.end(os.Interrupt); status != exitOK {
		t.Errorf("share: got status %d, %q", status, share.stderr.String())
	}
}

// TestGetLeavesAStuckQueue: whoever is at a place that does not change is told so in one
// sentence.
func TestGetLeavesAStuckQueue(t *testing.T) {
	f := openFair(t)
	ana, eva, luis := f.join("ana"), f.join("eva"), f.join("luis")
	ana.large("public/film", 48)
	share := ana.share("public", "--upload-slots", "1", "--limit-up", "1MB/s", "--limit-lan")
	share.waitFor("published public/film")
	first := luis.start("get", "film", "--partial", "off", "--json", "--progress", "1ms")
	first.waitEvent("that it has its turn", func(e event) bool { return e.Event == eventProgress && *e.Received > 0 })
	eva.fails(1, "place 1 in its queue has not changed for 50ms, and nothing comes", "get", "film", "--queue-patience", "50ms")
}
