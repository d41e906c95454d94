package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"lonja"
	"lonja/internal/link"
	"lonja/internal/private"
	"lonja/internal/statement"
)

// FileName is what the file is called.
const FileName = "trust.json"

// A Standing is what is known of somebody who has not turned out false.
type Standing int

// What somebody can be.
const (
	Unknown Standing = iota // never met: nothing is pinned
	Known                   // the one that is pinned, or one that follows from it
)

// A Store is the file. Its methods may be called at once, also by several
// processes. Their errors are of kind LocalFile if it cannot be read or written,
// or others have rights to it; Damaged if it is not whole; else as they say.
type Store struct {
	dir   string
	clock func() time.Time

	mu   sync.Mutex // guards what follows: the file as it was read last
	text []byte
	last record
}

// New returns the Store in a directory, which is made when something is first
// pinned. Clock is time.Now if nil.
func New(dir string, clock func() time.Time) *Store {
	if clock == nil {
		clock = time.Now
	}
	return &Store{dir: dir, clock: clock}
}

// Path returns the path of the file.
func (s *Store) Path() string { return filepath.Join(s.dir, FileName) }

// Pins returns the fingerprints that the directory at an address may have now,
// the latest last; none if it was never met.
func (s *Store) Pins(at link.Address) ([]lonja.PeerID, error) {
	r, err := s.read()
	if err != nil {
		return nil, err
	}
	d := r.at(at.String())
	if d == nil {
		return nil, nil
	}
	var ids []lonja.PeerID
	for _, p := range d.Pins {
		if p.holds(s.clock()) {
			ids = append(ids, p.Fingerprint)
		}
	}
	return ids, nil
}

// CheckDirectory tells what is known of a directory that has proved a
// fingerprint. The error is of kind Untrusted if it is not the one that is
// pinned for that address.
func (s *Store) CheckDirectory(at link.Address, id lonja.PeerID) (Standing, error) {
	r, err := s.read()
	if err != nil {
		return Unknown, err
	}
	return r.check(at, id, s.clock())
}

func (r *record) check(at link.Address, id lonja.PeerID, now time.Time) (Standing, error) {
	d := r.at(at.String())
	if d == nil {
		return Unknown, nil
	}
	if p := d.pin(id); p != nil && p.holds(now) {
		return Known, nil
	}
	trusted := d.Pins[len(d.Pins)-1]
	return Unknown, lonja.E(lonja.Untrusted, "check directory", fmt.Errorf(
		"the directory at %v has the fingerprint %v, but %v is trusted since %s: either somebody stands between, or it was set up anew. "+
			"Ask who runs it which one is right. If it is the new one, forget the old (lonja trust forget %v) and connect again",
		at, id, trusted.Fingerprint, trusted.Since.UTC().Format(time.DateOnly), at))
}

// PinDirectory trusts a directory from now on: at first contact, when a person
// or a link has said that the fingerprint is right. The error is of kind
// Untrusted if another one is pinned for that address.
func (s *Store) PinDirectory(at link.Address, id lonja.PeerID) error {
	return s.change(func(r *record) (bool, error) {
		standing, err := r.check(at, id, s.clock())
		if err != nil || standing == Known {
			return false, err
		}
		if d := r.with(id); d != nil && d.pin(id).holds(s.clock()) {
			d.Addresses = append(d.Addresses, at.String())
			return true, nil
		} else if d != nil {
			return false, lonja.E(lonja.Untrusted, "pin directory", fmt.Errorf("the fingerprint %v was that of %s, which has changed it since", id, d.Addresses[0]))
		}
		r.directories = append(r.directories, Directory{
			Addresses: []string{at.String()},
			Pins:      []Pin{{Fingerprint: id, Since: s.now()}},
		})
		return true, nil
	})
}

// Rotate trusts the fingerprint to as well, since one that is pinned, from, has
// proved that it follows; from itself is trusted until then. The error is of
// kind Untrusted if from is not pinned, or to is that of another directory.
func (s *Store) Rotate(from, to lonja.PeerID, until time.Time) error {
	return s.change(func(r *record) (bool, error) {
		d := r.with(from)
		if d == nil || !d.pin(from).holds(s.clock()) {
			return false, lonja.E(lonja.Untrusted, "follow rotation", fmt.Errorf("the fingerprint %v, from which %v follows, is not trusted", from, to))
		}
		if other := r.with(to); other != nil {
			if other != d {
				return false, lonja.E(lonja.Untrusted, "follow rotation", fmt.Errorf("the fingerprint %v is that of %s", to, other.Addresses[0]))
			}
			return false, nil
		}
		if p := d.pin(from); p.Until.IsZero() || until.Before(p.Until) {
			p.Until = until.UTC().Truncate(time.Second)
		}
		d.Pins = append(d.Pins, Pin{Fingerprint: to, Since: s.now()})
		return true, nil
	})
}

