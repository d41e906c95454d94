package folderfetch

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fileserver"
	"lonja/internal/folder"
	"lonja/internal/incoming"
	"lonja/internal/share"
	"lonja/internal/tree"
)

var folderFiles = flag.Int("folder-files", 100_000, "files in the folder of BenchmarkFolder")

// published serves a share.Set to everybody.
type published struct{ set *share.Set }

func (p published) OpenContent(_ context.Context, id lonja.FileID, member lonja.Member) (fileserver.Content, error) {
	f, size, err := p.set.OpenContent(id, member, func([]lonja.PublicKey) bool { return true })
	if err != nil {
		return nil, err
	}
	return fileserver.NewWhole(f, size, nil)
}

// BenchmarkFolder fetches a folder of files of 1 KiB, 1,000 in each directory, from
// one holder over TLS on loopback to a directory on tmpfs, each file checked. Both
// sides are in this process. Beside it stands what it takes to make such files and do nothing
// else.
//
//	go test ./internal/folderfetch -run '^$' -bench Folder -benchtime 3x
//	go test ./internal/folderfetch -run '^$' -bench Folder -benchtime 1x -timeout 20m -folder-files 1000000
func BenchmarkFolder(b *testing.B) {
	dir, err := os.MkdirTemp("/dev/shm", "lonja-bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	source, n := filepath.Join(dir, "source"), *folderFiles
	makeFiles(b, source, n)
	set, list := publishFolder(b, filepath.Join(dir, "state"), source)
	holder := newField(b).holder("ana", published{set})
	var fetching, making time.Duration
	for b.Loop() {
		target := filepath.Join(dir, "target")
		began := time.Now()
		fetchFolder(b, target, holder, list)
		fetching += time.Since(began)
		if err := os.RemoveAll(target); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		makeFiles(b, target, n)
		making += time.Since(began)
		if err := os.RemoveAll(target); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(n*b.N)/fetching.Seconds(), "files/s")
	b.ReportMetric(float64(n*b.N)/making.Seconds(), "made/s")
}

func makeFiles(b *testing.B, dir string, n int) {
	b.Helper()
	content := make([]byte, 1<<10)
	for i := range n {
		if i%1000 == 0 {
			if err := os.MkdirAll(filepath.Join(dir, fmt.Sprintf("%04d", i/1000)), 0o700); err != nil {
				b.Fatal(err)
			}
		}
		_, _ = rand.Read(content)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d/%03d", i/1000, i%1000)), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

func publishFolder(b *testing.B, state, dir string) (*share.Set, []byte) {
	b.Helper()
	set, err := share.Open(state, share.Key{Directory: "bench", User: "ana"})
	if err != nil {
		b.Fatal(err)
	}
	draft, err := set.DraftFolder(b.Context(), dir, share.Look{Hash: func(_ context.Context, f *os.File) (lonja.FileID, fs.FileInfo, error) {
		content, err := io.ReadAll(f)
		if err != nil {
			return lonja.FileID{}, nil, err
		}
		info, err := f.Stat()
		return tree.Sum(content), info, err
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer draft.Close()
	list, err := os.ReadFile(draft.List().Name())
	if err != nil {
		b.Fatal(err)
	}
	listing := lonja.Listing{Name: "bench", Size: draft.Totals.Bytes, Proof: &lonja.Proof{
		File: lonja.FileID{1}, Folder: &lonja.Folder{Files: draft.Totals.Files, ListSize: draft.Size()},
	}}
	if err := set.OfferFolder(draft, share.Offering{Listing: listing}); err != nil {
		b.Fatal(err)
	}
	return set, list
}

func fetchFolder(b *testing.B, dir string, holder Holder, list []byte) {
	b.Helper()
	target, err := incoming.Open(dir, false)
	if err != nil {
		b.Fatal(err)
	}
	var items []incoming.Item
	var wanted []Wanted
	names := folder.NewNames(folder.Rules{})
	for r := folder.NewReader(bytes.NewReader(list)); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		items = append(items, incoming.Item{ID: e.ID, Local: names.Local(e.Path)})
		wanted = append(wanted, Wanted{ID: e.ID, Size: e.Size, Entry: uint32(len(wanted))})
	}
	_, err = fetchAll(b.Context(), []Holder{holder}, wanted, Options{Put: func(i int, content []byte) error { return target.Put(items[i], content) }})
	if err := errors.Join(err, target.Finish(), target.Close()); err != nil {
		b.Fatal(err)
	}
}
