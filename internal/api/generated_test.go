//go:build interop

package api

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGenerated: what is committed is what scripts/generate makes.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../../scripts/generate", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	made := filepath.Join(dir, "internal", "api")
	for _, name := range []string{
		"directory.pb.go", "directory_vtproto.pb.go", "words.pb.go", "words_vtproto.pb.go", "apiconnect/directory.connect.go",
	} {
		want, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what the definition says: run scripts/generate", name)
		}
	}
}
