package index

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja"
)

// A model is an index as plain lists that are walked.
type model struct {
	accounts []*modelAccount // the oldest first
	held     []*modelFile    // in the order in which they were offered by somebody connected
}

type modelAccount struct {
	name        lonja.UserName
	incarnation uint64
	rev         uint64
	online      bool
	bound       bool
	revoked     []lonja.PublicKey
	files       []*modelFile // the oldest first
	fetching    []lonja.FileID
}

type modelFile struct {
	owner *modelAccount
	lonja.Listing
	rev uint64
}

func (m *model) account(user lonja.UserName) *modelAccount {
	for _, a := range m.accounts {
		if a.name == user {
			return a
		}
	}
	return nil
}

func (m *model) remove(user lonja.UserName) {
	m.accounts = slices.DeleteFunc(m.accounts, func(a *modelAccount) bool { return a.name == user })
	m.held = slices.DeleteFunc(m.held, func(f *modelFile) bool { return f.owner.name == user })
}

func (m *model) removeFile(a *modelAccount, name lonja.FileName) {
	same := func(f *modelFile) bool { return f.owner == a && f.Name == name }
	a.files = slices.DeleteFunc(a.files, same)
	m.held = slices.DeleteFunc(m.held, same)
}

func (m *model) setOnline(a *modelAccount, online bool) {
	if a.online == online {
		return
	}
	a.online = online
	m.held = slices.DeleteFunc(m.held, func(f *modelFile) bool { return f.owner == a })
	if online {
		m.held = append(m.held, a.files...)
	}
}

// search is the meaning of lonja.Searcher, in the plainest way, for somebody who
// may know of all that every member may.
func (m *model) search(q *lonja.Query) []lonja.Found {
	return m.searchFor(nil, q)
}

func (m *model) searchFor(asker *modelAccount, q *lonja.Query) []lonja.Found {
	groups := map[string]*lonja.Found{}
	matches := map[string][]*modelFile{}
	for _, a := range m.accounts {
		for _, f := range a.files {
			if !f.seenBy(asker) {
				continue
			}
			base := f.Name.Base()
			if groups[base] == nil {
				groups[base] = &lonja.Found{}
			}
			groups[base].Holders++
			if a.online {
				groups[base].Online++
			}
			if modelMatches(f, q) {
				matches[base] = append(matches[base], f)
			}
		}
	}
	var all []lonja.Found
	for base, files := range matches {
		found := *groups[base]
		slices.SortStableFunc(files, func(a, b *modelFile) int {
			return cmp.Compare(fmt.Sprint(!a.owner.online), fmt.Sprint(!b.owner.online))
		})
		found.Owner, found.Listing = files[0].owner.name, files[0].Listing
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b lonja.Found) int {
		return cmp.Or(cmp.Compare(b.Online, a.Online), cmp.Compare(b.Holders, a.Holders),
			cmp.Compare(a.Listing.Name.Base(), b.Listing.Name.Base()))
	})
	return all
}

func modelMatches(f *modelFile, q *lonja.Query) bool {
	have := append(modelWords(string(f.Name)), modelWords(string(f.Description))...)
	want := modelWords(q.Words)
	for i, w := range want {
		if !slices.ContainsFunc(have, func(h string) bool { return h == w || i == len(want)-1 && strings.HasPrefix(h, w) }) {
			return false
		}
	}
	base := f.Name.Base()
	dot := strings.LastIndex(base, ".")
	return (q.Base == "" || q.Base.String() == base) &&
		(q.Extension == "" || dot > 0 && strings.EqualFold(base[dot+1:], q.Extension)) &&
		(q.Owner == "" || q.Owner == f.owner.name) &&
		(!q.OnlineOnly || f.owner.online) &&
		(q.MinSize == 0 || f.Size >= q.MinSize) &&
		(q.MaxSize == 0 || f.Size >= 0 && f.Size <= q.MaxSize)
}

func modelWords(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9')
	})
}

// A machine does the same to an index and to a model.
type machine struct {
	x   *Index
	m   *model
	rev uint64
}

var (
	someUser  = rapid.SampledFrom([]lonja.UserName{"ana", "luis", "eva", "pau"})
	someFile  = rapid.SampledFrom([]lonja.FileName{"/a/one.txt", "/b/one.txt", "/a/two words.mp3", `\c\ONE.TXT`, "two/a b/one.txt", "one two.mp3", "/a/.hidden", "/a/onerous.Mp3", "/x/", "/d/one two three"})
	someWords = rapid.SampledFrom([]lonja.Description{"", "one", "Two three", "the ONE and only", "oneself", "o"})
)

