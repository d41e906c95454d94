package index

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"lonja"
)

// left counts what a secure holds.
func (s *secure) left() []int {
	return []int{
		s.proofs.len(), s.keys.len(), s.contents.len(), s.audiences.len(), s.readers.len(), s.members.len(),
		s.extras.len(), s.blobs.len(), len(s.revoked), len(s.reach), int(s.blankDocs.GetCardinality()),
		int(s.closedDocs.GetCardinality()), int(s.mixed.GetCardinality()),
		setLen(&s.byKey), setLen(&s.byContent), setLen(&s.byAudience), setLen(&s.byReader),
	}
}

func setLen(s *set) (n int) {
	for range s.all() {
		n++
	}
	return n
}

func someKey(n byte) lonja.PublicKey { return lonja.PublicKey{0: n, 31: 1} }

func drawProof(t *rapid.T, rev uint64) *lonja.Proof {
	p := &lonja.Proof{
		File: lonja.FileID{rapid.ByteRange(1, 3).Draw(t, "content")}, Date: int64(rev),
		Key: someKey(rapid.ByteRange(1, 3).Draw(t, "key")), Signature: lonja.Signature{byte(rev), byte(rev >> 8), 7},
	}
	if rapid.Bool().Draw(t, "folder") {
		p.Folder = &lonja.Folder{Files: int64(rev), ListSize: 7}
	}
	if rapid.Bool().Draw(t, "closed") {
		for _, user := range []lonja.UserName{"ana", "eva", "luis", "nobody"} {
			if rapid.Bool().Draw(t, "meant") {
				p.Audience = append(p.Audience, user)
			}
		}
	}
	return p
}

// seenBy reports whether somebody may know of f: an account, or nil for what
// all members may know of.
func (f *modelFile) seenBy(asker *modelAccount) bool {
	closed := f.Proof != nil && len(f.Proof.Audience) > 0
	switch {
	case asker == nil:
		return !closed
	case !asker.bound:
		return !closed && !hasBlank(f.Name)
	case !closed:
		return true
	}
	return asker == f.owner || f.rev > asker.rev && slices.Contains(f.Proof.Audience, asker.name)
}

func (a *modelAccount) reach() *lonja.Reach {
	if a.incarnation%2 == 0 {
		return nil
	}
	return &lonja.Reach{Key: someKey(byte(a.incarnation)), Ways: []lonja.Endpoint{somewhere}}
}

func (f *modelFile) holder() lonja.Holder {
	h := lonja.Holder{User: f.owner.name, At: somewhere, Name: f.Name, Reach: f.owner.reach(), Proof: f.Proof}
	if f.Proof != nil {
		h.Description, h.Size = f.Description, f.Size
	}
	return h
}

func sameListing(a, b lonja.Listing) bool { return reflect.DeepEqual(a, b) }

// drawAsker returns an account, or nil for everybody.
func (s *machine) drawAsker(t *rapid.T) *modelAccount {
	return s.m.account(rapid.SampledFrom([]lonja.UserName{"", "ana", "luis", "eva", "pau"}).Draw(t, "asker"))
}

func (s *machine) viewer(asker *modelAccount) Viewer {
	if asker == nil {
		return Everybody
	}
	return s.x.Viewer(asker.name)
}

func (s *machine) bind(t *rapid.T) {
	a := s.m.account(someUser.Draw(t, "user"))
	if a == nil {
		if s.x.SetKeys("nobody", 1, 1, []byte("keys"), nil) {
			t.Fatal("keys of nobody were taken")
		}
		return
	}
	s.rev++
	keys := make([]byte, rapid.SampledFrom([]int{1, cellSize, cellSize + 1, 300}).Draw(t, "size"))
	keys[len(keys)-1] = byte(s.rev)
	if !s.x.SetKeys(a.name, a.incarnation, s.rev, keys, a.revoked) {
		t.Fatal("keys were refused")
	}
	a.bound = true
	if got := s.x.Keys(a.name); !slices.Equal(got, keys) {
		t.Fatalf("got the keys %x, want %x", got, keys)
	}
}

// revoke takes a key back: what it signed is gone.
func (s *machine) revoke(t *rapid.T) {
	a := s.m.account(someUser.Draw(t, "user"))
	if a == nil || len(a.revoked) == 2 {
		return
	}
	a.revoked = append(a.revoked, someKey(rapid.ByteRange(1, 3).Draw(t, "revoked")))
	a.bound = true
	s.rev++
	s.x.SetKeys(a.name, a.incarnation, s.rev, []byte("keys"), a.revoked)
	for _, f := range slices.Clone(a.files) {
		if f.Proof != nil && slices.Contains(a.revoked, f.Proof.Key) {
			s.m.removeFile(a, f.Name)
		}
	}
}

