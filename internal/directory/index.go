package directory

import (
	"github.com/google/btree"

	"lonja"
)

// An account is a user and what it published.
type account struct {
	name  lonja.UserName
	order uint64 // accounts made later have a larger one
	files *ordered[lonja.FileName, lonja.Description]

	connected bool
	at        lonja.Endpoint // valid while connected
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
	made     uint64                                  // accounts ever made
}

// btreeDegree is within the range that google/btree found fast for pointers.
const btreeDegree = 32

func newIndex() *index {
	return &index{
		accounts: make(map[lonja.UserName]*account),
		online:   btree.NewG(btreeDegree, func(a, b *account) bool { return a.order < b.order }),
		byBase:   make(map[string]*ordered[heldFile, struct{}]),
	}
}

// account returns the user's account, or nil.
func (x *index) account(user lonja.UserName) *account { return x.accounts[user] }

func (x *index) addAccount(user lonja.UserName) {
	x.made++
	x.accounts[user] = &account{
		name: user, order: x.made, files: newOrdered[lonja.FileName, lonja.Description](),
	}
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

// publish lists a file of a connected user. It reports false if the user
// lists it already.
func (x *index) publish(a *account, l lonja.Listing) bool {
	if !a.files.add(l.Name, l.Description) {
		return false
	}
	x.addHolder(a, l.Name)
	return true
}

// unpublish takes a file of a connected user off the list. It reports false
// if it is not there.
func (x *index) unpublish(a *account, name lonja.FileName) bool {
	if !a.files.remove(name) {
		return false
	}
	x.removeHolder(a, name)
	return true
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
	for name, description := range a.files.newestFirst() {
		listings = append(listings, lonja.Listing{Name: name, Description: description})
	}
	return listings
}
