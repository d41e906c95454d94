package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/identity"
	"lonja/internal/statement"
)

const (
	crashMembersCount = 4
	crashMemberFiles  = 5
	crashMemberKeys   = 6 // further keys of each
)

// A crashMember is a crashWorker of the secure dialect: its account is bound to
// its key, it adds keys and takes them back, and signs what it publishes.
type crashMember struct {
	user    lonja.UserName
	key     identity.Key
	account state
	devices map[lonja.PublicKey]*crashDevice
	files   map[lonja.FileName]*crashFile
	made    uint64 // contents
}

// A crashDevice is a further key.
type crashDevice struct {
	bound, revoked state
}

// A crashFile is a publication, and how it was signed last.
type crashFile struct {
	listed    state
	signature lonja.Signature
}

func newCrashMembers(t *testing.T) []*crashMember {
	t.Helper()
	members := make([]*crashMember, crashMembersCount)
	for i := range members {
		key, err := identity.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		members[i] = &crashMember{
			user: lonja.UserName(fmt.Sprintf("member-%d", i)), key: key,
			devices: map[lonja.PublicKey]*crashDevice{}, files: map[lonja.FileName]*crashFile{},
		}
		for j := range crashMemberFiles {
			members[i].files[lonja.FileName(fmt.Sprintf("file-%d", j))] = &crashFile{}
		}
	}
	return members
}

func (m *crashMember) member() lonja.Member {
	return lonja.Member{User: m.user, Key: m.key.PublicKey()}
}

// client connects the member with a directory. The caller closes it.
func (m *crashMember) client(t *testing.T, address string) *apiclient.Client {
	t.Helper()
	own, err := identity.Certificate(m.key)
	if err != nil {
		t.Fatal(err)
	}
	return apiclient.New(apiclient.Options{
		Addresses: []string{address},
		TLS:       &tls.Config{Certificates: []tls.Certificate{own}, InsecureSkipVerify: true}, // its key is new each time
	})
}

// work performs random operations until the directory does not answer any more:
// ctx ends then.
func (m *crashMember) work(ctx context.Context, t *testing.T, dir *apiclient.Client) {
	for ctx.Err() == nil {
		var err error
		switch n := rand.IntN(8); {
		case m.account != present:
			m.account = unknown
			if err = dir.RegisterMember(ctx, m.member(), ""); err == nil {
				m.account = present
			}
		case n == 0 && len(m.devices) < crashMemberKeys:
			err = m.addKey(ctx, dir)
		case n == 1:
			err = m.revoke(ctx, dir)
		default:
			err = m.publishOrDelete(ctx, dir)
		}
		if err == nil {
			continue
		}
		if kind := lonja.KindOf(err); kind != lonja.Unavailable && kind != lonja.Canceled {
			t.Errorf("%s: %v", m.user, err)
		}
		return
	}
}

func (m *crashMember) addKey(ctx context.Context, dir *apiclient.Client) error {
	key, err := identity.NewKey()
	if err != nil {
		return err
	}
	e := lonja.Endorsement{User: m.user, Key: key.PublicKey(), Label: "kept", Date: time.Now().Unix(), By: m.key.PublicKey()}
	if e.Consent, err = statement.SignConsent(m.user, m.key.PublicKey(), key); err != nil {
		return err
	}
	if e, err = statement.SignEndorsement(e, m.key); err != nil {
		return err
	}
	device := &crashDevice{bound: unknown}
	m.devices[e.Key] = device
	if err = dir.AddKey(ctx, m.member(), e); err == nil {
		device.bound = present
	}
	return err
}

// revoke takes a key back that is bound for sure, if there is one.
func (m *crashMember) revoke(ctx context.Context, dir *apiclient.Client) error {
	for key, device := range m.devices {
		if device.bound != present || device.revoked != absent {
			continue
		}
		r, err := statement.SignRevocation(lonja.Revocation{User: m.user, Key: key, Date: time.Now().Unix(), By: m.key.PublicKey()}, m.key)
		if err != nil {
			return err
		}
		device.revoked = unknown
		if err = dir.RevokeKey(ctx, m.member(), r); err == nil {
			device.revoked = present
		}
		return err
	}
	return nil
}

func (m *crashMember) publishOrDelete(ctx context.Context, dir *apiclient.Client) error {
	name := lonja.FileName(fmt.Sprintf("file-%d", rand.IntN(crashMemberFiles)))
	file := m.files[name]
	if file.listed == present {
		file.listed = unknown
		err := dir.Delete(ctx, m.user, name)
		if err == nil {
			file.listed = absent
		}
		return err
	}
	m.made++
	listing := lonja.Listing{Name: name, Description: "kept", Size: int64(m.made), Proof: &lonja.Proof{Date: time.Now().Unix()}}
	listing.Proof.File = lonja.FileID{byte(m.made), byte(m.made >> 8), byte(m.made >> 16), 1}
	signed, err := statement.SignPublication(lonja.Publication{Owner: m.user, Listing: listing}, m.key)
	if err != nil {
		return err
	}
	file.listed, file.signature = unknown, signed.Proof.Signature
	if err = dir.Publish(ctx, m.user, signed.Listing); err == nil {
		file.listed = present
	}
	return err
}

// verify asks the directory for what the member knows, and learns what it does
// not.
func (m *crashMember) verify(t *testing.T, dir *apiclient.Client) {
	ctx := t.Context()
	ring, err := dir.Keys(ctx, m.user)
	switch {
	case errors.Is(err, lonja.NoSuchOwner) && m.account != present:
		m.account = absent
		return
	case err != nil:
		t.Errorf("%s: %v (it was %d before)", m.user, err, m.account)
		return
	case len(ring) == 0 || ring[0].Key != m.key.PublicKey():
		t.Errorf("%s is bound to %v", m.user, ring)
		return
	}
	m.account = present
	learn := func(what any, known *state, found bool) {
		is := absent
		if found {
			is = present
		}
		if *known != unknown && *known != is {
			t.Errorf("%s: %v was %d, and now is %d", m.user, what, *known, is)
		}
		*known = is
	}
	for key, device := range m.devices {
		i := slices.IndexFunc(ring, func(r lonja.KeyRecord) bool { return r.Key == key })
		learn(key, &device.bound, i >= 0)
		learn(fmt.Sprint("revocation of ", key), &device.revoked, i >= 0 && ring[i].Revoked != 0)
		if i < 0 {
			delete(m.devices, key)
		}
	}
	listed, err := dir.ListContent(ctx, m.user, m.user)
	if err != nil {
		t.Error(err)
		return
	}
	for name, file := range m.files {
		i := slices.IndexFunc(listed, func(l lonja.Listing) bool { return l.Name == name })
		learn(name, &file.listed, i >= 0)
		if i >= 0 && listed[i].Proof.Signature != file.signature {
			t.Errorf("%s: %s is listed as it was signed another time", m.user, name)
		}
	}
}
