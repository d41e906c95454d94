package trust

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"lonja"
	"lonja/internal/link"
)

// A Directory is what is trusted of one directory.
type Directory struct {
	Addresses []string // host:port, in the form of package link
	Pins      []Pin    // the latest last
	Users     []User   // in the order in which they were met
}

// A Pin is a fingerprint that a directory may have.
type Pin struct {
	Fingerprint lonja.PeerID
	Since       time.Time
	Until       time.Time // zero for no end
}

// holds reports whether the pin is good at now.
func (p Pin) holds(now time.Time) bool { return p.Until.IsZero() || !now.After(p.Until) }

// A User is somebody who was met at a directory.
type User struct {
	Name  lonja.UserName
	Key   lonja.PublicKey // the first one of the account when it was met
	Since time.Time
}

// A record is what the file says.
type record struct{ directories []Directory }

const version = 1

// The file, as JSON has it.
type (
	fileRecord struct {
		Version     int             `json:"version"`
		Directories []fileDirectory `json:"directories"`
	}
	fileDirectory struct {
		Addresses []string   `json:"addresses"`
		Pins      []filePin  `json:"pins"`
		Users     []fileUser `json:"users,omitempty"`
	}
	filePin struct {
		Fingerprint string    `json:"fingerprint"`
		Since       time.Time `json:"since"`
		Until       time.Time `json:"until,omitzero"`
	}
	fileUser struct {
		Name  string    `json:"name"`
		Key   string    `json:"key"`
		Since time.Time `json:"since"`
	}
)

func encode(r record) ([]byte, error) {
	f := fileRecord{Version: version, Directories: []fileDirectory{}}
	for _, d := range r.directories {
		next := fileDirectory{Addresses: d.Addresses}
		for _, p := range d.Pins {
			next.Pins = append(next.Pins, filePin{p.Fingerprint.String(), p.Since, p.Until})
		}
		for _, u := range d.Users {
			next.Users = append(next.Users, fileUser{string(u.Name), u.Key.String(), u.Since})
		}
		f.Directories = append(f.Directories, next)
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write what is trusted: %w", err)
	}
	return append(text, '\n'), nil
}

// decode is the way back. What is not known is refused: it would be lost when
// the file is written next.
func decode(text []byte) (r record, err error) {
	var f fileRecord
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return r, err
	}
	if dec.More() || f.Version != version {
		return r, fmt.Errorf("it has version %d, or something behind it, which this lonja does not know", f.Version)
	}
	seen := map[string]bool{}
	once := func(what string) error {
		if seen[what] {
			return fmt.Errorf("%s is there twice", what)
		}
		seen[what] = true
		return nil
	}
	for _, d := range f.Directories {
		next, err := d.parse(once)
		if err != nil {
			return record{}, err
		}
		r.directories = append(r.directories, next)
	}
	return r, nil
}

func (d fileDirectory) parse(once func(string) error) (Directory, error) {
	var next Directory
	if len(d.Addresses) == 0 || len(d.Pins) == 0 {
		return next, errors.New("a directory in it has no address, or no fingerprint")
	}
	for _, s := range d.Addresses {
		a, err := link.ParseAddress(s)
		if err == nil {
			err = once(a.String())
		}
		if err != nil {
			return next, err
		}
		next.Addresses = append(next.Addresses, a.String())
	}
	for _, p := range d.Pins {
		b, err := hex.DecodeString(p.Fingerprint)
		if err != nil || len(b) != len(lonja.PeerID{}) {
			return next, fmt.Errorf("%q is no fingerprint", p.Fingerprint)
		}
		pin := Pin{lonja.PeerID(b), p.Since, p.Until}
		if err := once(pin.Fingerprint.String()); err != nil {
			return next, err
		}
		next.Pins = append(next.Pins, pin)
	}
	for _, u := range d.Users {
		name, err := lonja.ParseMemberName(u.Name)
		if err == nil && slices.ContainsFunc(next.Users, named(name)) {
			err = fmt.Errorf("%q is there twice", u.Name)
		}
		var key lonja.PublicKey
		if err == nil {
			key, err = lonja.ParsePublicKey(u.Key)
		}
		if err != nil {
			return next, err
		}
		next.Users = append(next.Users, User{name, key, u.Since})
	}
	return next, nil
}

func named(name lonja.UserName) func(User) bool {
	return func(u User) bool { return u.Name == name }
}

// at returns the directory with that address, or nil.
func (r *record) at(address string) *Directory {
	return r.find(func(d Directory) bool { return slices.Contains(d.Addresses, address) })
}

// with returns the directory that has, or had, that fingerprint, or nil.
func (r *record) with(id lonja.PeerID) *Directory {
	return r.find(func(d Directory) bool { return d.pin(id) != nil })
}

func (r *record) find(is func(Directory) bool) *Directory {
	if i := slices.IndexFunc(r.directories, is); i >= 0 {
		return &r.directories[i]
	}
	return nil
}

func (d *Directory) pin(id lonja.PeerID) *Pin {
	i := slices.IndexFunc(d.Pins, func(p Pin) bool { return p.Fingerprint == id })
	if i < 0 {
		return nil
	}
	return &d.Pins[i]
}
