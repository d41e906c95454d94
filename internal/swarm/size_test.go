package swarm

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/tree"
)

// TestProveSize: a holder shows the size that a content has, and no other one, even
// if it has the content and hashes that fit it.
func TestProveSize(t *testing.T) {
	for _, size := range []int{0, 1, mib, mib + 1, 7 * mib} {
		w, c := newTown(t), newCorpus(t, size)
		if err := ProveSize(t.Context(), c.Content, w.peer(c, "ana", nil).Holder, impatient); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	w, c := newTown(t), newCorpus(t, 7*mib)
	for name, tc := range map[string]struct {
		size   int64
		hashes func([]tree.Hash) []tree.Hash
	}{
		"a byte less":  {c.Size - 1, slices.Clone[[]tree.Hash]},
		"a byte more":  {c.Size + 1, func(h []tree.Hash) []tree.Hash { return append(h, h[6]) }},
		"a piece less": {c.Size - mib, func(h []tree.Hash) []tree.Hash { return append(h[:4:4], tree.Join(h[4:6], false), h[6]) }},
		"one piece":    {mib, func(h []tree.Hash) []tree.Hash { return h[:1] }},
	} {
		all := tree.Tree{Size: tc.size, Pieces: tc.hashes(c.pieces(t))}
		outboard, err := all.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		claimed := Content{ID: c.ID, Size: tc.size, Name: c.Name}
		liars := &corpus{Content: claimed, bytes: append(bytes.Clone(c.bytes), 0)[:tc.size], outboard: outboard}
		liar := w.peer(liars, "eva", nil)
		if err := ProveSize(t.Context(), claimed, liar.Holder, impatient); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got %v, want Untrusted", name, err)
		}
		if err := ProveSize(t.Context(), c.Content, liar.Holder, impatient); err == nil {
			t.Errorf("%s, asked for the right size: it shows it", name)
		}
	}
}

// TestProveSizeOfMuch: the last piece of a content whose hashes fill several pages is
// shown by way of the pages above it.
func TestProveSizeOfMuch(t *testing.T) {
	last := random(77)
	const size = (tree.PageHashes+3)*tree.PieceSize + 77
	layout, err := tree.LayoutOf(size)
	if err != nil {
		t.Fatal(err)
	}
	outboard := make([]byte, layout.OutboardSize())
	b := tree.NewBuilder(layout, func(p tree.Page, hashes []tree.Hash) error {
		copy(outboard[layout.Offset(p):], tree.AppendPage(nil, hashes))
		return nil
	})
	for piece := range layout.Pieces() {
		hash := tree.Hash{byte(piece), byte(piece >> 8)} // nobody asks for what has that one
		if piece == layout.Pieces()-1 {
			var h tree.Hasher
			h.Reset(piece)
			_, _ = h.Write(last)
			hash = h.Sum()
		}
		if err := b.Add(piece, hash); err != nil {
			t.Fatal(err)
		}
	}
	id, err := b.FileID()
	if err != nil {
		t.Fatal(err)
	}
	w := newTown(t)
	holder := w.strange(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tree") {
			http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(outboard))
			return
		}
		rw.Header().Set("Content-Range", strings.Replace(r.Header.Get("Range"), "=", " ", 1)+"/"+strconv.Itoa(size))
		rw.WriteHeader(http.StatusPartialContent)
		_, _ = rw.Write(last)
	})
	if err := ProveSize(t.Context(), Content{ID: id, Size: size}, holder.Holder, impatient); err != nil {
		t.Error(err)
	}
	last[5] ^= 1
	if err := ProveSize(t.Context(), Content{ID: id, Size: size}, holder.Holder, impatient); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("another last piece: got %v, want Untrusted", err)
	}
}

// pieces returns the hashes of the pieces.
func (c *corpus) pieces(t *testing.T) []tree.Hash {
	t.Helper()
	page, err := tree.ParsePage(c.outboard[8:])
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// TestAnotherSize: who has not signed which size a content has is no liar if it has
// one of another size; who has is.
func TestAnotherSize(t *testing.T) {
	for _, unsigned := range []bool{true, false} {
		w, c := newTown(t), newCorpus(t, 3*mib)
		p := w.peer(c, "ana", nil)
		p.Unsigned = unsigned
		claimed := *c
		claimed.Content.Size -= mib
		var named []lonja.UserName
		opts := impatient
		opts.Lied = func(user lonja.UserName, _ error) { named = append(named, user) }
		_, finish := w.swarm(&claimed, opts, p)
		want := lonja.Untrusted
		if unsigned {
			want = lonja.Conflict
		}
		if err := finish(); !errors.Is(err, want) {
			t.Errorf("unsigned %v: got %v, want %v", unsigned, err, want)
		}
		if (len(named) == 0) != unsigned {
			t.Errorf("unsigned %v: %v are named", unsigned, named)
		}
	}
}
