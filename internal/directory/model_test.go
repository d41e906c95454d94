package directory

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/memstore"
)

// A model is the directory as the original had it: lists that are walked.
type model struct{ users []*modelUser } // newest first

type modelUser struct {
	name      lonja.UserName
	connected bool
	at        lonja.Endpoint
	files     []lonja.FileName // newest first
}

func (m *model) user(name lonja.UserName) *modelUser {
	for _, u := range m.users {
		if u.name == name {
			return u
		}
	}
	return nil
}

// check returns the failure that comes before anything else, or 0 and the user.
func (m *model) check(name lonja.UserName) (*modelUser, error) {
	u := m.user(name)
	if u == nil {
		return nil, lonja.NoSuchUser
	}
	if !u.connected {
		return nil, lonja.NotConnected
	}
	return u, nil
}

func (m *model) holders(base string) []string {
	var found []string
	for _, u := range m.users {
		for _, f := range u.files {
			if u.connected && f.Base() == base {
				found = append(found, fmt.Sprint(u.name, u.at, f))
			}
		}
	}
	slices.Sort(found)
	return found
}

// TestAgainstModel performs random operations on the directory and on a
// naive model of it: each answer is the same, and so is the index at the end.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, err := Open(t.Context(), Options{Store: memstore.New()})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		m := &model{}
		user := rapid.SampledFrom([]lonja.UserName{"a", "b", "c", "d"})
		file := rapid.SampledFrom([]lonja.FileName{"/x/f", "/y/f", "/g", `\h\f`, "g"})
		same := func(got, want error) {
			if (got == nil) != (want == nil) || want != nil && !errors.Is(got, want) {
				t.Fatalf("got error %v, want %v", got, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"register": func(t *rapid.T) {
				name := user.Draw(t, "user")
				var want error = lonja.NameInUse
				if m.user(name) == nil {
					want = nil
					m.users = slices.Insert(m.users, 0, &modelUser{name: name})
				}
				same(d.Register(t.Context(), name), want)
			},
			"unregister": func(t *rapid.T) {
				name := user.Draw(t, "user")
				var want error = lonja.NoSuchUser
				if u := m.user(name); u != nil {
					want = nil
					m.users = slices.DeleteFunc(m.users, func(o *modelUser) bool { return o == u })
				}
				same(d.Unregister(t.Context(), name), want)
			},
			"connect": func(t *rapid.T) {
				name := user.Draw(t, "user")
				at := lonja.EndpointFrom(netip.MustParseAddr("10.0.0.1"), rapid.Uint16().Draw(t, "port"))
				u, want := m.check(name)
				switch {
				case u != nil:
					want = lonja.AlreadyConnected
				case errors.Is(want, lonja.NotConnected):
					want, u = nil, m.user(name)
					u.connected, u.at = true, at
				}
				same(d.Connect(t.Context(), name, at), want)
			},
			"disconnect": func(t *rapid.T) {
				name := user.Draw(t, "user")
				u, want := m.check(name)
				if u != nil {
					u.connected = false
				}
				same(d.Disconnect(t.Context(), name), want)
			},
			"publish": func(t *rapid.T) {
				name, f := user.Draw(t, "user"), file.Draw(t, "file")
				u, want := m.check(name)
				if u != nil && slices.Contains(u.files, f) {
					want = lonja.AlreadyPublished
				} else if u != nil {
					u.files = slices.Insert(u.files, 0, f)
				}
				same(d.Publish(t.Context(), name, lonja.Listing{Name: f}), want)
			},
			"delete": func(t *rapid.T) {
				name, f := user.Draw(t, "user"), file.Draw(t, "file")
				u, want := m.check(name)
				if u != nil && !slices.Contains(u.files, f) {
					want = lonja.NotPublished
				} else if u != nil {
					u.files = slices.DeleteFunc(u.files, func(o lonja.FileName) bool { return o == f })
				}
				same(d.Delete(t.Context(), name, f), want)
			},
			"": func(t *rapid.T) { compare(t, d, m) },
		})
	})
}

// compare asks the directory everything that can be asked.
func compare(t *rapid.T, d *Directory, m *model) {
	online := 0
	for _, u := range m.users {
		if !u.connected {
			continue
		}
		online++
		peers, err := d.ListUsers(t.Context(), u.name)
		if err != nil {
			t.Fatal(err)
		}
		var want []lonja.Peer
		for _, o := range m.users {
			if o.connected {
				want = append(want, lonja.Peer{User: o.name, At: o.at})
			}
		}
		if !slices.Equal(slices.Collect(peers.All()), want) {
			t.Fatalf("users: got %v, want %v", peers, want)
		}
		for _, o := range m.users {
			listings, err := d.ListContent(t.Context(), u.name, o.name)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]lonja.FileName, len(listings))
			for i, l := range listings {
				got[i] = l.Name
			}
			if !slices.Equal(got, o.files) {
				t.Fatalf("content of %s: got %v, want %v", o.name, got, o.files)
			}
		}
		for _, base := range []lonja.FileName{"f", "g"} {
			holders, err := d.Holders(t.Context(), u.name, base)
			if err != nil && !errors.Is(err, lonja.NoHolder) {
				t.Fatal(err)
			}
			var got []string
			for _, h := range holders {
				got = append(got, fmt.Sprint(h.User, h.At, h.Name))
			}
			slices.Sort(got)
			if want := m.holders(string(base)); !slices.Equal(got, want) {
				t.Fatalf("holders of %s: got %v, want %v", base, got, want)
			}
		}
	}
	if got := d.index.Stats().Connected; got != online {
		t.Fatalf("%d users in the index of connected ones, want %d", got, online)
	}
}
