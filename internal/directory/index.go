package directory

import (
	"github.com/google/btree"

	"lonja"
	"lonja/internal/store"
)

// An account is a user and what it published.
type account struct {
	name        lonja.UserName
	rev         store.Rev // of its record
	incarnation store.Rev // of its first record: accounts made later have a larger one
	files       *ordered[lonja.FileName, publication]

	connected bool
	at        lonja.Endpoint // valid while connected
}

// A publication is what an account's list says of a file besides its name.
type publication struct {
	rev         store.Rev
	description lonja.Description
}

// A listed file of a connected user, as a key of the base name's holders.
type heldFile struct {
	owner *account
	name  lonja.FileName
}

// An index finds accounts by name, connected users in the order of their
// accounts, and connected holders by base name. It is not safe for concurrent
// use.
type index struct {
	accounts map[lonja.UserName]*account
	online   *btree.BTreeG[*account]
	byBase   map[string]*ordered[heldFile, struct{}] // no empty values
}

// btreeDegree is within the range that google/btree found fast for pointers.
const btreeDegree = 32

func newIndex() *index {
	return &index{
		accounts: make(map[lonja.UserName]*account),
		online:   btree.NewG(btreeDegree, func(a, b *account) bool { return a.incarnation < b.incarnation }),
		byBase:   make(map[string]*ordered[heldFile, struct{}]),
	}
}

// account returns the user's account, or nil.
func (x *index) account(user lonja.UserName) *account { return x.accounts[user] }

// apply brings one change of the store into the index. Events come in the
// order of their revisions. It returns the prefix of the keys that mean nothing
// any more by it, if there are any.
func (x *index) apply(e store.Event) (gone store.Key, err error) {
	name, err := parseKey(e.Key)
	if err != nil {
		return "", err
	}
	a := x.accounts[name.user]
	switch {
	case name.file != "":
		if a == nil || a.incarnation != name.incarnation {
			return filesKey(name.user, name.incarnation), nil
		}
		return "", x.applyFile(a, name.file, e)
	case e.Value == nil:
		if a == nil {
			return "", nil
		}
		x.removeAccount(a)
		if a.files.len() > 0 {
			return filesKey(a.name, a.incarnation), nil
		}
		return "", nil
	case a != nil:
		a.rev = e.Rev
		return "", checkAccount(e.Value)
	}
	x.accounts[name.user] = &account{
		name: name.user, rev: e.Rev, incarnation: e.Rev,
		files: newOrdered[lonja.FileName, publication](),
	}
	return "", checkAccount(e.Value)
}

func (x *index) applyFile(a *account, name lonja.FileName, e store.Event) error {
	if e.Value == nil {
		x.unpublish(a, name)
		return nil
	}
	description, err := parsePublication(e.Value)
	if err != nil {
		return err
	}
	x.publish(a, name, publication{e.Rev, description})
	return nil
}

func (x *index) removeAccount(a *account) {
	if a.connected {
		x.disconnect(a)
	}
	delete(x.accounts, a.name)
}

func (x *index) connect(a *account, at lonja.Endpoint) {
	a.connected, a.at = true, at
	x.online.ReplaceOrInsert(a)
	for name := range a.files.oldestFirst() {
		x.addHolder(a, name)
	}
}

func (x *index) disconnect(a *account) {
	a.connected, a.at = false, lonja.Endpoint{}
	x.online.Delete(a)
	for name := range a.files.oldestFirst() {
		x.removeHolder(a, name)
	}
}

// publish lists a file, or lists it anew.
func (x *index) publish(a *account, name lonja.FileName, p publication) {
	x.unpublish(a, name)
	a.files.add(name, p)
	if a.connected {
		x.addHolder(a, name)
	}
}

// unpublish takes a file off the list, if it is there.
func (x *index) unpublish(a *account, name lonja.FileName) {
	if a.files.remove(name) && a.connected {
		x.removeHolder(a, name)
	}
}

func (x *index) addHolder(a *account, name lonja.FileName) {
	base := name.Base()
	held := x.byBase[base]
	if held == nil {
		held = newOrdered[heldFile, struct{}]()
		x.byBase[base] = held
	}
	held.add(heldFile{a, name}, struct{}{})
}

func (x *index) removeHolder(a *account, name lonja.FileName) {
	base := name.Base()
	held := x.byBase[base]
	held.remove(heldFile{a, name})
	if held.len() == 0 {
		delete(x.byBase, base)
	}
}

// peers returns the connected users, the newest account first.
func (x *index) peers() []lonja.Peer {
	peers := make([]lonja.Peer, 0, x.online.Len())
	x.online.Descend(func(a *account) bool {
		peers = append(peers, lonja.Peer{User: a.name, At: a.at})
		return true
	})
	return peers
}

// holders returns up to most connected holders of files with that base name,
// the latest to offer it first.
func (x *index) holders(base string, most int) []lonja.Holder {
	held := x.byBase[base]
	if held == nil {
		return nil
	}
	holders := make([]lonja.Holder, 0, min(held.len(), most))
	for file := range held.newestFirst() {
		if len(holders) == most {
			break
		}
		holders = append(holders, lonja.Holder{User: file.owner.name, At: file.owner.at, Name: file.name})
	}
	return holders
}

// listings returns what the account has published, newest first.
func (a *account) listings() []lonja.Listing {
	listings := make([]lonja.Listing, 0, a.files.len())
	for name, p := range a.files.newestFirst() {
		listings = append(listings, lonja.Listing{Name: name, Description: p.description})
	}
	return listings
}
