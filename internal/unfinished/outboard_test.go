package unfinished

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

// TestOutboard: the tree is kept, page by page, and what is not there or not right
// is told by the package that reads it.
func TestOutboard(t *testing.T) {
	const size = 1500 * tree.PieceSize // two pages below one
	l := layoutOf(t, size)
	whole := make([]byte, l.OutboardSize())
	copy(whole, tree.AppendSize(nil, l))
	builder := tree.NewBuilder(l, func(p tree.Page, hashes []tree.Hash) error {
		copy(whole[l.Offset(p):], tree.AppendPage(nil, hashes))
		return nil
	})
	for p := range l.Pieces() {
		must(t, builder.Add(p, tree.Hash(contentAt(idA, p, 32))))
	}
	id, err := builder.FileID()
	must(t, err)

	target := filepath.Join(t.TempDir(), "file")
	o := Options{ID: id, Size: size, testOnlySparse: true}
	f := begin(t, target, o)
	hash := func(piece int64) error {
		t.Helper()
		ob, err := tree.OpenOutboard(f.Outboard(), id)
		must(t, err)
		if got := ob.Layout(); got != l {
			t.Errorf("layout is %v, want %v", got, l)
		}
		h, err := ob.Piece(piece)
		if err == nil && h != tree.Hash(contentAt(idA, piece, 32)) {
			t.Errorf("piece %d has hash %v", piece, h)
		}
		return err
	}
	if err := hash(0); !errors.Is(err, lonja.Malformed) {
		t.Errorf("nothing is there: %v", err)
	}
	save := func(p tree.Page) {
		t.Helper()
		at := l.Offset(p)
		_, err := f.Outboard().WriteAt(whole[at:at+int64(l.PageLen(p))*32], at)
		must(t, err)
	}
	top, _ := l.Top()
	save(tree.Page{Level: 0, Index: 1})
	if err := hash(1400); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("the topmost page is not there: %v", err)
	}
	save(top)
	must(t, hash(1400))
	must(t, f.Close())

	f = begin(t, target, o)
	must(t, hash(1400))
	if err := hash(0); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("its page is not there: %v", err)
	}
	_, err = f.Outboard().WriteAt(whole, 0) // with the size, all at once
	must(t, err)
	must(t, errors.Join(hash(0), hash(1499)))
	got := make([]byte, len(whole)+1)
	if n, err := f.Outboard().ReadAt(got, 0); n != len(whole) || err != io.EOF || !bytes.Equal(got[:n], whole) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	for _, at := range []int64{-1, l.OutboardSize()} {
		_, err := f.Outboard().WriteAt([]byte{1}, at)
		wantKind(t, err, lonja.Internal, nil, "not in its tree")
	}
	must(t, f.Close())
	_, err = f.Outboard().WriteAt([]byte{1}, 8)
	wantKind(t, err, lonja.LocalFile, fs.ErrClosed, target)

	// Of another content nothing is left.
	o.ID = idB
	f = begin(t, target, o)
	if n, err := f.Outboard().ReadAt(got, 0); n != 8 || err != io.EOF {
		t.Errorf("of another content: read %d bytes, %v", n, err)
	}
}
