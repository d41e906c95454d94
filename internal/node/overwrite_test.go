package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lonja"
)

// TestNothingIsReplaced: what a console fetches takes the place of no file that is
// there, nor of a link.
func TestNothingIsReplaced(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	v.ok(ana.Publish(t.Context(), ana.write("f", "hers"), ""))
	dir := t.TempDir()
	mine, link := filepath.Join(dir, "mine"), filepath.Join(dir, "link")
	v.ok(os.WriteFile(mine, []byte("three years of work"), 0o600))
	v.ok(os.Symlink(mine, link))
	for _, target := range []string{mine, link} {
		for what, err := range map[string]error{
			"GET_FILE":      luis.FetchFile(t.Context(), "ana", "f", target, nil),
			"GET_MULTIFILE": luis.FetchMulti(t.Context(), "f", target, nil),
		} {
			if lonja.KindOf(err) != lonja.Invalid || !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s to %s: got %v, want Invalid, since it exists", what, target, err)
			}
		}
		if got, err := os.ReadFile(target); err != nil || string(got) != "three years of work" {
			t.Errorf("%s is %q now, %v", target, got, err)
		}
	}
}
