package unfinished

import (
	"io/fs"
	"os"
	"time"
)

// How much may have to be fetched again after a power cut: what became good
// while so many bytes were gathered or so much time went by, and during a sync.
const (
	syncBytes = 64 << 20
	syncTime  = 5 * time.Second
)

// Sync waits until all pieces that are good now are on the disk, and recorded
// there. It is called by itself every now and then.
//
// If the data cannot be synced, the pieces that were not recorded before are
// not good any more: nobody knows what the disk has of them.
func (f *File) Sync() error {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	good, news := f.ledger.pending()
	// The first record may have no pieces: there is a tree to go on with.
	if !news && (f.record.generation > 0 || !f.pages.begun()) {
		return nil
	}
	if f.retired {
		return f.failed("sync", fs.ErrClosed)
	}
	if f.opts.testOnlyRecordFirst {
		if err := f.record.write(good); err != nil {
			return f.failed("record", err)
		}
	}
	if err := f.syncData(); err != nil {
		f.ledger.lose(err)
		return f.failed("sync", err)
	}
	if err := f.syncNames(); err != nil {
		return f.failed("sync", err)
	}
	if err := f.record.write(good); err != nil {
		return f.failed("record", err)
	}
	f.ledger.keep(good)
	return nil
}

func (f *File) syncData() error {
	if f.opts.testOnlySync != nil {
		return f.opts.testOnlySync(f.data)
	}
	return f.data.Sync()
}

// syncDir waits until the target's name is on the disk.
func (f *File) syncDir(dir *os.Root) error {
	if f.opts.testOnlySyncDir != nil {
		return f.opts.testOnlySyncDir(dir)
	}
	return syncDir(dir)
}

// syncNames has the names of data and record on disk, once: a process before
// this one may have died before it did.
func (f *File) syncNames() error {
	if f.named {
		return nil
	}
	if err := syncDir(f.place.part); err != nil {
		return err
	}
	if err := syncDir(f.place.dir); err != nil {
		return err
	}
	f.named = true
	return nil
}

// A keeper is the goroutine that syncs a File now and then.
type keeper struct {
	due, quit, ended chan struct{}
}

func startKeeper(f *File) *keeper {
	k := &keeper{make(chan struct{}, 1), make(chan struct{}), make(chan struct{})}
	go k.keep(f)
	return k
}

func (k *keeper) keep(f *File) {
	defer close(k.ended)
	tick := time.NewTicker(syncTime)
	defer tick.Stop()
	for {
		select {
		case <-k.quit:
			return
		case <-tick.C:
		case <-k.due:
		}
		if err := f.Sync(); err != nil {
			f.ledger.tell(err)
		}
	}
}

// hurry has it sync as soon as it can.
func (k *keeper) hurry() {
	select {
	case k.due <- struct{}{}:
	default:
	}
}

// stop ends it and waits until it has. It may be called again.
func (k *keeper) stop() {
	select {
	case <-k.quit:
	default:
		close(k.quit)
	}
	<-k.ended
}
