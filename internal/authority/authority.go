package authority

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/private"
)

// The files of an authority in the directory's data.
const (
	FileName = "authority.pem" // the certificates and the private key
	MarkFile = "authority.id"  // the fingerprint: says that there must be the other one
)

// The times of rotations.
const (
	DefaultOverlap = 30 * 24 * time.Hour
	MaxOverlap     = 366 * 24 * time.Hour
	lifetime       = 3652 * 24 * time.Hour // of an authority's own certificate: ten years
)

// skew is how far the clocks of others may be behind.
const skew = 5 * time.Minute

// Options are what an authority needs.
type Options struct {
	Dir   string           // the data directory: made if need be, for its owner only
	Clock func() time.Time // time.Now if nil
}

// An Authority signs certificates. Any number of goroutines may use it at once.
type Authority struct {
	opts   Options
	now    atomic.Pointer[state]
	server atomic.Pointer[serverCertificate]
	// serverKey is the key of the directory's own certificates, in this process
	// only.
	serverKey ed25519.PrivateKey
}

// Open returns the authority whose files are in a data directory, and makes one
// at the first start, of which made tells. The error is of kind LocalFile if
// files cannot be read or written, or others have rights to them, and Damaged if
// they are not whole, or one is missing.
func Open(o Options) (a *Authority, made bool, err error) {
	if a, err = newClosed(o); err != nil {
		return nil, false, err
	}
	err = a.change(func(dir *private.Dir) (*state, error) {
		st, err := load(dir, a.Path())
		if errors.Is(err, fs.ErrNotExist) {
			made = true
			return newAuthority(a.opts.Clock())
		}
		return st, err
	})
	if err != nil {
		return nil, false, err
	}
	return a, made, nil
}

// Load is Open where there must be an authority: otherwise the error is of kind
// LocalFile, and nothing is made.
func Load(o Options) (*Authority, error) {
	a, err := newClosed(o)
	if err != nil {
		return nil, err
	}
	text, err := private.Read(o.Dir, FileName, private.Fixed)
	if err != nil {
		return nil, err
	}
	st, err := named(a.Path(), text)
	if err != nil {
		return nil, err
	}
	a.now.Store(st)
	return a, nil
}

func newClosed(o Options) (*Authority, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	a := &Authority{opts: o}
	var err error
	if _, a.serverKey, err = ed25519.GenerateKey(nil); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return a, nil
}

// change has the files for itself while do finds out what they are to be.
func (a *Authority) change(do func(*private.Dir) (*state, error)) error {
	dir, err := private.Lock(a.opts.Dir, private.Fixed)
	if err != nil {
		return err
	}
	defer dir.Close()
	st, err := do(dir)
	if err == nil {
		err = st.save(dir)
	}
	if err == nil {
		a.now.Store(st)
	}
	return err
}

// load reads the file. The error is fs.ErrNotExist if there is none and never
// was.
func load(dir *private.Dir, path string) (*state, error) {
	text, err := dir.Read(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		mark, errMark := dir.Read(MarkFile)
		switch {
		case errMark == nil:
			return nil, damaged(fmt.Errorf("%s is missing, although there was one with the fingerprint %s",
				path, lonja.Printable(string(mark))))
		case !errors.Is(errMark, fs.ErrNotExist):
			return nil, errMark
		}
	}
	if err != nil {
		return nil, err
	}
	return named(path, text)
}

// named has the error say which file it is about.
func named(path string, text []byte) (*state, error) {
	st, err := parseState(text)
	if err != nil {
		return nil, lonja.E(lonja.KindOf(err), path, err)
	}
	return st, nil
}

