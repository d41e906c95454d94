package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lonja"
)

// TestManySmallFiles come from two holders, of which one loses its folder on the
// way.
func TestManySmallFiles(t *testing.T) {
	v := newTown(t)
	ana, eva, luis := v.resident("ana"), v.resident("eva"), v.resident("luis")
	rng := rand.New(rand.NewPCG(1, 2))
	files := make(map[string]string)
	for i := range 700 {
		b := make([]byte, rng.IntN(3000))
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		files[fmt.Sprintf("%d/%d", i%7, i)] = string(b)
	}
	home := v.plant(t.TempDir(), files)
	ana.offerFolder(v.plant(t.TempDir(), files), "things")
	eva.offerFolder(home, "things")
	dir := filepath.Join(t.TempDir(), "got")
	var once sync.Once
	_, err := luis.getFolder("things", dir, func(f *FolderFetching) {
		f.Progress = func(int64) { once.Do(func() { v.ok(os.RemoveAll(home)) }) }
	})
	v.ok(err)
	v.wantGrown(dir, files)
}

// TestFolderGoesOn: what came before it was ended is not fetched again.
func TestFolderGoesOn(t *testing.T) {
	v := newTown(t)
	var sent *transfers
	ana, luis := v.residentWith("ana", func(o *Options) { sent = countTransfers(o) }), v.resident("luis")
	files := make(map[string]string)
	for i := range 600 {
		files[fmt.Sprintf("f%d", i)] = fmt.Sprintf("content %d", i)
	}
	ana.offerFolder(v.plant(t.TempDir(), files), "things")
	dir := filepath.Join(t.TempDir(), "got")
	ctx, cancel := context.WithCancel(t.Context())
	errand, err := luis.Errand("luis")
	v.ok(err)
	choices, err := errand.Choices(t.Context(), lonja.Wanted{Name: "things"}, "")
	v.ok(err)
	how := FolderFetching{Fetching: Fetching{Choice: choices[0], Local: dir, Progress: func(n int64) {
		if n > 3_000 {
			cancel()
		}
	}}}
	_, err = errand.FetchFolder(ctx, how)
	v.is(err, lonja.Canceled)
	came := len(v.grown(dir))
	how.Progress = nil
	got, err := errand.FetchFolder(t.Context(), how)
	v.ok(err)
	v.wantGrown(dir, files)
	if came < 200 || got.Kept < int64(came)-3 { // the list and a lock are there too
		t.Errorf("%d files were there, and then %+v", came, got)
	}
	// What was on its way when it was ended may have been sent in vain.
	if n := sent.all(); n > 600+4*2*64+1 {
		t.Errorf("%d answers for 600 files", n)
	}
}
