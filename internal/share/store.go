package share

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A store keeps the record of one Set in a state directory. All processes
// change records under one lock, that of the directory itself: it needs no
// file of its own, and changes are rare and short.
type store struct {
	dir string
	key Key
}

func newStore(dir string, key Key) *store { return &store{dir: dir, key: key} }

func (s *store) path() string { return filepath.Join(s.dir, s.key.fileName()) }

// open makes the state directory if need be and reads what it has.
func (s *store) open() (publications, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	return s.update(publications{}, nil)
}

// update applies edit to the record as it is on disk now, another process may
// have changed it, and returns the result. Where there is no record, current
// stands for it. Without an edit nothing is written.
func (s *store) update(current publications, edit func(publications)) (publications, error) {
	dir, err := os.Open(s.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close() // gives up the lock too
	if err := lock(dir); err != nil {
		return nil, fmt.Errorf("lock %s: %w", s.dir, err)
	}
	p, err := s.load()
	if errors.Is(err, fs.ErrNotExist) {
		p, err = current, nil
	}
	if err != nil || edit == nil {
		return p, err
	}
	edit(p)
	return p, s.save(dir, p)
}

// load reads the record. A damaged one is set aside first, so that the
// next write does not destroy what could still be saved by hand.
func (s *store) load() (publications, error) {
	b, err := os.ReadFile(s.path())
	if err != nil {
		return nil, err
	}
	p, err := decode(s.key, b)
	if err == nil {
		return p, nil
	}
	err = fmt.Errorf("%s: %w", s.path(), err)
	if errors.Is(err, ErrDamaged) {
		aside := s.path() + time.Now().UTC().Format(".damaged-20060102T150405.000000000Z")
		if renameErr := os.Rename(s.path(), aside); renameErr != nil {
			return nil, errors.Join(err, renameErr)
		}
		err = fmt.Errorf("%w (set aside as %s)", err, aside)
	}
	return nil, err
}

// save replaces the record in one step and waits until it is on the disk. The
// lock makes one temporary name enough: nobody else is writing, and what a
// crash left under it is overwritten.
func (s *store) save(dir *os.File, p publications) error {
	b, err := encode(s.key, p)
	if err != nil {
		return err
	}
	temp := s.path() + ".tmp"
	if err := writeSynced(temp, b); err != nil {
		_ = os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, s.path()); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return dir.Sync()
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