// save writes what is not on disk yet: the key before the mark, which says that
// it must be there.
func (st *state) save(dir *private.Dir) error {
	for _, file := range []struct {
		name string
		want []byte
	}{{FileName, st.text}, {MarkFile, []byte(st.set.Fingerprint().String())}} {
		there, err := dir.Read(file.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && string(there) == string(file.want) {
			continue
		}
		if err := dir.Write(file.name, file.want); err != nil {
			return err
		}
	}
	return nil
}

// Path returns the path of the file that has the private key.
func (a *Authority) Path() string { return filepath.Join(a.opts.Dir, FileName) }

// Fingerprint returns the identity of the present key: what nodes pin.
func (a *Authority) Fingerprint() lonja.PeerID { return a.now.Load().set.Fingerprint() }

// Set returns the public part.
func (a *Authority) Set() *Set { return a.now.Load().set }

// Rotate makes a new key, which takes the place of the present one; that one
// holds for overlap more, at most MaxOverlap, and its private key is gone. An
// overlap of 0 is for one that was stolen: no proof joins the two, and everybody
// has to be told the new fingerprint. Errors as for Open, or Invalid. Other
// processes notice when they Reload.
func (a *Authority) Rotate(overlap time.Duration) error {
	if overlap < 0 || overlap > MaxOverlap {
		return lonja.E(lonja.Invalid, "rotate authority", fmt.Errorf("an overlap of %v is not between 0 and %v", overlap, MaxOverlap))
	}
	return a.change(func(dir *private.Dir) (*state, error) {
		old, err := load(dir, a.Path())
		if err != nil {
			return nil, err
		}
		return old.rotate(overlap, a.opts.Clock())
	})
}

// Reload looks whether the files have changed, as by Rotate or Import in another
// process. After an error, of those of Open, the authority is what it was.
func (a *Authority) Reload() (changed bool, err error) {
	text, err := private.Read(a.opts.Dir, FileName, private.Fixed)
	if err != nil {
		return false, err
	}
	before := a.now.Load()
	if string(text) == string(before.text) {
		return false, nil
	}
	st, err := named(a.Path(), text)
	if err != nil {
		return false, err
	}
	return a.now.CompareAndSwap(before, st), nil
}

// followEvery is how long a running directory may not know of a rotation.
const followEvery = 10 * time.Second

// Follow reloads now and then until ctx ends, and tells log what it finds.
func (a *Authority) Follow(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch changed, err := a.Reload(); {
		case err != nil:
			log.Error("the authority's file cannot be read; the one from before is used", slog.Any("error", err))
		case changed:
			log.Info("the authority has changed", slog.String("fingerprint", a.Fingerprint().String()))
		}
	}
}

// Export returns the whole authority, its private key in the clear: what another
// node of a cluster needs, and what a copy to be kept is.
func (a *Authority) Export() []byte { return append([]byte(nil), a.now.Load().text...) }

// Import puts an exported authority into a data directory. Another one that is
// there is not touched (the error is of kind Conflict) unless force says so:
// then it is gone, and with it the trust of all members. One that is there and
// is damaged, or missing though it was there, is replaced if it was the same, or
// by force. Errors else as for Open.
func Import(o Options, text []byte, force bool) (lonja.PeerID, error) {
	st, err := parseState(text)
	if err != nil {
		return lonja.PeerID{}, err
	}
	dir, err := private.Lock(o.Dir, private.Fixed)
	if err != nil {
		return lonja.PeerID{}, err
	}
	defer dir.Close()
	id := st.set.Fingerprint()
	mark, err := dir.Read(MarkFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return id, err
	case string(mark) != id.String() && !force:
		return id, lonja.E(lonja.Conflict, "import authority", fmt.Errorf(
			"%s has another one, with the fingerprint %s, which members trust; to give that up for %v, force the import",
			o.Dir, lonja.Printable(string(mark)), id))
	}
	return id, st.save(dir)
}

// CheckSame returns nil if another directory node, called name, has the same
// authority, as all nodes of a cluster must; else the error, of kind Untrusted,
// says which file to copy.
func (a *Authority) CheckSame(name string, theirs lonja.PeerID) error {
	ours := a.Fingerprint()
	if ours == theirs {
		return nil
	}
	return untrusted("compare authorities", fmt.Errorf(
		"the directory node %s has the authority %v, and this one %v: copy %s from the node that members know to the other "+
			`(there "lonja server ca export", here "lonja server ca import"), and start that again`,
		lonja.Printable(name), theirs, ours, a.Path()))
}
