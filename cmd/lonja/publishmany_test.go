package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestPublishMany: of many files only their number is said, one that cannot be
// published does not keep the others from it, and the same command again is no error.
func TestPublishMany(t *testing.T) {
	f := openFair(t)
	ana := f.join("ana")
	const files = 3 * manyFiles
	for i := range files {
		ana.file(fmt.Sprintf("many/f%d.txt", i), fmt.Sprint(i))
	}
	if out := ana.does("publish", "many"); out != fmt.Sprintf("published %d of %d files, 340 B in all\n", files, files) {
		t.Errorf("got %q", out)
	}
	if listed := lines[publishedLine](t, ana.does("ls", "--json")); len(listed) != files {
		t.Errorf("%d are listed, want %d", len(listed), files)
	}
	long := strings.Repeat("x", 200)
	ana.file("many/"+long+"/"+long, "too deep")
	ana.file("many/one more.txt", "!")
	status, out, stderr := ana.try("publish", "many")
	if want := fmt.Sprintf("published %d of %d files", files+1, files+2); status != 1 || !strings.HasPrefix(out, want) {
		t.Errorf("got status %d and %q, want 1 and %q", status, out, want)
	}
	if !strings.Contains(stderr, long+"/"+long+": file name is too long") || !strings.Contains(stderr, "--folder") || strings.Count(stderr, "\n") != 2 {
		t.Errorf("got %q", stderr)
	}
	if _, out, _ := ana.try("publish", "many", "--json", "--as", "again"); len(lines[publishedLine](t, out)) != files+1 {
		t.Errorf("as JSON each is told of; got %s", out)
	}
}
