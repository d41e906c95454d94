package trust

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/link"
	"lonja/internal/statement"
)

var (
	epoch = time.Date(2026, 11, 27, 18, 0, 0, 0, time.UTC)
	host  = address("market.example")
	one   = lonja.PeerID{1}
	two   = lonja.PeerID{2}
	three = lonja.PeerID{3}
)

func address(s string) link.Address {
	a, err := link.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// A clock is set by the test that reads it.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newStore(t testing.TB) (*Store, *clock) {
	c := &clock{epoch}
	return New(filepath.Join(t.TempDir(), "lonja"), c.Now), c
}

// must fails the test at an error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// refused fails the test unless err is of kind Untrusted and says all of these.
func refused(t testing.TB, err error, says ...string) {
	t.Helper()
	if !errors.Is(err, lonja.Untrusted) {
		t.Errorf("got error %v, want %v", err, lonja.Untrusted)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("got error %v, want it to say %q", err, s)
		}
	}
}

// standing fails the test unless the directory is known as wanted.
func standing(t testing.TB, s *Store, at link.Address, id lonja.PeerID, want Standing) {
	t.Helper()
	if got, err := s.CheckDirectory(at, id); err != nil || got != want {
		t.Errorf("%v with %v: got %v, %v; want %v", at, id, got, err, want)
	}
}

