package index

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// A fetching knows which connected accounts are fetching which contents, as long as
// they say so.
type fetching struct {
	of map[uint32][]lonja.FileID        // by account
	by map[lonja.FileID]*roaring.Bitmap // the accounts
}

func newFetching() fetching {
	return fetching{make(map[uint32][]lonja.FileID), make(map[lonja.FileID]*roaring.Bitmap)}
}

// set says what an account fetches now; files is kept.
func (f *fetching) set(account uint32, files []lonja.FileID) {
	before := f.of[account]
	if slices.Equal(before, files) {
		return
	}
	for _, file := range before {
		accounts := f.by[file]
		if accounts.Remove(account); accounts.IsEmpty() {
			delete(f.by, file)
		}
	}
	if len(files) == 0 {
		delete(f.of, account)
		return
	}
	f.of[account] = files
	for _, file := range files {
		if f.by[file] == nil {
			f.by[file] = roaring.New()
		}
		f.by[file].Add(account)
	}
}

// SetFetching tells which contents the user, who is connected, is fetching now, each
// once. It holds until the user is told to have left. files is not changed afterwards.
func (x *Index) SetFetching(user lonja.UserName, files []lonja.FileID) {
	if number, a := x.account(user); a != nil && a.online {
		x.fetching.set(number, files)
	}
}

// fetcherLook is how many publications of a content are looked at, from the latest
// on, to see whether a viewer may know of one. Of a content of which so many are
// hidden one is not told who fetches it.
const fetcherLook = 256

// mayKnowContent reports whether v may know of a publication of a content, of an owner
// who is connected or not, and how many were looked at.
func (x *Index) mayKnowContent(v Viewer, content uint32) (may bool, looked int) {
	if !v.member {
		return false, 1
	}
	for n := x.secure.contents.at(content).newest; n != 0 && looked < fetcherLook; n = x.proofOf(n).older {
		looked++
		if l := x.listings.at(n); !x.accounts.at(l.owner).gone && x.sees(v, l) {
			return true, looked
		}
	}
	return false, max(looked, 1)
}

// FetcherPage appends to a page the members who are fetching a content, in the order
// of their numbers from first on, until it has n holders: none unless v may know of a
// publication of it, and of those who are fetching it only who may too. It returns
// where to go on: the next one who is to be told if the page is full, and, if it is
// still looking after about so many steps, the next one to look at.
func (x *Index) FetcherPage(p *HolderPage, v Viewer, file lonja.FileID, first uint32, n, steps int) (next uint32, progress Progress) {
	accounts, content := x.fetching.by[file], x.content(file)
	if accounts == nil || content == 0 {
		return 0, Ended
	}
	if may, _ := x.mayKnowContent(v, content); !may {
		return 0, Ended
	}
	for it := accounts.Iterator(); ; {
		it.AdvanceIfNeeded(first)
		if !it.HasNext() {
			return 0, Ended
		}
		number := it.Next()
		if steps <= 0 {
			return number, Looking
		}
		a := x.accounts.at(number)
		may, looked := x.mayKnowContent(x.viewer(number, a), content)
		steps -= looked
		reach := x.secure.reach[number]
		if !may || reach == nil {
			continue
		}
		if len(p.Holders) == n {
			return number, Full
		}
		p.Holders = append(p.Holders, lonja.Holder{
			User: lonja.UserName(x.texts.str(a.user)), At: a.endpoint(), Reach: reach, Partial: true,
		})
	}
}
