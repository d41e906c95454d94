package trust

import (
	"errors"

	"lonja"
	"lonja/internal/statement"
)

// Pins are the users of one directory, as a node that is connected to it needs
// them.
type Pins struct {
	store     *Store
	directory lonja.PeerID
}

// UsersOf returns the users of the directory that has that fingerprint, or had
// it before a rotation. It must be pinned.
func (s *Store) UsersOf(directory lonja.PeerID) *Pins { return &Pins{s, directory} }

// CheckUser is MeetUser, for a ring that must be that of user: it pins who was
// never met, and of all others takes only keys that follow. Untrusted.
func (p *Pins) CheckUser(user lonja.UserName, ring []lonja.KeyRecord, key lonja.PublicKey) error {
	if len(ring) > 0 && ring[0].User != user {
		return &lonja.Error{
			Kind: lonja.Untrusted, Op: "check user", User: user,
			Err: errors.New("the directory has told the keys of somebody else"),
		}
	}
	return p.store.MeetUser(p.directory, ring, key)
}

// Users returns the users whose keys are pinned, in the order in which they were met.
func (p *Pins) Users() ([]lonja.UserName, error) {
	r, err := p.store.read()
	if err != nil {
		return nil, err
	}
	var users []lonja.UserName
	if d := r.with(p.directory); d != nil {
		for _, u := range d.Users {
			users = append(users, u.Name)
		}
	}
	return users, nil
}

// Follows returns from which of the keys that are known of a user the key follows
// that somebody has proved in that user's name, by the user's keys as the
// directory tells them. What is pinned now does not matter, and nothing is pinned:
// the keys that are known are those of another day. Untrusted.
func Follows(known []lonja.PublicKey, who lonja.Member, ring []lonja.KeyRecord) (from lonja.PublicKey, err error) {
	err = errors.New("no key of the user is known")
	if len(ring) > 0 && ring[0].User != who.User {
		known, err = nil, errors.New("the directory has told the keys of somebody else")
	}
	for _, from := range known {
		if err = statement.Follows(from, ring, who.Key); err == nil {
			return from, nil
		}
	}
	return from, &lonja.Error{Kind: lonja.Untrusted, Op: "check user", User: who.User, Err: err}
}
