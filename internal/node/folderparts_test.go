package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

// TestFolderBringsParts: a folder that brings along what looks like the checked parts
// of one of its own files has that file fetched and checked like any other.
func TestFolderBringsParts(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	good := random(2*tree.PieceSize + 5)
	id := idOf(good)
	dir := t.TempDir()
	parts, err := unfinished.Open(filepath.Join(dir, "big.bin"), unfinished.Options{ID: id, Size: int64(len(good))})
	v.ok(err)
	evil := []byte(strings.Repeat("evil", tree.PieceSize/4))
	for p := range int64(3) {
		v.ok(parts.Put(p, evil[:min(tree.PieceSize, len(good)-int(p)*tree.PieceSize)]))
	}
	v.ok(parts.Close())
	ana.offerFolder(v.plant(dir, map[string]string{"big.bin": good}), "things")
	target := filepath.Join(t.TempDir(), "got")
	_, err = luis.getFolder("things", target)
	v.ok(err)
	if b, err := os.ReadFile(filepath.Join(target, "big.bin")); err != nil || string(b) != good {
		t.Errorf("the file has not the content that its id stands for (%v), and nobody noticed", err)
	}
}

// TestListThatCannotBeHad: what has come of a folder stays when another one is asked
// for at its place, and its list cannot be had.
func TestListThatCannotBeHad(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	ana.offerFolder(v.plant(t.TempDir(), map[string]string{"one": "first"}), "things")
	dir := t.TempDir()
	came := ".lonja-part/" + idOf("first").String() + "-7"
	v.plant(dir, map[string]string{came: "first"})
	errand, err := luis.Errand("luis")
	v.ok(err)
	choices, err := errand.Choices(t.Context(), lonja.Wanted{Name: "things"}, "")
	v.ok(err)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = errand.FetchFolder(ended, FolderFetching{Fetching: Fetching{Choice: choices[0], Local: dir}})
	v.is(err, lonja.Canceled)
	if b, err := os.ReadFile(filepath.Join(dir, came)); err != nil || string(b) != "first" {
		t.Errorf("what had come is gone: %v", err)
	}
	got, err := luis.getFolder("things", dir)
	v.ok(err)
	v.wantGrown(dir, map[string]string{"one": "first"})
	if got.Kept != 1 {
		t.Errorf("got %+v", got)
	}
}