// compareSecure asks, as somebody, everything that depends on who asks.
func (s *machine) compareSecure(t *rapid.T) {
	asker := s.drawAsker(t)
	v := s.viewer(asker)
	for _, a := range s.m.accounts {
		var want []lonja.Listing
		var digest lonja.ContentDigest
		for _, f := range slices.Backward(a.files) {
			if f.seenBy(asker) {
				want = append(want, f.Listing)
			}
			if f.Proof != nil {
				digest.Add(f.Proof.Signature)
			}
		}
		if got := s.x.Digest(a.name); got != digest {
			t.Fatalf("digest of %s: got %v, want %v", a.name, got, digest)
		}
		if got := s.x.ListingsFor(v, a.name); !slices.EqualFunc(got, want, sameListing) {
			t.Fatalf("what %v may know of %s: got %v, want %v", asker, a.name, got, want)
		}
		size := rapid.IntRange(1, 3).Draw(t, "page")
		var got []lonja.Listing
		pages(t, &got, len(want), size, func(after Spot, steps int) (Progress, []lonja.Listing, Spot) {
			p := NewListingPage(after)
			progress := Looking
			for progress == Looking {
				progress = s.x.ContentPage(p, v, a.name, size, steps)
			}
			return progress, p.Listings, p.Last
		})
		if !slices.EqualFunc(got, want, sameListing) {
			t.Fatalf("pages of %s for %v: got %v, want %v", a.name, asker, got, want)
		}
	}
	s.compareHoldersFor(t, asker, v)
	s.compareFetchers(t, asker, v)
}

func (s *machine) compareHoldersFor(t *rapid.T, asker *modelAccount, v Viewer) {
	name, file := someFile.Draw(t, "held"), lonja.FileID{rapid.ByteRange(1, 3).Draw(t, "content")}
	var byName, byFile []*modelFile
	for _, a := range s.m.accounts {
		for _, f := range a.files {
			if !a.online || !f.seenBy(asker) {
				continue
			}
			if f.Name.Base() == name.Base() {
				byName = append(byName, f)
			}
			if f.Proof != nil && f.Proof.File == file {
				byFile = append(byFile, f)
			}
		}
	}
	same := func(what string, got []lonja.Holder, want []*modelFile) {
		slices.SortFunc(want, func(a, b *modelFile) int { return cmp.Compare(b.rev, a.rev) })
		all := make([]lonja.Holder, 0, len(want))
		for _, f := range want {
			all = append(all, f.holder())
		}
		if !slices.EqualFunc(got, all, func(a, b lonja.Holder) bool { return reflect.DeepEqual(a, b) }) {
			t.Fatalf("%s for %v: got %v, want %v", what, asker, got, all)
		}
	}
	if got := s.x.HoldersFor(v, name, 100); len(got) != len(byName) {
		t.Fatalf("holders of %s for %v: got %v, want %d", name, asker, got, len(byName))
	}
	size := rapid.IntRange(1, 3).Draw(t, "holders")
	var got []lonja.Holder
	pages(t, &got, len(byName), size, func(after Spot, _ int) (Progress, []lonja.Holder, Spot) {
		p := NewHolderPage(after)
		return s.x.NamePage(p, v, name, size), p.Holders, p.Last
	})
	same(fmt.Sprint("holders of ", name), got, byName)
	got = nil
	pages(t, &got, len(byFile), size, func(after Spot, steps int) (Progress, []lonja.Holder, Spot) {
		p := NewHolderPage(after)
		progress := Looking
		for progress == Looking {
			progress = s.x.FilePage(p, v, file, size, steps)
		}
		return progress, p.Holders, p.Last
	})
	same("holders of a content", got, byFile)
}

// pages gathers pages, of which there must be no more than it takes: one that
// follows a full page and is empty would tell of something hidden.
func pages[T any](t *rapid.T, all *[]T, want, size int, ask func(after Spot, steps int) (Progress, []T, Spot)) {
	steps := rapid.IntRange(1, 3).Draw(t, "steps")
	var after Spot
	for page := 1; ; page++ {
		progress, some, last := ask(after, steps)
		*all, after = append(*all, some...), last
		if progress == Ended {
			if most := max(1, (want+size-1)/size); page > most {
				t.Fatalf("%d pages of %d, want %d", page, size, most)
			}
			return
		}
	}
}

// TestSecureCostsOthersNothing: what a listing that is not signed costs has not
// grown by the secure dialect.
func TestSecureCostsOthersNothing(t *testing.T) {
	for what, c := range map[string]struct{ got, want uintptr }{
		"a listing":  {unsafe.Sizeof(listing{}), 40},
		"a document": {unsafe.Sizeof(document{}), 32},
		"a base":     {unsafe.Sizeof(base{}), 32},
		"an account": {unsafe.Sizeof(account{}), 64},
		"a proof":    {unsafe.Sizeof(proof{}), 104},
	} {
		if c.got > c.want {
			t.Errorf("%s has %d bytes, want %d", what, c.got, c.want)
		}
	}
}
