package downloads

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lonja"
	"lonja/internal/incoming"
	"lonja/internal/private"
	"lonja/internal/unfinished"
)

// The bounds of a list.
const (
	MaxDownloads = 1000 // of all states together
	MaxDone      = 100  // those beyond that are forgotten, the oldest first
)

const recordName = "record.json"

// A List is the downloads in one directory. It may be used by any number of
// goroutines and processes at once. Unless a method says otherwise, its errors are of
// kind LocalFile.
type List struct{ path string }

// New returns the list in the directory at path, which is made when something is
// added.
func New(path string) *List { return &List{path} }

// locked has do read or change the list, while nobody else does.
func (l *List) locked(do func() error) (err error) {
	dir, err := private.Lock(l.path, private.Hidden)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return do()
}

// All returns the downloads, those that were added first at the front. Those whose
// record cannot be read are of state Damaged and have nothing but their ID and Error.
func (l *List) All() (all []Download, err error) {
	if _, err := os.Lstat(l.path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nor is it made for who only looks
	}
	err = l.locked(func() error {
		all, err = l.read()
		return err
	})
	return all, err
}

// read is All; the list is locked.
func (l *List) read() (all []Download, err error) {
	entries, err := os.ReadDir(l.path)
	if err != nil {
		return nil, failed("read the downloads", err)
	}
	for _, entry := range entries {
		if !isID(entry.Name()) {
			continue
		}
		d, err := l.get(entry.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // whoever added it was killed before it was there
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	slices.SortStableFunc(all, func(a, b Download) int { return a.Added.Compare(b.Added) })
	return all, nil
}

// get reads one download; the list is locked. The cause is fs.ErrNotExist if there is
// none.
func (l *List) get(id string) (Download, error) {
	b, err := private.Read(l.dir(id), recordName, private.Hidden)
	if errors.Is(err, fs.ErrNotExist) {
		return Download{}, err
	}
	var d Download
	if err == nil {
		d, err = parse(b)
	}
	if err == nil && d.ID != id {
		err = errors.New("it is that of another download")
	}
	if err != nil {
		return Download{ID: id, State: Damaged, Error: fmt.Sprintf("its record, %s, cannot be read: %v", filepath.Join(l.dir(id), recordName), err)}, nil
	}
	held, err := isHeld(l.dir(id))
	switch {
	case err != nil:
		return d, err
	case held:
		d.State = Running
	case d.State == Running:
		d.State = Interrupted
	}
	return d, nil
}

func (l *List) dir(id string) string { return filepath.Join(l.path, id) }

// put writes a record and waits until it is on the disk; the list is locked.
func (l *List) put(d Download) (err error) {
	d.Changed = time.Now()
	b, err := d.marshal()
	if err != nil {
		return failed("write the downloads", err)
	}
	dir, err := private.Lock(l.dir(d.ID), private.Hidden)
	if err != nil {
		return err
	}
	return errors.Join(dir.Write(recordName, b), dir.Close())
}

// Find returns the download that a person means: whose id begins so, or whose target
// has that base name. The error is of kind Invalid if that is not one.
func (l *List) Find(typed string) (Download, error) {
	all, err := l.All()
	if err != nil {
		return Download{}, err
	}
	var found []Download
	for _, d := range all {
		if d.ID == typed {
			return d, nil
		}
		if typed != "" && (strings.HasPrefix(d.ID, strings.ToLower(typed)) || filepath.Base(d.Target) == typed) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Download{}, lonja.E(lonja.Invalid, "", fmt.Errorf("no download is called %s: \"lonja downloads\" lists them", lonja.Printable(typed)))
	}
	ids := make([]string, len(found))
	for i, d := range found {
		ids[i] = d.ID
	}
	return Download{}, lonja.E(lonja.Invalid, "", fmt.Errorf("%s stands for several downloads: %s", lonja.Printable(typed), strings.Join(ids, ", ")))
}

// Add queues a download. One of the same content to the same target is taken up
// instead of adding another one, and keeps its id, and its priority unless d has
// one. The error is of kind Conflict if that target is being fetched already, or another
// content is to go there of which something is here or wanted, and Limited if there are too many.
func (l *List) Add(d Download) (added Download, err error) {
	err = l.locked(func() error {
		d.State = Queued
		if added, err = l.add(d); err != nil {
			return err
		}
		return l.put(added)
	})
	return added, err
}

// add makes room for a download and returns it as it is to be put; the list is locked.
func (l *List) add(d Download) (Download, error) {
	all, err := l.read()
	if err != nil {
		return d, err
	}
	now := time.Now()
	d.ID, d.Added, d.Again, d.Error, d.Tries, d.Received = "", now, time.Time{}, "", 0, 0
	for _, other := range all {
		switch {
		case other.State == Damaged || other.Target != d.Target:
			continue
		case other.State == Running:
			return d, conflict(other, "is being fetched already, as download %s: \"lonja why %[2]s\" says how it goes")
		case other.File != d.File && !replaceable(other):
			return d, conflict(other, "is where another content goes, with download %s: \"lonja cancel %[2]s\" drops that one")
		}
		d.ID, d.Added = other.ID, other.Added
		if d.Priority == 0 {
			d.Priority = other.Priority
		}
		if other.State != Done && other.File == d.File {
			d.Received = other.Received
		}
		return d, nil
	}
	if err := l.makeRoom(all); err != nil {
		return d, err
	}
	d.ID = newID(func(prefix string) bool {
		return slices.ContainsFunc(all, func(o Download) bool { return strings.HasPrefix(o.ID, prefix) })
	})
	return d, nil
}

// replaceable reports whether another content may take the place of a download:
// nothing is lost with it.
func replaceable(d Download) bool {
	begun := unfinished.Exists
	if d.Folder {
		begun = incoming.IsBegun
	}
	return d.State == Done || d.State == Failed && !begun(d.Target)
}

func conflict(d Download, format string) error {
	return lonja.E(lonja.Conflict, "", fmt.Errorf("%s "+format, lonja.Printable(d.Target), d.ID))
}

// makeRoom forgets what is done for long, and what was left by who was killed while
// adding or removing; the list is locked.
func (l *List) makeRoom(all []Download) error {
	done := slices.DeleteFunc(slices.Clone(all), func(d Download) bool { return d.State != Done })
	slices.SortFunc(done, func(a, b Download) int { return a.Changed.Compare(b.Changed) })
	drop := max(len(done)+1-MaxDone, len(all)+1-MaxDownloads)
	if drop > len(done) {
		return lonja.E(lonja.Limited, "", fmt.Errorf("there are %d downloads already, at most %d: \"lonja downloads clear\" forgets those that are done or failed", len(all), MaxDownloads))
	}
	for _, d := range done[:max(0, drop)] {
		if err := l.drop(d.ID); err != nil {
			return err
		}
	}
	return l.sweep()
}

// sweep removes what has no record; the list is locked.
func (l *List) sweep() error {
	entries, err := os.ReadDir(l.path)
	if err != nil {
		return failed("read the downloads", err)
	}
	for _, entry := range entries {
		_, err := os.Lstat(filepath.Join(l.path, entry.Name(), recordName))
		if isID(entry.Name()) && errors.Is(err, fs.ErrNotExist) {
			if err := l.drop(entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop removes a download from the list, which is locked: the record first, without
// which it is none.
func (l *List) drop(id string) error {
	if err := os.Remove(filepath.Join(l.dir(id), recordName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove a download", err)
	}
	if err := os.RemoveAll(l.dir(id)); err != nil {
		return failed("remove a download", err)
	}
	return nil
}

// change changes the record of one that nobody fetches, or that somebody does, as
// may says; the list is locked for that. ErrRunning if may says no.
func (l *List) change(id string, change func(*Download) error) error {
	return l.locked(func() error {
		d, err := l.get(id)
		if err != nil {
			return gone(id, err)
		}
		if d.State == Damaged {
			return lonja.E(lonja.Damaged, "", errors.New(d.Error))
		}
		was := d.State
		if err := change(&d); err != nil {
			return err
		}
		if was == Interrupted && d.State == Interrupted {
			d.State = Running // as the record has it
		}
		return l.put(d)
	})
}

func gone(id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return lonja.E(lonja.Invalid, "", fmt.Errorf("there is no download %s any more", lonja.Printable(id)))
	}
	return err
}

// SetPriority says which come first: the higher ones. It counts when the next
// download is begun.
func (l *List) SetPriority(id string, priority int) error {
	return l.change(id, func(d *Download) error {
		d.Priority = priority
		return nil
	})
}

// Resume queues one that is paused or failed, or is to be tried again later, so that
// it is due now. The error is of kind Conflict if it is done.
func (l *List) Resume(id string) error {
	return l.change(id, func(d *Download) error {
		switch d.State {
		case Running:
			return nil
		case Done:
			return conflict(*d, "is there already: download %s is done")
		}
		d.State, d.Tries, d.Again, d.Error = Queued, 0, time.Time{}, ""
		return nil
	})
}

// Clear forgets those that are done or failed, with what had come of the failed
// ones, and returns them.
func (l *List) Clear() (cleared []Download, err error) {
	if _, err := os.Lstat(l.path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err = l.locked(func() error {
		all, err := l.read()
		if err != nil {
			return err
		}
		for _, d := range all {
			if d.State != Done && d.State != Failed {
				continue
			}
			if err := l.forget(d); err != nil {
				return err
			}
			cleared = append(cleared, d)
		}
		return l.sweep()
	})
	return cleared, err
}

// forget removes a download, with what has come of it; the list is locked. The part
// files go first: who is killed in between can do it again.
func (l *List) forget(d Download) error {
	if d.State.Open() {
		remove := unfinished.Remove
		if d.Folder {
			remove = removeFolder
		}
		if err := remove(d.Target); err != nil {
			return err
		}
	}
	return l.drop(d.ID)
}

func failed(op string, err error) error { return lonja.E(lonja.LocalFile, op, err) }
