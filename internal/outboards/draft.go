package outboards

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"lonja"
	"lonja/internal/hashing"
)

// newPrefix is what the names of files begin with that are not whole yet.
const newPrefix = ".new-"

// A Draft is an outboard that is being made, before it is known of which content.
// It is what hashing.Options.Outboard wants, but no trouble with it ends the
// hashing. Keep it or Drop it.
type Draft struct {
	store *Store
	file  *os.File

	mu  sync.Mutex // guards err
	err error
}

// Draft returns a new Draft. The error is of kind LocalFile.
func (s *Store) Draft() (*Draft, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, failed("make a directory for the hashes of pieces", err)
	}
	file, err := os.CreateTemp(s.dir, newPrefix) // for this user's eyes only, by its nature
	if err != nil {
		return nil, failed("write the hashes of pieces", err)
	}
	return &Draft{store: s, file: file}, nil
}

// WriteAt implements io.WriterAt. What goes wrong is told by Keep.
func (d *Draft) WriteAt(p []byte, offset int64) (int, error) {
	if _, err := d.file.WriteAt(p, offset); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.err = errors.Join(d.err, err)
	}
	return len(p), nil
}

// Keep puts what was written into the Store, as the outboard of that content, if
// it has more than one piece. The error is of kind LocalFile; the Draft is gone
// anyway.
func (d *Draft) Keep(id lonja.FileID, size int64) error {
	if size <= onePiece {
		d.Drop()
		return nil
	}
	info, err := d.file.Stat()
	if err = errors.Join(d.err, err, d.file.Close()); err == nil {
		err = os.Rename(d.file.Name(), d.store.path(id))
	}
	if err != nil {
		_ = os.Remove(d.file.Name())
		return failed("write the hashes of pieces", err)
	}
	d.store.shrink(id.String(), info.Size())
	return nil
}

// Drop removes it.
func (d *Draft) Drop() {
	_ = d.file.Close()
	_ = os.Remove(d.file.Name())
}

// make hashes the file that open returns, and keeps its outboard if it is that of
// the content.
func (s *Store) make(ctx context.Context, id lonja.FileID, open func() (*os.File, error)) error {
	if r, err := s.Find(id); err == nil {
		return r.Close() // just made, by another process say
	}
	f, err := open()
	if err != nil {
		return err
	}
	defer f.Close()
	draft, err := s.Draft()
	if err != nil {
		return err
	}
	held, err := hashing.File(ctx, f, hashing.Options{Outboard: draft})
	if err == nil && held.ID != id {
		err = lonja.E(lonja.Conflict, "hash", fmt.Errorf("%s has another content than before", filepath.Base(f.Name())))
	}
	if err != nil {
		draft.Drop()
		return err
	}
	return draft.Keep(id, held.Stamp.Size)
}
