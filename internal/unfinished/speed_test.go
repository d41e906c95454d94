package unfinished

import (
	"os"
	"path/filepath"
	"testing"

	"lonja/internal/tree"
)

// BenchmarkReceive writes 1 GiB in pieces, 64 KiB at a time as they come from a
// connection, beside what a bare file takes for it; and the same until all of it
// is on the disk.
func BenchmarkReceive(b *testing.B) {
	const (
		size = 1 << 30
		step = 64 << 10
	)
	content := contentAt(idA, 0, tree.PieceSize)
	bare := func(b *testing.B, path string, sync bool) {
		file, err := os.Create(path)
		must(b, err)
		for at := int64(0); at < size; at += step {
			_, err := file.WriteAt(content[at%tree.PieceSize:][:step], at)
			must(b, err)
		}
		if sync {
			must(b, file.Sync())
		}
		b.StopTimer()
		must(b, file.Close())
		must(b, os.Remove(path))
		b.StartTimer()
	}
	pieces := func(b *testing.B, path string, commit bool) {
		f := begin(b, path, Options{ID: idA, Size: size})
		for p := range f.layout.Pieces() {
			must(b, f.Put(p, content))
		}
		if commit {
			must(b, f.Commit())
			b.StopTimer()
			must(b, os.Remove(path))
			b.StartTimer()
		}
		b.StopTimer()
		must(b, f.Discard())
		b.StartTimer()
	}
	for _, way := range []struct {
		name string
		run  func(b *testing.B, path string)
	}{
		{"bare", func(b *testing.B, path string) { bare(b, path, false) }},
		{"unfinished", func(b *testing.B, path string) { pieces(b, path, false) }},
		{"bare and synced", func(b *testing.B, path string) { bare(b, path, true) }},
		{"unfinished and committed", func(b *testing.B, path string) { pieces(b, path, true) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(size)
			path := filepath.Join(b.TempDir(), "file")
			for b.Loop() {
				way.run(b, path)
			}
		})
	}
}
