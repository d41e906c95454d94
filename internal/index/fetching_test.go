package index

import (
	"slices"

	"pgregory.net/rapid"

	"lonja"
)

// fetch has an account fetch other contents than before.
func (s *machine) fetch(t *rapid.T) {
	a := s.m.account(someUser.Draw(t, "user"))
	if a == nil {
		return
	}
	var files []lonja.FileID
	for n := range byte(4) { // the last is never published
		if rapid.Bool().Draw(t, "fetching") {
			files = append(files, lonja.FileID{n + 1})
		}
	}
	s.x.SetFetching(a.name, files)
	if a.online {
		a.fetching = files
	}
}

// compareFetchers asks who fetches a content, in pages of any size.
func (s *machine) compareFetchers(t *rapid.T, asker *modelAccount, v Viewer) {
	file := lonja.FileID{rapid.ByteRange(1, 4).Draw(t, "fetched")}
	mayKnow := func(who *modelAccount) bool {
		if who != nil && !who.bound {
			return false
		}
		return slices.ContainsFunc(s.m.accounts, func(a *modelAccount) bool {
			return slices.ContainsFunc(a.files, func(f *modelFile) bool { return f.Proof != nil && f.Proof.File == file && f.seenBy(who) })
		})
	}
	var want, got []lonja.UserName
	for _, a := range s.m.accounts {
		if a.online && a.reach() != nil && slices.Contains(a.fetching, file) && mayKnow(asker) && mayKnow(a) {
			want = append(want, a.name)
		}
	}
	size, steps := rapid.IntRange(1, 3).Draw(t, "fetchers"), rapid.IntRange(1, 3).Draw(t, "steps")
	for first, progress := uint32(1), Full; progress != Ended; {
		p := NewHolderPage(Spot{})
		for progress = Looking; progress == Looking; {
			first, progress = s.x.FetcherPage(p, v, file, first, size, steps)
		}
		if len(p.Holders) > size || progress == Full && len(p.Holders) < size {
			t.Fatalf("a page of %d has %d", size, len(p.Holders))
		}
		for _, h := range p.Holders {
			if a := s.m.account(h.User); !h.Partial || h.Proof != nil || h.Reach == nil || h.Reach.Key != a.reach().Key {
				t.Fatalf("%v is told as %+v", a, h)
			}
			got = append(got, h.User)
		}
		if progress == Full && len(got) >= len(want) {
			t.Fatalf("more than %v is promised to %v", want, asker)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("who fetches %v, for %v: got %v, want %v", file, asker, got, want)
	}
}
