package node

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
)

// TestFetchFromAll: a content comes from all who have it, whatever they call it;
// what is there already is left alone unless it may be replaced.
func TestFetchFromAll(t *testing.T) {
	v := newTown(t)
	content := strings.Repeat("0123456789abcdef", 5<<20/16) + "."
	luis := v.resident("luis")
	for _, name := range []lonja.UserName{"ana", "eva", "ben"} {
		holder := v.resident(name)
		v.ok(holder.Publish(t.Context(), holder.write("film.mkv", content), ""))
	}
	target := filepath.Join(t.TempDir(), "got")
	v.ok(luis.FetchMulti(t.Context(), "film.mkv", target, nil))
	got, err := os.ReadFile(target)
	if err != nil || !bytes.Equal(got, []byte(content)) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(target)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestSeveralContents: a name that stands for several contents is not fetched, but
// each is told, with who has it; one by its id is.
func TestSeveralContents(t *testing.T) {
	v := newTown(t)
	luis := v.resident("luis")
	for name, content := range map[lonja.UserName]string{"ana": "one", "ben": "one", "eva": "another"} {
		holder := v.resident(name)
		v.ok(holder.Publish(t.Context(), holder.write("f", content), ""))
	}
	target := filepath.Join(t.TempDir(), "got")
	err := luis.FetchMulti(t.Context(), "f", target, nil)
	v.is(err, lonja.Disagreement)
	listings, listed := luis.ListContent(t.Context(), "eva")
	v.ok(listed)
	id := listings[0].Proof.File.String()
	if !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), "eva") {
		t.Errorf("%v does not tell of %s", err, id)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("something was fetched")
	}
	v.ok(luis.FetchMulti(t.Context(), lonja.FileName(id), target, nil))
	if got, err := os.ReadFile(target); string(got) != "another" {
		t.Errorf("got %q, %v", got, err)
	}
}