func TestDirectories(t *testing.T) {
	s, _ := newStore(t)
	standing(t, s, host, one, Unknown)
	if pins, err := s.Pins(host); len(pins) != 0 || err != nil {
		t.Errorf("got %v, %v", pins, err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking has made a directory: %v", err)
	}
	must(t, s.PinDirectory(host, one), s.PinDirectory(host, one))
	standing(t, s, host, one, Known)
	standing(t, s, address("market.example:5555"), one, Unknown)
	says := []string{one.String(), two.String(), "market.example:4444", "2026-11-27", "lonja trust forget"}
	_, err := s.CheckDirectory(host, two)
	refused(t, err, says...)
	refused(t, s.PinDirectory(host, two), says...)
	standing(t, s, host, one, Known)

	again := New(s.dir, nil) // another process
	standing(t, again, host, one, Known)
	if info, err := os.Stat(s.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if found, err := s.ForgetDirectory(address("elsewhere")); found || err != nil {
		t.Errorf("got %t, %v", found, err)
	}
	if found, err := again.ForgetDirectory(host); !found || err != nil {
		t.Errorf("got %t, %v", found, err)
	}
	must(t, s.PinDirectory(host, two))
	standing(t, s, host, two, Known)
}

func TestRotation(t *testing.T) {
	s, c := newStore(t)
	second := address("[2001:db8::1]:99")
	must(t, s.PinDirectory(host, one), s.PinDirectory(second, one), s.PinDirectory(address("other"), three))
	refused(t, s.Rotate(two, one, epoch.Add(time.Hour)))
	refused(t, s.Rotate(one, three, epoch.Add(time.Hour)), "other")
	must(t, s.Rotate(one, two, epoch.Add(time.Hour)), s.Rotate(one, two, epoch.Add(2*time.Hour)))
	for _, at := range []link.Address{host, second} {
		standing(t, s, at, one, Known)
		standing(t, s, at, two, Known)
		if pins, err := s.Pins(at); err != nil || !slices.Equal(pins, []lonja.PeerID{one, two}) {
			t.Errorf("got %v, %v", pins, err)
		}
	}
	c.now = epoch.Add(time.Hour + time.Second)
	for _, at := range []link.Address{host, second} {
		_, err := s.CheckDirectory(at, one)
		refused(t, err, two.String())
		standing(t, s, at, two, Known)
		if pins, err := s.Pins(at); err != nil || !slices.Equal(pins, []lonja.PeerID{two}) {
			t.Errorf("got %v, %v", pins, err)
		}
	}
	refused(t, s.Rotate(one, lonja.PeerID{9}, epoch.Add(time.Hour)))
	refused(t, s.PinDirectory(address("new"), one), "has changed it")
	must(t, s.PinDirectory(address("new"), two))
	if found, err := s.ForgetDirectory(second); !found || err != nil {
		t.Error(err)
	}
	standing(t, s, host, one, Unknown) // all its addresses are forgotten
	standing(t, s, address("other"), three, Known)
}

func seedKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func publicOf(n byte) lonja.PublicKey {
	return lonja.PublicKey(seedKey(n).Public().(ed25519.PublicKey))
}

// ring returns the keys of ana: those of the seeds, each endorsed by the first.
func ring(t testing.TB, first byte, more ...byte) []lonja.KeyRecord {
	t.Helper()
	all := []lonja.KeyRecord{{Endorsement: lonja.Endorsement{User: "ana", Key: publicOf(first), Date: 100}}}
	for _, n := range more {
		e, err := statement.SignEndorsement(lonja.Endorsement{User: "ana", Key: publicOf(n), Date: 200}, seedKey(first))
		must(t, err)
		e.Consent, err = statement.SignConsent("ana", publicOf(first), seedKey(n))
		must(t, err)
		all = append(all, lonja.KeyRecord{Endorsement: e})
	}
	return all
}

func TestUsers(t *testing.T) {
	s, _ := newStore(t)
	refused(t, s.MeetUser(one, ring(t, 1), publicOf(1)), one.String()) // no such directory
	must(t, s.PinDirectory(host, one))
	check := func(r []lonja.KeyRecord, n byte, want Standing) {
		t.Helper()
		if got, err := s.CheckUser(one, r, publicOf(n)); err != nil || got != want {
			t.Errorf("key %d: got %v, %v; want %v", n, got, err, want)
		}
	}
	check(ring(t, 1, 2), 2, Unknown)
	refused(t, s.MeetUser(one, ring(t, 1), publicOf(2))) // a key that is none of hers
	refused(t, s.MeetUser(one, nil, publicOf(2)))
	must(t, s.MeetUser(one, ring(t, 1, 2), publicOf(2))) // met by her phone
	check(ring(t, 1, 2), 2, Known)
	check(ring(t, 1, 2), 1, Known) // her laptop is hers as well
	check(ring(t, 1, 2, 3), 3, Known)
	must(t, s.MeetUser(one, ring(t, 1, 2, 3), publicOf(3)))

	says := []string{publicOf(1).ID().String(), publicOf(4).ID().String(), "ana", "lonja trust forget market.example:4444"}
	refused(t, s.MeetUser(one, ring(t, 4), publicOf(4)), says...)    // another key
	refused(t, s.MeetUser(one, ring(t, 4, 1), publicOf(4)), says...) // that says it speaks for the old one
	refused(t, s.MeetUser(one, ring(t, 2, 4), publicOf(4)))          // a device that became the first
	refused(t, s.MeetUser(one, ring(t, 1, 2), publicOf(4)))          // not in the ring
	forged := ring(t, 1, 2)                                          // a directory that adds a key
	forged = append(forged, lonja.KeyRecord{Endorsement: forged[1].Endorsement})
	forged[2].Key = publicOf(4)
	refused(t, s.MeetUser(one, forged, publicOf(4)))
	unagreed := ring(t, 1, 4) // a key that did not agree
	unagreed[1].Consent = lonja.Signature{}
	refused(t, s.MeetUser(one, unagreed, publicOf(4)))
	unagreed[1].Consent = ring(t, 2, 4)[1].Consent // but to speak for another's account
	refused(t, s.MeetUser(one, unagreed, publicOf(4)))
	revoked := ring(t, 1, 2)
	revoked[0].Revoked = 300
	check(revoked, 2, Known)
	refused(t, s.MeetUser(one, revoked, publicOf(1)), "revoked")

	// Her directory rotates: she is the same. At another one she is another.
	must(t, s.Rotate(one, two, epoch.Add(time.Hour)), s.PinDirectory(address("other"), three))
	refused(t, s.MeetUser(two, ring(t, 4), publicOf(4)))
	must(t, s.MeetUser(three, ring(t, 4), publicOf(4)))

	if found, err := s.ForgetUser(host, "eva"); found || err != nil {
		t.Errorf("got %t, %v", found, err)
	}
	if found, err := s.ForgetUser(host, "ana"); !found || err != nil {
		t.Errorf("got %t, %v", found, err)
	}
	must(t, s.MeetUser(one, ring(t, 4), publicOf(4)))
	all, err := s.List()
	if err != nil || len(all) != 2 || len(all[0].Users) != 1 || all[0].Users[0] != (User{"ana", publicOf(4), epoch}) {
		t.Errorf("got %+v, %v", all, err)
	}
}

// TestPins: of one directory, across its rotation, and for the user who is meant.
func TestPins(t *testing.T) {
	s, c := newStore(t)
	must(t, s.PinDirectory(host, one))
	pins := s.UsersOf(one)
	must(t, pins.CheckUser("ana", ring(t, 1, 2), publicOf(2)))
	must(t, s.Rotate(one, two, epoch.Add(time.Hour)))
	c.now = epoch.Add(2 * time.Hour)
	for _, p := range []*Pins{pins, s.UsersOf(two)} {
		must(t, p.CheckUser("ana", ring(t, 1, 3), publicOf(3)))
		refused(t, p.CheckUser("ana", ring(t, 4), publicOf(4)))
		refused(t, p.CheckUser("eva", ring(t, 1), publicOf(1)), "somebody else")
		refused(t, p.CheckUser("eva", nil, publicOf(1)))
	}
}

// TestManyProcesses: what many pin at once is all there, and two that meet one
// user with two keys do not both win.
func TestManyProcesses(t *testing.T) {
	s, _ := newStore(t)
	must(t, s.PinDirectory(host, one))
	const many = 12
	rings := make([][]lonja.KeyRecord, many)
	for i := range rings {
		rings[i] = ring(t, byte(i))
	}
	var all sync.WaitGroup
	won := make([]bool, many)
	for i := range many {
		all.Go(func() {
			own := New(s.dir, nil)
			if err := own.PinDirectory(address(fmt.Sprint("host", i)), lonja.PeerID{100, byte(i)}); err != nil {
				t.Error(err)
			}
			err := own.MeetUser(one, rings[i], rings[i][0].Key)
			won[i] = err == nil
			if err != nil && !errors.Is(err, lonja.Untrusted) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := s.List()
	if err != nil || len(list) != many+1 {
		t.Errorf("got %d directories, %v; want %d", len(list), err, many+1)
	}
	if winners := len(slices.DeleteFunc(won, func(b bool) bool { return !b })); winners != 1 {
		t.Errorf("%d keys are trusted for one user, want 1", winners)
	}
}

func TestOpenRightsAndDamage(t *testing.T) {
	s, _ := newStore(t)
	must(t, s.PinDirectory(host, one))
	good, err := os.ReadFile(s.Path())
	must(t, err, os.Chmod(s.Path(), 0o664))
	_, err = s.Pins(host)
	for _, err := range []error{err, s.PinDirectory(host, one)} {
		if !errors.Is(err, lonja.LocalFile) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("got error %v", err)
		}
	}
	must(t, os.Chmod(s.Path(), 0o600))
	spoil := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	for name, text := range map[string][]byte{
		"empty":             {},
		"cut":               good[:len(good)-5],
		"later version":     spoil(`"version": 1`, `"version": 2`),
		"something unknown": spoil(`"version": 1`, `"version": 1, "x": 1`),
		"fingerprint":       spoil(one.String(), one.String()[1:]),
		"address":           spoil("market.example", "market/example"),
		"no address":        spoil(`"market.example:4444"`, ""),
		"two":               append(bytes.Clone(good), good...),
	} {
		must(t, os.WriteFile(s.Path(), text, 0o600))
		_, err := s.CheckDirectory(host, one)
		for _, err := range []error{err, s.PinDirectory(address("other"), two)} {
			if !errors.Is(err, lonja.Damaged) || !strings.Contains(err.Error(), s.Path()) {
				t.Errorf("%s: got error %v, want %v", name, err, lonja.Damaged)
			}
		}
		if now, err := os.ReadFile(s.Path()); err != nil || !bytes.Equal(now, text) {
			t.Errorf("%s: the file has changed", name)
		}
	}
}

// TestTrustAgainstModel: an address has one directory, until it is forgotten; a
// directory may have the fingerprints that were pinned first or followed, while
// they last. The model is a list of those that were made, with who they were.
func TestTrustAgainstModel(t *testing.T) {
	type directory struct {
		hosts map[int]bool
		ends  map[byte]int // fingerprint: when it ends
	}
	const never = 1000
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "trust")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		var model []*directory
		var now int
		s := New(dir, func() time.Time { return epoch.Add(time.Duration(now) * time.Hour) })
		hosts := []link.Address{address("a"), address("b"), address("c")}
		drawHost := func() int { return rapid.IntRange(0, 2).Draw(t, "host") }
		drawID := func() byte { return rapid.ByteRange(1, 4).Draw(t, "id") }
		at := func(h int) *directory {
			for _, d := range model {
				if d.hosts[h] {
					return d
				}
			}
			return nil
		}
		with := func(id byte) *directory {
			for _, d := range model {
				if _, has := d.ends[id]; has {
					return d
				}
			}
			return nil
		}
		holds := func(d *directory, id byte) bool { return d != nil && d.ends[id] >= now && d.ends[id] > 0 }
		agree := func(what string, err error, ok bool) {
			if (err == nil) != ok || err != nil && !errors.Is(err, lonja.Untrusted) {
				t.Fatalf("%s: got error %v, want none: %t", what, err, ok)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(*rapid.T) { now++ },
			"pin": func(*rapid.T) {
				h, id := drawHost(), drawID()
				err := s.PinDirectory(hosts[h], lonja.PeerID{id})
				d, other := at(h), with(id)
				switch {
				case d != nil:
					agree("pin", err, holds(d, id))
				case other != nil:
					agree("pin elsewhere", err, holds(other, id))
					if holds(other, id) {
						other.hosts[h] = true
					}
				default:
					agree("pin first", err, true)
					model = append(model, &directory{map[int]bool{h: true}, map[byte]int{id: never}})
				}
			},
			"rotate": func(*rapid.T) {
				from, to, end := drawID(), drawID(), now+rapid.IntRange(1, 4).Draw(t, "overlap")
				err := s.Rotate(lonja.PeerID{from}, lonja.PeerID{to}, epoch.Add(time.Duration(end)*time.Hour))
				d, other := with(from), with(to)
				agree("rotate", err, holds(d, from) && (other == nil || other == d))
				if err == nil && other == nil {
					d.ends[from], d.ends[to] = min(d.ends[from], end), never
				}
			},
			"forget": func(*rapid.T) {
				h := drawHost()
				found, err := s.ForgetDirectory(hosts[h])
				agree("forget", err, true)
				if d := at(h); found != (d != nil) {
					t.Fatalf("forget: found %t", found)
				} else if found {
					model = slices.DeleteFunc(model, func(other *directory) bool { return other == d })
				}
			},
			"": func(*rapid.T) {
				for h := range hosts {
					for id := byte(1); id <= 4; id++ {
						got, err := s.CheckDirectory(hosts[h], lonja.PeerID{id})
						d := at(h)
						agree("check", err, d == nil || holds(d, id))
						if want := holds(d, id); (got == Known) != want {
							t.Fatalf("host %d with %d: got %v, want known: %t", h, id, got, want)
						}
					}
				}
			},
		})
	})
}

// FuzzDecode: whatever is read, what is taken is written as something that is
// read as the same.
func FuzzDecode(f *testing.F) {
	s, _ := newStore(f)
	must(f, s.PinDirectory(host, one), s.Rotate(one, two, epoch), s.MeetUser(one, ring(f, 1), publicOf(1)))
	text, err := os.ReadFile(s.Path())
	must(f, err)
	f.Add(text)
	f.Add([]byte(`{"version": 1, "directories": []}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decode(text)
		if err != nil {
			return
		}
		written, err := encode(r)
		if err != nil {
			return // a date of the year 10000, say
		}
		again, err := decode(written)
		if err != nil {
			t.Fatalf("%s is read, but not what is written: %v", text, err)
		}
		if twice, err := encode(again); err != nil || !bytes.Equal(twice, written) {
			t.Errorf("%s becomes %s, %v", written, twice, err)
		}
	})
}

// TestFollows: from keys of another day to one that is proved now, whatever is
// pinned.
func TestFollows(t *testing.T) {
	revoked := ring(t, 1, 2)
	revoked[1].Revoked = 300
	for name, c := range map[string]struct {
		known []byte
		ring  []lonja.KeyRecord
		key   byte
		from  byte // 0: refused
	}{
		"the same":                    {[]byte{1}, ring(t, 1), 1, 1},
		"endorsed":                    {[]byte{3, 1}, ring(t, 1, 2, 3), 2, 1},
		"of the same parent":          {[]byte{3}, ring(t, 1, 2, 3), 2, 0},
		"the parent":                  {[]byte{2}, ring(t, 1, 2), 1, 0},
		"that endorses what is known": {[]byte{1}, ring(t, 4, 1), 4, 0},
		"revoked":                     {[]byte{1}, revoked, 2, 0},
		"not there":                   {[]byte{1}, ring(t, 1), 2, 0},
		"nothing known":               {nil, ring(t, 1), 1, 0},
		"no keys":                     {[]byte{1}, nil, 1, 0},
	} {
		var known []lonja.PublicKey
		for _, n := range c.known {
			known = append(known, publicOf(n))
		}
		from, err := Follows(known, lonja.Member{User: "ana", Key: publicOf(c.key)}, c.ring)
		switch {
		case c.from == 0:
			refused(t, err)
		case err != nil || from != publicOf(c.from):
			t.Errorf("%s: got %v, %v", name, from.ID(), err)
		}
	}
	_, err := Follows([]lonja.PublicKey{publicOf(1)}, lonja.Member{User: "eva", Key: publicOf(1)}, ring(t, 1))
	refused(t, err, "somebody else")
}