// ForgetDirectory trusts nothing any more of the directory at an address: its
// fingerprints, its users, and its other addresses go too. Found tells whether
// it was known.
func (s *Store) ForgetDirectory(at link.Address) (found bool, err error) {
	err = s.change(func(r *record) (bool, error) {
		before := len(r.directories)
		r.directories = slices.DeleteFunc(r.directories, func(d Directory) bool { return slices.Contains(d.Addresses, at.String()) })
		found = len(r.directories) < before
		return found, nil
	})
	return found, err
}

// CheckUser tells what is known of a user who acts with a key, of a directory
// with that fingerprint. The keys of the user are as the directory told them.
// The error is of kind Untrusted if the keys are not in order, if the key is not
// one that speaks for the user, or if it does not follow from the one that is
// pinned.
func (s *Store) CheckUser(directory lonja.PeerID, ring []lonja.KeyRecord, key lonja.PublicKey) (Standing, error) {
	r, err := s.read()
	if err != nil {
		return Unknown, err
	}
	return r.checkUser(directory, ring, key)
}

func (r *record) checkUser(directory lonja.PeerID, ring []lonja.KeyRecord, key lonja.PublicKey) (Standing, error) {
	if err := statement.CheckRing(ring); err != nil {
		return Unknown, err
	}
	user := ring[0].User
	d := r.with(directory)
	i := -1
	if d != nil {
		i = slices.IndexFunc(d.Users, named(user))
	}
	if i < 0 {
		return Unknown, statement.Follows(ring[0].Key, ring, key)
	}
	pinned := d.Users[i]
	if err := statement.Follows(pinned.Key, ring, key); err != nil {
		return Unknown, &lonja.Error{Kind: lonja.Untrusted, Op: "check user", User: user, Err: fmt.Errorf(
			"acts with the key %v, which does not follow from the key %v, trusted since %s: either the directory lies, or somebody has the name anew. "+
				"Ask the user, by another way than this. If the new key is right, forget the old (lonja trust forget %s --user NAME): %w",
			key.ID(), pinned.Key.ID(), pinned.Since.UTC().Format(time.DateOnly), d.Addresses[0], err)}
	}
	return Known, nil
}

// MeetUser is CheckUser, and pins who was not known: the first key of the
// account, from which all its others follow, so that it does not matter which
// device of the user is met first. The directory must be one that is pinned, or
// the error is of kind Untrusted.
func (s *Store) MeetUser(directory lonja.PeerID, ring []lonja.KeyRecord, key lonja.PublicKey) error {
	standing, err := s.CheckUser(directory, ring, key)
	if err != nil || standing == Known {
		return err
	}
	return s.change(func(r *record) (bool, error) {
		standing, err := r.checkUser(directory, ring, key) // another process may have met it meanwhile
		if err != nil || standing == Known {
			return false, err
		}
		d := r.with(directory)
		if d == nil {
			return false, lonja.E(lonja.Untrusted, "meet user", fmt.Errorf("the directory with the fingerprint %v is not trusted", directory))
		}
		d.Users = append(d.Users, User{ring[0].User, ring[0].Key, s.now()})
		return true, nil
	})
}

// ForgetUser trusts the next key again with which the user is met at the
// directory of that address. Found tells whether one was pinned.
func (s *Store) ForgetUser(at link.Address, user lonja.UserName) (found bool, err error) {
	err = s.change(func(r *record) (bool, error) {
		d := r.at(at.String())
		if d == nil {
			return false, nil
		}
		before := len(d.Users)
		d.Users = slices.DeleteFunc(d.Users, named(user))
		found = len(d.Users) < before
		return found, nil
	})
	return found, err
}

// List returns all that is trusted. The caller owns it.
func (s *Store) List() ([]Directory, error) {
	r, err := s.read()
	return r.directories, err
}

// now is what is written for this moment.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Second) }

// read returns what the file says. The caller owns it.
func (s *Store) read() (record, error) {
	text, err := private.Read(s.dir, FileName, private.Fixed)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, err
	}
	return s.parse(text)
}

// parse decodes the file, unless it is what it was.
func (s *Store) parse(text []byte) (record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == nil || !bytes.Equal(s.text, text) {
		r, err := decode(text)
		if err != nil {
			return record{}, lonja.E(lonja.Damaged, s.Path(), fmt.Errorf(
				"%w; nothing is trusted until it is mended, or moved away, which forgets everything", err))
		}
		s.text, s.last = text, r
	}
	return s.last.clone(), nil
}

func (r record) clone() record {
	all := slices.Clone(r.directories)
	for i, d := range all {
		all[i] = Directory{slices.Clone(d.Addresses), slices.Clone(d.Pins), slices.Clone(d.Users)}
	}
	return record{all}
}

// change has the file for itself while do changes what it says; do tells whether
// it has.
func (s *Store) change(do func(*record) (bool, error)) (err error) {
	dir, err := private.Lock(s.dir, private.Fixed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	var r record
	text, err := dir.Read(FileName)
	if err == nil {
		r, err = s.parse(text)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	changed, err := do(&r)
	if err != nil || !changed {
		return err
	}
	if text, err = encode(r); err != nil {
		return err
	}
	return dir.Write(FileName, text)
}
