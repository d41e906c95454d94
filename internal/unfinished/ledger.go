package unfinished

import (
	"fmt"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
)

// A ledger counts pieces: which are good, which of them the record has, and
// which are being written. It does no input or output.
//
// A failed sync is what makes that more than one set. The kernel tells of bytes
// that it could not write once; then it takes them for written, and the next
// sync succeeds without them (fsync(2), NOTES). So whatever was written before
// and is not recorded yet is lost with it, pieces that are half written too.
type ledger struct {
	mu       sync.Mutex
	good     *roaring.Bitmap
	recorded *roaring.Bitmap // those of good that are on disk, and known there
	begun    *roaring.Bitmap // being written
	spoilt   *roaring.Bitmap // those of begun that a failed sync lost the beginning of
	cause    error           // of that
	untold   error           // an error that nobody was told yet
	unsynced int64           // bytes that became good since the last sync began
}

func newLedger(good *roaring.Bitmap) *ledger {
	return &ledger{good: good, recorded: good.Clone(), begun: roaring.New(), spoilt: roaring.New()}
}

func (l *ledger) copy() *roaring.Bitmap {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.good.Clone()
}

// isGood reports whether the pieces from first to last are all good.
func (l *ledger) isGood(first, last int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := first; p <= last; p++ {
		if !l.good.Contains(uint32(p)) {
			return false
		}
	}
	return true
}

// count returns how many pieces are good.
func (l *ledger) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(l.good.GetCardinality())
}

// begin notes that piece is about to be written, all of it, if it is not good
// already.
func (l *ledger) begin(piece int64) (good bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := uint32(piece)
	if err := l.take(); err != nil {
		return false, err
	}
	if l.good.Contains(p) {
		return true, nil
	}
	l.spoilt.Remove(p)
	l.begun.Add(p)
	return false, nil
}

// done notes that piece, of so many bytes, is good, which was begun, and returns
// how many bytes wait for a sync.
func (l *ledger) done(piece int64, size int) (unsynced int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := uint32(piece)
	l.begun.Remove(p)
	if l.spoilt.CheckedRemove(p) {
		return 0, fmt.Errorf("a part of piece %d did not come to the disk, it is to be fetched again: %w", piece, l.cause)
	}
	l.good.Add(p)
	l.unsynced += int64(size)
	return l.unsynced, nil
}

// pending returns the pieces that are good, and whether there are some that the
// record has not. What becomes good from now on waits for the sync after this.
func (l *ledger) pending() (good *roaring.Bitmap, news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsynced = 0
	return l.good.Clone(), l.good.GetCardinality() > l.recorded.GetCardinality()
}

// keep notes that good is what the record says now.
func (l *ledger) keep(good *roaring.Bitmap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recorded = good
}

// lose notes that a sync of the data has failed.
func (l *ledger) lose(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.good = l.recorded.Clone()
	l.spoilt.Or(l.begun)
	l.cause = cause
	l.unsynced = 0
}

// tell has the next one who writes know of an error that nobody waited for.
func (l *ledger) tell(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.untold = err
}

// told returns an error that nobody was told yet.
func (l *ledger) told() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take()
}

func (l *ledger) take() error {
	err := l.untold
	l.untold = nil
	return err
}