func (s *machine) publish(t *rapid.T) {
	a := s.m.account(someUser.Draw(t, "user"))
	p := lonja.Listing{Name: someFile.Draw(t, "file"), Description: someWords.Draw(t, "description"), Size: rapid.Int64Range(-1, 5).Draw(t, "size")}
	s.rev++
	if a != nil && rapid.Bool().Draw(t, "signed") {
		p.Proof = drawProof(t, s.rev)
	}
	if a == nil {
		if !s.x.loading && s.x.SetPublication("nobody", 1, s.rev, p) {
			t.Fatal("a publication without account was taken")
		}
		return
	}
	if !s.x.SetPublication(a.name, a.incarnation, s.rev, p) {
		t.Fatal("a publication was refused")
	}
	s.m.removeFile(a, p.Name)
	if p.Proof != nil && slices.Contains(a.revoked, p.Proof.Key) {
		return
	}
	f := &modelFile{a, p, s.rev}
	a.files = append(a.files, f)
	if a.online {
		s.m.held = append(s.m.held, f)
	}
}

func (s *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"account": func(t *rapid.T) {
			user := someUser.Draw(t, "user")
			s.rev++
			s.x.SetAccount(user, s.rev, s.rev)
			s.m.remove(user)
			s.m.accounts = append(s.m.accounts, &modelAccount{name: user, incarnation: s.rev, rev: s.rev})
		},
		"account changed": func(t *rapid.T) {
			if a := s.m.account(someUser.Draw(t, "user")); a != nil {
				s.rev++
				s.x.SetAccount(a.name, a.incarnation, s.rev)
				a.rev = s.rev
			}
		},
		"remove account": func(t *rapid.T) {
			user := someUser.Draw(t, "user")
			incarnation, there := s.x.RemoveAccount(user)
			a := s.m.account(user)
			if there != (a != nil) || there && incarnation != a.incarnation {
				t.Fatalf("removed %d, %v; want %v", incarnation, there, a)
			}
			s.m.remove(user)
		},
		"publish":       s.publish,
		"publish again": s.publish,
		"publish more":  s.publish,
		"unpublish": func(t *rapid.T) {
			if a := s.m.account(someUser.Draw(t, "user")); a != nil {
				name := someFile.Draw(t, "file")
				s.x.RemovePublication(a.name, a.incarnation, name)
				s.m.removeFile(a, name)
			}
		},
		"presence": func(t *rapid.T) {
			a := s.m.account(someUser.Draw(t, "user"))
			if a == nil || s.x.loading {
				return
			}
			online := rapid.Bool().Draw(t, "online")
			if online {
				s.x.ConnectReach(a.name, somewhere, a.reach())
			} else {
				s.x.Disconnect(a.name)
			}
			s.m.setOnline(a, online)
			if !online {
				a.fetching = nil
			}
		},
		"bind":   s.bind,
		"revoke": s.revoke,
		"fetch":  s.fetch,
		"":       s.compare,
	}
}

var somewhere = lonja.EndpointFrom(netip.MustParseAddr("10.0.0.1"), 4000)

// TestAgainstModel: after any changes every question has the answer that plain
// lists give, and nothing is left when all accounts are gone.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &machine{x: New(), m: &model{}}
		if rapid.Bool().Draw(t, "empty") {
			s.x.Complete()
		}
		t.Repeat(s.actions())
		if s.x.loading {
			s.x.Complete()
			s.compare(t)
		}
		for _, a := range slices.Clone(s.m.accounts) {
			s.x.RemoveAccount(a.name)
			s.m.remove(a.name)
		}
		s.compare(t)
		left := []int{len(s.x.large), s.x.texts.count, s.x.words.texts.count, s.x.docs.len(), s.x.bases.len(), s.x.listings.len(), s.x.accounts.len(), len(s.x.words.begins), s.x.ranked.count, s.x.fronts[0].bases, int(s.x.fronts[0].docs.GetCardinality()), s.x.words.sorted.count, int(s.x.reachable.GetCardinality())}
		left = append(left, s.x.secure.left()...)
		left = append(left, len(s.x.fetching.of), len(s.x.fetching.by))
		if slices.Max(left) > 0 {
			t.Fatalf("an empty index still holds %v", left)
		}
	})
}

