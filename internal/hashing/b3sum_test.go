//go:build interop

package hashing

import (
	"os/exec"
	"strings"
	"testing"

	"lonja/internal/tree"
)

// Our ids are what BLAKE3's own program prints (Debian package b3sum).
func TestSameAsB3sum(t *testing.T) {
	for _, size := range []int{0, 1, 1024, 1025, tree.PieceSize, tree.PieceSize + 1, 5*tree.PieceSize + 77777} {
		f := fileOf(t, random(size))
		r, err := File(t.Context(), f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("b3sum", "--no-names", f.Name()).Output()
		if err != nil {
			t.Fatalf("b3sum: %v", err)
		}
		if want := strings.TrimSpace(string(out)); r.ID.String() != want {
			t.Errorf("%d bytes: got %v, b3sum says %s", size, r.ID, want)
		}
	}
}
