package sqlitestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lonja/internal/datadir"
	"lonja/internal/store"
)

// What SQLite and we add to a database's name, to name the files beside it.
const (
	logSuffix   = "-wal"
	indexSuffix = "-shm"

	// seenSuffix is the file that says which revision the database had when it
	// was last opened, checkpointed or closed. A database that has less was cut, or is not the one; one
	// that is missing beside it is not taken for a new one.
	seenSuffix = ".seen"
)

// prepareFiles makes the database at path ready to be opened, and returns the
// revision that it must have at least. It makes sure that only our user reads
// the files, those that SQLite will make among them: they get the mode of the
// database.
func prepareFiles(path string) (seen store.Rev, err error) {
	text, err := os.ReadFile(path + seenSuffix)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return 0, err
	}
	if !isNew {
		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 63)
		if err != nil {
			return 0, damaged("open", fmt.Errorf("%s: %w", path+seenSuffix, err))
		}
		seen = store.Rev(n)
	}
	if info, err := os.Stat(path); !isNew && (errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0) {
		return 0, damaged("open", fmt.Errorf("%s is gone", path))
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	if err := file.Close(); err != nil {
		return 0, err
	}
	for _, suffix := range []string{"", logSuffix, indexSuffix} {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return seen, affirmLog(path + logSuffix)
}

// hold opens the database and its log for forgetCache. They stay open as long
// as SQLite has them: to close one drops the locks that a process has on it.
func (s *Store) hold(path string) error {
	for _, suffix := range []string{"", logSuffix} {
		file, err := os.OpenFile(path+suffix, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		s.held = append(s.held, file)
	}
	return nil
}

// noteSeen notes that the database has the latest revision. It is on disk.
func (s *Store) noteSeen() error {
	return datadir.WriteFile(filepath.Join(s.dir, databaseFile)+seenSuffix, strconv.FormatUint(uint64(s.latest()), 10)+"\n")
}

// affirmLog writes the log again as it is, and syncs it. If a sync failed
// before the last process died, what we read may be in memory only, where the
// kernel holds it for clean: then changes that are acknowledged from now on
// would stand behind a gap. Where the disk has the same already, a power cut
// in the middle changes nothing.
func affirmLog(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	for buf, offset := make([]byte, 1<<20), int64(0); ; {
		n, err := file.ReadAt(buf, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return file.Sync()
		}
		if _, err := file.WriteAt(buf[:n], offset); err != nil {
			return err
		}
		offset += int64(n)
	}
}
