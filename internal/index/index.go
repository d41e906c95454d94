// Package index is a directory's complete memory of accounts, publications and
// presence: it finds users by name, files by owner and by base name, and
// publications by words, without walking over all of them.
//
// It decides nothing and waits for nothing: package directory keeps the rules,
// the lock, and the store that an Index is made from. Everything is in arrays
// and refers to other things by number, texts are kept once, and words lead to
// documents by compressed bitmaps (Roaring; Lemire et al. 2018), so that ten
// million publications are no burden to the garbage collector.
package index

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// An Index is not safe for concurrent use, but any number of goroutines may
// call the methods that only read at once.
//
// A change that concerns many publications, such as the presence of a user who
// has a hundred thousand, is made in steps: whoever changes something calls
// Settle until it reports that nothing is left, and may let others in between.
type Index struct {
	seed     maphash.Seed
	texts    *texts // names of users and files, base names, descriptions
	words    *vocabulary
	accounts vec[account]
	listings vec[listing]
	docs     vec[document]
	bases    vec[base]
	// What a search looks at for each of many documents or bases is apart from
	// what else is known of them, so that it stays in the processor's caches.
	baseOf   vec[uint32] // by document
	docsOf   vec[uint32] // by base: its document, or severalDocs and a number of docLists
	docLists vec[[]uint32]
	large    map[uint32]*roaring.Bitmap // documents of accounts with very many
	ranks    vec[uint64]                // by base: how it ranks, up to the beginning of its name

	byUser, byFile, byDoc, byBase set

	secure   secure // what only the secure dialect knows
	fetching fetching

	online    online          // connected accounts, by incarnation
	reachable *roaring.Bitmap // documents whose base has a connected owner
	ranked    order           // bases, the first to show first; made when loading ends
	fronts    [frontCount]front
	loading   bool
	orphans   []Orphan   // publications that came before their accounts
	fresh     []Document // whose words were not given to AddWords yet
	stale     []Document // that are gone
	unsettled []uint32   // accounts
}

// An account is a user, perhaps one that is gone and whose listings are being
// taken out.
type account struct {
	incarnation uint64 // distinguishes and orders the accounts that ever had a name
	rev         uint64
	user        uint32 // text
	newest      uint32 // listing
	oldest      uint32 // listing
	files       uint32
	cursor      uint32 // the next listing to settle
	member      uint32 // of secure.members, or 0
	port        uint16
	addr        [16]byte
	online      bool
	gone        bool
	unsettled   bool
}

// A listing is one publication of one account.
type listing struct {
	rev            uint64
	owner          uint32 // account
	doc            uint32
	newer, older   uint32 // listings of the same owner
	before, behind uint32 // listings of the same base: the connected owners and the others apart, the latest first
	proof          uint32 // of secure.proofs, or 0
	online         bool   // what base and document count it as
	blank          bool   // its name has one: the classic protocol has no place for it
	closed         bool   // only an audience may know of it: base and document do not count it
}

// A document is what publications say, however many say it.
type document struct {
	size        int64
	name        uint32 // text
	description uint32 // text
	listings    uint32
	online      uint32 // listings of connected owners
	latest      uint32 // one of the listings, mostly the last to come, or 0
	closed      uint32 // closed listings, which are not among the others
}

// A base stands for the publications with one base name.
type base struct {
	begin      uint64 // of the name, as sorted
	name       uint32 // text
	online1st  uint32 // the listing of a connected owner that was the last to come
	offline1st uint32 // likewise of the other owners
	listings   uint32
	online     uint32
	extra      uint32 // of secure.extras, or 0
}

// An Orphan is a publication whose account is not known.
type Orphan struct {
	User        lonja.UserName
	Incarnation uint64
	rev         uint64
	listing     lonja.Listing
}

// A Document is a publication whose words are to be added while loading.
type Document struct {
	number  uint32
	listing lonja.Listing
}

// New returns an empty Index that is being loaded: until Complete is called,
// publications may come before their accounts, nobody can be connected and
// nothing be searched. Half of the work of loading is words; it can be done
// beside the other half with NewDocuments, AddWords and CompleteWords.
func New() *Index {
	return &Index{seed: maphash.MakeSeed(), texts: newTexts(), words: newVocabulary(), reachable: roaring.New(), large: make(map[uint32]*roaring.Bitmap), secure: newSecure(), fetching: newFetching(), loading: true}
}

// hash hashes what has no text of its own.
func (x *Index) hash(parts ...uint64) uint64 {
	var b [8 * 3]byte
	for i, p := range parts {
		binary.LittleEndian.PutUint64(b[8*i:], p)
	}
	return maphash.Bytes(x.seed, b[:8*len(parts)])
}

