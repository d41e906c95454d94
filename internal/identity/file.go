package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"lonja"
	"lonja/internal/private"
)

// FileName is what the file of the key is called.
const FileName = "identity.key"

// A File is where a node's key is kept. Its methods may be called at once, also
// by several processes.
type File struct {
	Dir string // made at first use, for its owner only
	// Ask returns the passphrase of a sealed key. It is called only for one, and
	// may ask a person. Nil for a program that cannot.
	Ask func() (Passphrase, error)
}

// Path returns the path of the file.
func (f File) Path() string { return filepath.Join(f.Dir, FileName) }

// Load returns the key. The error is fs.ErrNotExist if there is none yet; of
// kind LocalFile if the file cannot be read or others have rights to it or to
// its directory; Damaged; Forbidden if the passphrase is wrong; or Ask's.
func (f File) Load() (Key, error) {
	text, err := private.Read(f.Dir, FileName, private.Fixed)
	if err != nil {
		return Key{}, err
	}
	return f.open(text)
}

// LoadOrMake returns the key, and makes one if there is none; made tells so.
// However many processes do it at once, they get the same.
func (f File) LoadOrMake() (k Key, made bool, err error) {
	if k, err = f.Load(); !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	err = f.change(func(dir *private.Dir) error {
		text, err := dir.Read(FileName)
		if err == nil { // somebody else was faster
			k, err = f.open(text)
			return err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if k, err = NewKey(); err != nil {
			return err
		}
		made = true
		return dir.Write(FileName, k.PEM().Bytes())
	})
	if err != nil {
		return Key{}, false, err
	}
	return k, made, nil
}

// Seal has the passphrase open the key from now on, in the place of the one that
// did before, if any. Errors as for Load, or Invalid for an empty passphrase.
func (f File) Seal(p Passphrase) error {
	return f.rewrite(func(k Key) (Secret, error) { return Seal(k, p) })
}

// Unseal has nothing but the rights of the file protect the key.
func (f File) Unseal() error {
	return f.rewrite(func(k Key) (Secret, error) { return k.PEM(), nil })
}

// Sealed reports whether the key is sealed. Errors as for Load.
func (f File) Sealed() (bool, error) {
	text, err := private.Read(f.Dir, FileName, private.Fixed)
	return sealed(text), err
}

// Import keeps the key in text, which is as Export or the file itself has it,
// sealed or not; it stays sealed as it is. A key that is there already is not
// touched (the error is of kind Conflict), unless it is the same, or force says
// so: then it is set aside, under a name that tells which took its place.
func (f File) Import(text []byte, force bool) (k Key, err error) {
	if k, err = f.open(text); err != nil {
		return Key{}, err
	}
	err = f.change(func(dir *private.Dir) error {
		there, err := dir.Read(FileName)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case f.same(there, k):
		case force:
			if err := dir.Rename(FileName, FileName+".before-"+k.PublicKey().ID().String()[:16]); err != nil {
				return err
			}
		default:
			return lonja.E(lonja.Conflict, "import key", fmt.Errorf(
				"there is another key in %s, which would be lost: export that one first, then force the import", f.Path()))
		}
		return dir.Write(FileName, text)
	})
	return k, err
}

// same reports whether what is in the file is known to be k: a sealed key is
// not asked about.
func (f File) same(text []byte, k Key) bool {
	there, err := ParseKey(text)
	return err == nil && there.Equal(k)
}

// open returns the key in text, sealed or not.
func (f File) open(text []byte) (Key, error) {
	if !sealed(text) {
		return f.named(ParseKey(text))
	}
	var p Passphrase
	if f.Ask != nil {
		var err error
		if p, err = f.Ask(); err != nil {
			return Key{}, err
		}
	}
	return f.named(unseal(text, p))
}

// named has the error say which file it is about.
func (f File) named(k Key, err error) (Key, error) {
	if err != nil {
		return Key{}, lonja.E(lonja.KindOf(err), f.Path(), err)
	}
	return k, nil
}

// rewrite writes the key in another form.
func (f File) rewrite(form func(Key) (Secret, error)) error {
	return f.change(func(dir *private.Dir) error {
		text, err := dir.Read(FileName)
		if err != nil {
			return err
		}
		k, err := f.open(text)
		if err != nil {
			return err
		}
		next, err := form(k)
		if err != nil {
			return err
		}
		return dir.Write(FileName, next.Bytes())
	})
}

// change has the directory for itself while it calls do.
func (f File) change(do func(*private.Dir) error) error {
	dir, err := private.Lock(f.Dir, private.Fixed)
	if err != nil {
		return err
	}
	return errors.Join(do(dir), dir.Close())
}
