package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lonja/internal/tree"
)

// TestFolders: a directory is published as one object, shown with what is in it, and
// fetched whole or in part.
func TestFolders(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.file("photos/2026/lark.jpg", "a lark")
	ana.file("photos/2026/notes.txt", "of birds")
	ana.file("photos/same.jpg", "a lark")
	if err := os.Chmod(ana.file("photos/show", "#!/bin/sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	ana.file("photos/.hidden", "hidden")
	if err := os.MkdirAll(filepath.Join(ana.home, "photos/empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(ana.home, "photos/link")); err != nil {
		t.Fatal(err)
	}
	ana.fails(2, "not a directory", "publish", "--folder", "photos/show")
	status, out, told := ana.try("publish", "--folder", "photos", "-d", "of birds")
	if status != 0 || !strings.Contains(out, "published photos (29 B in 4 files)") || !strings.Contains(told, "left out: link: it is a symbolic link") {
		t.Fatalf("status %d, %s%s", status, out, told)
	}
	ana.file("served/other.txt", "other")
	ana.share("served").waitFor("published served/other.txt")

	p := lines[publishedLine](t, luis.does("ls", "ana", "--json", "--user", "luis"))
	i := 0
	for i < len(p)-1 && p[i].Name != "photos" {
		i++
	}
	if p[i].Kind != kindFolder || *p[i].Files != 4 || *p[i].Size != 29 {
		t.Errorf("got %+v", p[i])
	}
	if out := luis.does("find", "birds"); !strings.Contains(out, "29 B in 4 files") {
		t.Errorf("find shows %s", out)
	}
	if found := lines[foundLine](t, luis.does("find", "birds", "--json"))[0]; found.Kind != kindFolder || *found.Files != 4 {
		t.Errorf("found %+v", found)
	}

	luis.fails(2, "no pattern", "get", "photos", "--include", "[")
	luis.fails(2, "is a file: --include is for folders", "get", "other.txt", "--include", "*")
	got := lastOf(lines[gottenFolder](t, luis.does("get", "photos", "--include", "**/*.jpg", "-o", "jpg", "--json")))
	if got.Files != 2 || got.Copied != 1 || got.Bytes != 12 || got.Kind != kindFolder {
		t.Errorf("got %+v", got)
	}
	luis.holds("jpg/2026/lark.jpg", "a lark")
	luis.holds("jpg/same.jpg", "a lark")
	if _, err := os.Lstat(filepath.Join(luis.home, "jpg/show")); err == nil {
		t.Error("more came than was asked for")
	}
	if out := luis.does("get", "photos"); out != "photos: 4 files, 29 bytes from ana, of which 1 were here\n" {
		t.Errorf("got %q", out)
	}
	luis.holds("photos/2026/notes.txt", "of birds")
	if info, err := os.Stat(filepath.Join(luis.home, "photos/show")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("photos/show: %v, %v", info, err)
	}
	for name, want := range map[string]bool{"photos/empty": true, "photos/.hidden": false, "photos/link": false, "photos/.lonja-part": false} {
		if _, err := os.Lstat(filepath.Join(luis.home, name)); (err == nil) != want {
			t.Errorf("%s is there: %t", name, err == nil)
		}
	}
	luis.file("photos/same.jpg", "mine")
	luis.fails(1, "other files are there already: same.jpg", "get", "photos")
	luis.holds("photos/same.jpg", "mine")
	luis.does("get", "photos", "--force")
	luis.holds("photos/same.jpg", "a lark")

	ana.does("unpublish", "photos")
	luis.fails(1, "no connected user has the file", "get", "photos", "-o", "again")
}

// parts returns the contents that a folder that is being received has, without names
// yet, by the beginning of their ids; what is half there is none.
func parts(t *testing.T, dir string) (found []string) {
	t.Helper()
	entries, _ := os.ReadDir(filepath.Join(dir, ".lonja-part"))
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, ".lonja-part", e.Name()))
		if id := tree.Sum(content).String(); err == nil && strings.HasPrefix(e.Name(), id) {
			found = append(found, id[:16])
		}
	}
	return found
}

// TestFolderSurvivesKills: "lonja get" is killed while small files come, and again
// while a large one does; what had come is not sent again.
func TestFolderSurvivesKills(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	const small = 600
	for i := range small {
		ana.file(fmt.Sprintf("things/%d/%d", i%10, i), strings.Repeat(fmt.Sprintf("content %d ", i), 100))
	}
	film := strings.Repeat("0123456789abcdef", (24<<20)/16)
	ana.file("things/film", film)
	ana.does("publish", "--folder", "things")
	ana.file("served/other.txt", "other")
	share := ana.share("served", "-v")
	target := filepath.Join(luis.home, "things")

	killWhen := func(what string, holds func() bool) {
		t.Helper()
		get := luis.start("get", "things", "--limit-down", "4MB/s", "--limit-lan")
		late := time.After(time.Minute)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !holds() {
			select {
			case <-tick.C:
			case <-get.exited:
				t.Fatalf("it ended before %s: %s", what, get.stderr.String())
			case <-late:
				t.Fatalf("it does not come to this: %s", what)
			}
		}
		get.end(syscall.SIGKILL)
	}
	sent := func(id string) int { return countSent(share.stderr.String(), id) }

	killWhen("a file has come", func() bool { return len(parts(t, target)) > 0 })
	came := parts(t, target)
	if _, err := os.Lstat(filepath.Join(target, "film")); err == nil || len(came) == 0 {
		t.Errorf("%d files have come, the film: %v", len(came), err)
	}
	before := make(map[string]int)
	for _, id := range came {
		before[id] = sent(id)
	}
	unfinished := filepath.Join(target, ".film.lonja-part", "data")
	killWhen("all small files have come, and not all of the film", func() bool {
		_, err := os.Stat(unfinished)
		named, _ := filepath.Glob(filepath.Join(target, "?", "*"))
		return err == nil && len(named) == small
	})
	if _, err := os.Lstat(filepath.Join(target, "film")); err == nil {
		t.Error("the film has its name before it is whole")
	}
	smallSent := strings.Count(share.stderr.String(), "transfer done")

	out := luis.does("get", "things")
	if !strings.Contains(out, fmt.Sprintf("of which %d were here", small)) {
		t.Errorf("got %q", out)
	}
	for _, id := range came {
		if now := sent(id); before[id] == 0 || now != before[id] {
			t.Errorf("%s was there, and was sent %d times before and %d in all", id, before[id], now)
		}
	}
	if now := strings.Count(share.stderr.String(), "transfer done"); now-smallSent > 30 { // the film's pieces, at most
		t.Errorf("%d transfers after all small files had come", now-smallSent)
	}
	luis.holds("things/film", film)
	for i := range small {
		luis.holds(fmt.Sprintf("things/%d/%d", i%10, i), strings.Repeat(fmt.Sprintf("content %d ", i), 100))
	}
	if left, err := filepath.Glob(filepath.Join(target, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// countSent returns how often a log tells that a content was sent.
func countSent(log, id string) (n int) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "transfer done") && strings.Contains(line, id) {
			n++
		}
	}
	return n
}