func (x *Index) account(user lonja.UserName) (number uint32, a *account) {
	text := x.texts.find(string(user))
	if text == 0 {
		return 0, nil
	}
	number = x.byUser.find(x.hash(uint64(text)), func(n uint32) bool { return x.accounts.at(n).user == text })
	if number == 0 {
		return 0, nil
	}
	return number, x.accounts.at(number)
}

// SetAccount adds an account, or tells that the record of one has changed.
// An account that had the name before is gone by it.
func (x *Index) SetAccount(user lonja.UserName, incarnation, rev uint64) {
	if _, a := x.account(user); a != nil {
		if a.incarnation == incarnation {
			a.rev = rev
			return
		}
		x.RemoveAccount(user)
	}
	number := x.accounts.add()
	a := x.accounts.at(number)
	a.incarnation, a.rev, a.user = incarnation, rev, x.texts.hold(string(user))
	x.byUser.insert(x.hash(uint64(a.user)), number)
}

// RemoveAccount takes an account out, and reports whether there was one, and
// which. Its publications go with it.
func (x *Index) RemoveAccount(user lonja.UserName) (incarnation uint64, there bool) {
	number, a := x.account(user)
	if a == nil {
		return 0, false
	}
	x.byUser.remove(x.hash(uint64(a.user)), number)
	if a.online {
		x.setPresence(number, a, false)
	}
	a.gone = true
	x.releaseMember(number, a)
	x.settleLater(number, a)
	return a.incarnation, true
}

// An Account is what the index knows of one.
type Account struct {
	User         lonja.UserName
	Incarnation  uint64
	Rev          uint64
	Connected    bool
	At           lonja.Endpoint // while connected
	Reach        *lonja.Reach   // likewise, of a member's node
	Bound        bool           // to keys
	KeysRev      uint64         // of the record of these, if it is not the account's own
	Publications int
}

// Account returns the user's account, and whether there is one.
func (x *Index) Account(user lonja.UserName) (Account, bool) {
	number, a := x.account(user)
	if a == nil {
		return Account{}, false
	}
	return Account{
		User: user, Incarnation: a.incarnation, Rev: a.rev,
		Connected: a.online, At: a.endpoint(), Publications: int(a.files),
		Reach: x.secure.reach[number], Bound: x.bound(a), KeysRev: x.keysRev(a),
	}, true
}

func (a *account) endpoint() lonja.Endpoint {
	if !a.online {
		return lonja.Endpoint{}
	}
	return lonja.EndpointFrom(netip.AddrFrom16(a.addr), a.port)
}

// Accounts returns up to n accounts, in no order, and where to go on: 0 at the
// beginning and at the end.
func (x *Index) Accounts(from uint32, n int) (accounts []Account, next uint32) {
	for number := from + 1; number <= x.accounts.next; number++ {
		a := x.accounts.at(number)
		if a.user == 0 || a.gone {
			continue
		}
		if len(accounts) == n {
			return accounts, number - 1
		}
		account, _ := x.Account(lonja.UserName(x.texts.str(a.user)))
		accounts = append(accounts, account)
	}
	return accounts, 0
}

// Connect tells that the user, who has an account, is connected.
func (x *Index) Connect(user lonja.UserName, at lonja.Endpoint) {
	number, a := x.account(user)
	a.addr, a.port = at.Addr().As16(), at.Port()
	if a.online {
		x.online.changed(x.olderThan(x.place(number)))
		return
	}
	x.setPresence(number, a, true)
}

// Disconnect tells that the user, who has an account, is not connected.
func (x *Index) Disconnect(user lonja.UserName) {
	if number, a := x.account(user); a.online {
		x.setPresence(number, a, false)
	}
}

func (x *Index) setPresence(number uint32, a *account, online bool) {
	older := x.olderThan(x.place(number))
	if !online {
		delete(x.secure.reach, number)
		x.fetching.set(number, nil)
	}
	if a.online = online; online {
		x.online.insert(number, older)
	} else {
		x.online.remove(older)
	}
	x.settleLater(number, a)
}

// A Place is that of an account in the order of age. The zero Place is before
// the first and after the last.
type Place struct {
	Incarnation uint64
	Number      uint32 // two accounts of one incarnation come from somewhere else
}

// olderThan returns what an order needs to find the account at a place.
func (x *Index) olderThan(p Place) func(uint32) bool {
	return func(number uint32) bool {
		incarnation := x.accounts.at(number).incarnation
		return incarnation < p.Incarnation || incarnation == p.Incarnation && number < p.Number
	}
}

// Connected returns how many users are connected.
func (x *Index) Connected() int { return x.online.count }

// Stats are counts of what is in an Index.
type Stats struct {
	Accounts, Connected, Publications, Bases, Words int
}

// Stats returns the counts.
func (x *Index) Stats() Stats {
	return Stats{
		Accounts: x.accounts.len(), Connected: x.online.count, Publications: x.listings.len(),
		Bases: x.bases.len(), Words: x.words.texts.count,
	}
}
