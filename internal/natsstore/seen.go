package natsstore

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"lonja"
)

// seenFile, in the node's own directory, is what the node knows of the cluster:
// which stream it is, and how far it had come. A cluster that is behind that
// has lost acknowledged changes, in every replica, and must not be taken for
// all there is.
const seenFile = "SEEN"

// seen is what stands in seenFile.
type seen struct {
	created time.Time // zero if there is no file yet
	rev     uint64
}

const seenForm = "stream created %d\nrevision %d\n"

// loadSeen reads seenFile.
func (s *Store) loadSeen() (seen, error) {
	content, err := s.dir.Read(seenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return seen{}, nil
	}
	if err != nil {
		return seen{}, lonja.E(lonja.LocalFile, "open data directory", err)
	}
	var created int64
	var rev uint64
	if _, err := fmt.Sscanf(content, seenForm, &created, &rev); err != nil {
		return seen{}, lonja.E(lonja.Damaged, "open data directory", fmt.Errorf("%s: %w", s.dir.Path(seenFile), err))
	}
	return seen{time.Unix(0, created), rev}, nil
}

// saveSeen writes seenFile. It may be some seconds behind.
func (s *Store) saveSeen() error {
	return s.dir.Write(seenFile, fmt.Sprintf(seenForm, s.created.UnixNano(), s.highest.Load()))
}

// raise notes that the cluster has kept all up to rev.
func (s *Store) raise(rev uint64) {
	for {
		highest := s.highest.Load()
		if rev <= highest || s.highest.CompareAndSwap(highest, rev) {
			return
		}
	}
}

// lost says what is to be done about what the cluster has lost.
func (s *Store) lost(what string) error {
	return fmt.Errorf("%s: acknowledged changes are lost. Restore a backup; to go on with what there is, remove %s", what, s.dir.Path(seenFile))
}