func (s *machine) compare(t *rapid.T) {
	for s.x.Settle(rapid.IntRange(1, 3).Draw(t, "steps")) {
	}
	if s.x.loading {
		return
	}
	for _, a := range s.m.accounts {
		got, there := s.x.Account(a.name)
		if !there || got.Incarnation != a.incarnation || got.Connected != a.online || got.Publications != len(a.files) {
			t.Fatalf("%s: got %v, %v; want %v", a.name, got, there, a)
		}
		var want []lonja.Listing
		for _, f := range slices.Backward(a.files) {
			want = append(want, f.Listing)
			if p, rev, _ := s.x.Publication(a.name, f.Name); rev != f.rev || !sameListing(p, f.Listing) {
				t.Fatalf("%s %s: got %v of revision %d, want %v of %d", a.name, f.Name, p, rev, f.Listing, f.rev)
			}
		}
		if listings := s.x.Listings(a.name); !slices.EqualFunc(listings, want, sameListing) {
			t.Fatalf("%s: got %v, want %v", a.name, listings, want)
		}
	}
	s.comparePeers(t)
	if accounts, _ := s.x.Accounts(0, 100); len(accounts) != len(s.m.accounts) {
		t.Fatalf("got %d accounts, want %d", len(accounts), len(s.m.accounts))
	}
	s.compareHolders(t)
	s.compareSearch(t)
	s.compareSecure(t)
}

// allPeers returns all connected users, asking for up to n at a time.
func allPeers(x *Index, n int) []lonja.Peer {
	all, next := x.Peers(Place{}, n)
	all = slices.Clone(all)
	for next != (Place{}) {
		var more []lonja.Peer
		more, next = x.Peers(next, n)
		all = append(all, more...)
	}
	return all
}

// comparePeers lists who is connected, a page after the other.
func (s *machine) comparePeers(t *rapid.T) {
	var want []lonja.Peer
	got := allPeers(s.x, rapid.IntRange(1, 3).Draw(t, "peers"))
	for _, a := range slices.Backward(s.m.accounts) {
		if a.online {
			want = append(want, lonja.Peer{User: a.name, At: somewhere, Reach: a.reach()})
		}
	}
	if !reflect.DeepEqual(got, want) || s.x.Connected() != len(want) {
		t.Fatalf("connected: got %v, want %v", got, want)
	}
}

func (s *machine) compareHolders(t *rapid.T) {
	name := someFile.Draw(t, "held")
	var want []lonja.Holder
	for _, f := range slices.Backward(s.m.held) {
		if f.Name.Base() == name.Base() && f.seenBy(nil) {
			want = append(want, f.holder())
		}
	}
	if got := s.x.Holders(name, 100); !slices.EqualFunc(got, want, func(g, w lonja.Holder) bool { return g.User == w.User && g.At == w.At && g.Name == w.Name }) {
		t.Fatalf("holders of %s: got %v, want %v", name, got, want)
	}
}

// compareSearch asks for a query's pages, one after the other.
func (s *machine) compareSearch(t *rapid.T) {
	q := lonja.Query{Words: rapid.SampledFrom([]string{"", "one", "on", "ONE tw", "txt one", "a", "none", "three two o", "mp3"}).Draw(t, "words"), Limit: rapid.IntRange(1, 4).Draw(t, "limit")}
	if rapid.Bool().Draw(t, "filter") {
		q.Base = rapid.SampledFrom([]lonja.FileName{"", "", "one.txt", "none"}).Draw(t, "base")
		q.Extension = rapid.SampledFrom([]string{"", "", "mp3", "TXT"}).Draw(t, "extension")
		q.Owner = rapid.SampledFrom([]lonja.UserName{"", "", "ana", "luis"}).Draw(t, "owner")
		q.OnlineOnly = rapid.Bool().Draw(t, "online")
		q.MinSize, q.MaxSize = rapid.Int64Range(0, 3).Draw(t, "least"), rapid.Int64Range(0, 4).Draw(t, "most")
	}
	s.compareMatcher(t, &q)
	asker := s.drawAsker(t)
	want := s.m.searchFor(asker, &q)
	var got []lonja.Found
	for {
		page, err := s.x.SearchFor(s.viewer(asker), &q)
		if err != nil || len(page.Found) > q.Limit {
			t.Fatalf("%d results of %d, %v", len(page.Found), q.Limit, err)
		}
		got = append(got, page.Found...)
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	same := slices.EqualFunc(got, want, func(g, w lonja.Found) bool {
		owner := s.m.account(g.Owner)
		n := slices.IndexFunc(owner.files, func(f *modelFile) bool { return f.Name == g.Listing.Name })
		if n < 0 || !sameListing(owner.files[n].Listing, g.Listing) || !modelMatches(owner.files[n], &q) || !owner.files[n].seenBy(asker) {
			return false
		}
		return g.Online == w.Online && g.Holders == w.Holders && g.Listing.Name.Base() == w.Listing.Name.Base() &&
			s.m.account(g.Owner).online == s.m.account(w.Owner).online
	})
	if !same {
		t.Fatalf("search %+v by %v:\n got %v\nwant %v", q, asker, got, want)
	}
}
