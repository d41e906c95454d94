// Package lonja holds the words of the system: the types that name users,
// files and places, the operations of a directory, and the one error type.
//
// It does no input or output and starts no goroutine. Every other package of
// the module speaks in these words; none of them redefines one. A word comes
// here only when two packages of different layers need it.
package lonja

import (
	"context"
	"iter"
	"net/netip"
)

// An Endpoint is how to reach a peer: an address and a port, over TCP.
type Endpoint struct{ netip.AddrPort }

// EndpointFrom builds an Endpoint. An IPv4 address mapped into IPv6 becomes
// plain IPv4, the dotted form that the classic protocol wants.
func EndpointFrom(addr netip.Addr, port uint16) Endpoint {
	return Endpoint{netip.AddrPortFrom(addr.Unmap(), port)}
}

// A Peer is somebody's running node as the directory shows it to others.
type Peer struct {
	User  UserName
	At    Endpoint
	Reach *Reach // nil for a node that speaks the classic protocol only
}

// A PeerList is the peers of one answer, in order, as rows that are not changed
// once they are made: many answers share them.
type PeerList [][]Peer

// Len returns how many peers there are.
func (l PeerList) Len() (n int) {
	for _, row := range l {
		n += len(row)
	}
	return n
}

// All returns the peers, one after the other.
func (l PeerList) All() iter.Seq[Peer] {
	return func(yield func(Peer) bool) {
		for _, row := range l {
			for i := range row {
				if !yield(row[i]) {
					return
				}
			}
		}
	}
}

// Of returns the peer of a user, and whether it is among them.
func (l PeerList) Of(user UserName) (Peer, bool) {
	for p := range l.All() {
		if p.User == user {
			return p, true
		}
	}
	return Peer{}, false
}

// Reach is how a node is reached over TLS. It is not changed once it is made.
type Reach struct {
	Key  PublicKey  // what the node proves to hold
	Ways []Endpoint // where it may be reached, the likeliest first; at most MaxWays
}

// MaxWays bounds the endpoints that one node announces.
const MaxWays = 16

// A Listing is one published file as a directory lists it.
type Listing struct {
	Name        FileName
	Description Description
	Size        int64  // in bytes, or UnknownSize
	Proof       *Proof // nil for what was published in the classic protocol; not changed once it is set
}

// Folder returns what is said of a folder, or nil for a file.
func (l Listing) Folder() *Folder {
	if l.Proof == nil {
		return nil
	}
	return l.Proof.Folder
}

// ContentSize returns the size of the content that the Proof names, in bytes: of a
// folder, that is its list. UnknownSize if it is unknown.
func (l Listing) ContentSize() int64 {
	if f := l.Folder(); f != nil {
		return f.ListSize
	}
	return l.Size
}

// A Holder is a peer that has a file, and the name under which it has it.
// User is empty where the dialect does not tell it (classic does not).
type Holder struct {
	User  UserName
	At    Endpoint
	Name  FileName
	Reach *Reach // as in Peer
	Proof *Proof // as in Listing
	// Description and Size are as in Listing, and told with a Proof only: without
	// them nobody could check it.
	Description Description
	Size        int64
	// Partial says that the peer is fetching the content and gives what it has of it:
	// it has not published it, so there is neither a name nor a Proof.
	Partial bool
}

// Publication returns what the holder has published, as its owner signed it.
func (h Holder) Publication() Publication {
	return Publication{h.User, Listing{h.Name, h.Description, h.Size, h.Proof}}
}

// Accounts are the operations on names and on presence.
type Accounts interface {
	// Register creates the account. NameInUse if it exists.
	Register(ctx context.Context, user UserName) error
	// Unregister removes the account, its presence and its publications.
	// NoSuchUser if there is none.
	Unregister(ctx context.Context, user UserName) error
	// Connect announces where the user's node listens.
	// NoSuchUser, AlreadyConnected.
	Connect(ctx context.Context, user UserName, at Endpoint) error
	// Disconnect ends the user's presence; publications stay.
	// NoSuchUser, NotConnected.
	Disconnect(ctx context.Context, user UserName) error
}

// Publications are the operations on what a user offers.
type Publications interface {
	// Publish lists a file. NoSuchUser, NotConnected, AlreadyPublished.
	Publish(ctx context.Context, user UserName, listing Listing) error
	// Delete takes a file off the list. NoSuchUser, NotConnected,
	// NotPublished.
	Delete(ctx context.Context, user UserName, name FileName) error
}

// Lookups are the operations that only read.
type Lookups interface {
	// ListUsers returns the connected users, the newest account first.
	// NoSuchUser, NotConnected.
	ListUsers(ctx context.Context, user UserName) (PeerList, error)
	// ListContent returns what the owner, connected or not, has published,
	// newest first. NoSuchUser, NotConnected, NoSuchOwner.
	ListContent(ctx context.Context, user, owner UserName) ([]Listing, error)
	// Holders returns the connected users, the asking one among them, that
	// published a file with the base name of name: one Holder for each such
	// file, at most MaxHolders. NoSuchUser, NotConnected, NoHolder.
	Holders(ctx context.Context, user UserName, name FileName) ([]Holder, error)
}

// MaxHolders bounds the answer of Holders: the classic protocol counts them in
// one byte.
const MaxHolders = 255

// A Directory knows who is there and what each one publishes.
//
// It has two implementations: the rules themselves, in process, and the client
// that speaks to a directory over the network. Both may be used by any number
// of goroutines at once. Each method performs the operation for the user it
// names, checks in the order in which its errors are listed, and returns an
// *Error whose Kind is one of those, or Invalid, Unavailable, Canceled or
// Internal. A result of length 0 and a nil error is a valid answer to the list
// operations. The caller owns what is returned.
type Directory interface {
	Accounts
	Publications
	Lookups
	Searcher
}
