package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/statement"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

// claims publishes a content that the citizen does not have, as one of that size.
func (c *citizen) claims(id lonja.FileID, name lonja.FileName, size int64) {
	c.town.Helper()
	signed, err := statement.SignPublication(lonja.Publication{Owner: c.user, Listing: lonja.Listing{
		Name: name, Size: size, Proof: &lonja.Proof{File: id, Date: time.Now().Unix()},
	}}, c.key)
	c.town.ok(err)
	c.town.ok(c.client.Publish(c.town.Context(), c.user, signed.Listing))
}

// begin has so many pieces of a content be here for target, which is said to have
// that size.
func (v *town) begin(target string, id lonja.FileID, content string, size int64, pieces int) {
	v.Helper()
	f, err := unfinished.Open(target, unfinished.Options{ID: id, Size: size})
	v.ok(err)
	for p := range int64(pieces) {
		v.ok(f.Put(p, []byte(content[p*tree.PieceSize:min((p+1)*tree.PieceSize, int64(len(content)))])))
	}
	v.ok(f.Close())
}

// wantBegun fails unless so many pieces are here for target.
func (v *town) wantBegun(target string, id lonja.FileID, size int64, pieces uint64) {
	v.Helper()
	f, err := unfinished.Open(target, unfinished.Options{ID: id, Size: size})
	v.ok(err)
	if got := f.Good().GetCardinality(); got != pieces {
		v.Errorf("%d pieces are here, want %d", got, pieces)
	}
	v.ok(f.Close())
}

// TestFalseSizes: who signs another size for a content keeps nobody from having it,
// and costs nothing of what was here already, however many they are.
func TestFalseSizes(t *testing.T) {
	content := random(6*tree.PieceSize - 100)
	size := int64(len(content))
	for name, tc := range map[string]struct {
		claimed []int64
		here    int // pieces
		as      int64
	}{
		"one more piece":         {[]int64{7 * tree.PieceSize}, 5, size},
		"by two":                 {[]int64{7 * tree.PieceSize, 7 * tree.PieceSize}, 5, size},
		"in the last piece":      {[]int64{size + 1, size + 1}, 5, size},
		"fewer pieces":           {[]int64{4 * tree.PieceSize, 4 * tree.PieceSize}, 5, size},
		"one piece":              {[]int64{100, 100}, 5, size},
		"all different":          {[]int64{size + 1, size + 2, 0}, 5, size},
		"nothing here":           {[]int64{size + 1, size + 1}, 0, size},
		"all here":               {[]int64{size + 1, size + 1}, 6, size},
		"what is here was false": {[]int64{size + 1, size + 1}, 5, size + 1},
		"false what is here":     {nil, 5, size + 1},
	} {
		t.Run(name, func(t *testing.T) {
			v := newTown(t)
			ana, luis := v.resident("ana"), v.resident("luis")
			id := ana.offer("film.mkv", content)
			for i, claim := range tc.claimed {
				v.resident(lonja.UserName(fmt.Sprint("eva", i))).claims(id, "film.mkv", claim)
			}
			target := filepath.Join(t.TempDir(), "got")
			if tc.here > 0 {
				v.begin(target, id, content, tc.as, tc.here)
			}
			var first int64 = -1
			v.ok(luis.FetchMulti(t.Context(), "film.mkv", target, func(n int64) {
				if first < 0 {
					first = n
				}
			}))
			if got, err := os.ReadFile(target); err != nil || string(got) != content {
				t.Errorf("got %d bytes, %v: not the content", len(got), err)
			}
			if tc.as == size && tc.here > 0 && tc.here < 6 && first < int64(tc.here)*tree.PieceSize {
				t.Errorf("it began with %d bytes, not with the %d pieces that were here", first, tc.here)
			}
		})
	}
}

// TestFalseSizesAlone: while nobody is there who could show how big a content is,
// what is here of it stays.
func TestFalseSizesAlone(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	content := random(6 * tree.PieceSize)
	id := ana.offer("film.mkv", content)
	for i := range 12 {
		v.resident(lonja.UserName(fmt.Sprint("eva", i))).claims(id, "film.mkv", int64(i+1))
	}
	v.ok(ana.Disconnect(t.Context(), "ana"))
	for pieces, kind := range map[int]lonja.Kind{5: lonja.NoSuchFile, 6: lonja.NoHolder} {
		target := filepath.Join(t.TempDir(), "got")
		v.begin(target, id, content, int64(len(content)), pieces)
		err := luis.FetchMulti(t.Context(), "film.mkv", target, nil)
		v.is(err, kind)
		if n := strings.Count(err.Error(), "\n"); n > 12 {
			t.Errorf("the error has %d lines: %v", n, err)
		}
		v.wantBegun(target, id, int64(len(content)), uint64(pieces))
	}
}

// TestFalseSizeMakesNoLiars: who is fetching a content, and gives what there is of it,
// is not named because others have signed another size.
func TestFalseSizeMakesNoLiars(t *testing.T) {
	v := newTown(t)
	ana, luis, ben := v.resident("ana"), v.resident("luis"), v.resident("ben")
	id := ana.offer("film.mkv", random(12*tree.PieceSize))
	h := luis.fetchHeld(lonja.FileName(id.String()), 4<<20)
	v.ok(ana.Disconnect(t.Context(), "ana"))
	v.resident("eva").claims(id, "film.mkv", 11*tree.PieceSize)
	ben.sees(luis, id)
	v.is(ben.FetchMulti(t.Context(), lonja.FileName(id.String()), filepath.Join(t.TempDir(), "got"), nil), lonja.Unavailable)
	if notes := ben.notes.take(); strings.Contains(notes, "something else") {
		t.Errorf("somebody is named:\n%s", notes)
	}
	close(h.goOn)
	<-h.done
}
