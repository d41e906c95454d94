package lonja

import (
	"context"
	"net/netip"
)

// A Member is who asks in the secure dialect: a user, and the key that its node
// has proved to hold.
type Member struct {
	User UserName
	Key  PublicKey
	// Node is which program it is of those that have the key, where that matters:
	// only ConnectMember, RenewMember, DisconnectMember and Watch heed it. Zero: not
	// told.
	Node NodeID
	// Yields says of a program that tells its Node, when it begins a session, that it
	// wants one only while no other program of the user wants it: a download that
	// happens to run, say. ConnectMember heeds it.
	Yields bool
}

// Members are the operations on names that are bound to keys. Who implements
// them believes that the key of a Member was proved.
type Members interface {
	// Authorize returns nil if the member may act for its user now: the account
	// is bound to its key, or to none. NoSuchUser, OtherKey.
	Authorize(member Member) error
	// Account returns the number of the account that the member may act for: each
	// account has a larger one than all of that name before it. 0 if the account is
	// bound to no key. NoSuchUser, OtherKey.
	Account(ctx context.Context, member Member) (uint64, error)
	// RegisterMember creates an account that is bound to the member's key.
	// The invitation may be empty. NameInUse; Forbidden if the directory wants
	// another invitation, or takes nobody.
	RegisterMember(ctx context.Context, member Member, invitation Invitation) error
	// Claim binds the account, which is bound to no key, to the member's. The
	// user must be connected by the same node: by that key, or from that
	// address. NoSuchUser, OtherKey, NotConnected, Forbidden.
	Claim(ctx context.Context, member Member, from netip.Addr) error

	// Keys returns the keys of a user, the first one first and each before what
	// it endorses. NoSuchOwner; none for a user who is bound to none.
	Keys(ctx context.Context, of UserName) ([]KeyRecord, error)
	// AddKey binds the member's account to one more key, which has agreed to that.
	// OtherKey, Untrusted if it is not rightly signed by both, Limited.
	AddKey(ctx context.Context, member Member, endorsement Endorsement) error
	// RevokeKey takes a key back: its sessions end, and what it signed is no
	// longer listed. NoSuchUser, OtherKey, Untrusted.
	RevokeKey(ctx context.Context, member Member, revocation Revocation) error
	// Revocations returns what was revoked at since or later, in seconds since
	// 1970, the keys of accounts that have ended among it: what peers must not take any more although its certificate lasts. What
	// is longer ago than any certificate lasts is forgotten.
	Revocations(ctx context.Context, since int64) ([]Revocation, error)

	// ConnectMember begins a session: it announces where the node may be
	// reached, the likeliest way first. A session that the same key has already
	// is taken over, also from another program: who began it last has it. One of another
	// key is AlreadyConnected. It ends by Disconnect, or when it is not renewed in time.
	// A member that Yields takes over none but its own program's: AlreadyConnected. Its
	// session stands in nobody's way: other programs, with the same key or another one of
	// the user's, may begin theirs in its place, and are told until then that they have none.
	// NoSuchUser, OtherKey, AlreadyConnected; TakenOver if another program with the key
	// did the same just after; Invalid for who Yields and does not tell its Node.
	ConnectMember(ctx context.Context, member Member, ways []Endpoint) error
	// RenewMember keeps the session, and tells where the node may be reached
	// now; nil ways are those from before. TakenOver if another program with the key
	// has begun it anew: who begins it again by itself would fight with that one
	// for ever. Programs that do not tell their Node renew each other's.
	// NotConnected, OtherKey, TakenOver.
	RenewMember(ctx context.Context, member Member, ways []Endpoint) error
	// Fetching says which contents the member's node is fetching, and gives the pieces
	// of that it has, in the place of what it said before: at most MaxFetching, each
	// once. It is for the session: nothing of it is left when that ends, or begins
	// anew. Invalid, NotConnected, OtherKey.
	Fetching(ctx context.Context, member Member, files []FileID) error
	// UnregisterMember, DisconnectMember and DeleteMember are Unregister, Disconnect
	// and Delete for a member who may act for its user at the moment at which it is
	// done: what Authorize said may not hold any more, because the name has become
	// another's. A member without a key is anybody, who may act for names that are
	// bound to none. The errors are the same, and OtherKey after NoSuchUser;
	// DisconnectMember ends no session of another program: TakenOver.
	//
	// ConnectWithoutKey is Connect likewise: no session, which has nobody who renews
	// it, but the presence of a classic user.
	ConnectWithoutKey(ctx context.Context, member Member, at Endpoint) error
	UnregisterMember(ctx context.Context, member Member) error
	DisconnectMember(ctx context.Context, member Member) error
	DeleteMember(ctx context.Context, member Member, name FileName) error
	// ContentDigest tells whether the directory has what an owner believes it
	// to have. NoSuchUser.
	ContentDigest(ctx context.Context, owner UserName) (ContentDigest, error)
}

// An Invitation is the secret that lets somebody register at a directory that
// does not take everybody.
type Invitation string

// A ContentDigest stands for all that a user has published: how many signed
// publications there are, and the exclusive or of their signatures. Two that
// are equal are of the same publications, but for an owner who sets out to
// deceive itself.
type ContentDigest struct {
	Count int
	Sum   Signature
}

// Add counts one more publication.
func (d *ContentDigest) Add(s Signature) { d.Count++; d.mix(s) }

// Remove is the opposite of Add.
func (d *ContentDigest) Remove(s Signature) { d.Count--; d.mix(s) }

func (d *ContentDigest) mix(s Signature) {
	for i, b := range s {
		d.Sum[i] ^= b
	}
}

// Pages are the operations that read, a page at a time. After is the cursor that
// came with the page before, or empty; limit is at most MaxPage, and 0 stands for
// DefaultPage. A page may be shorter than that, even empty; the last one has no cursor.
// What comes or goes between two pages may be in them or not; all else is, once.
type Pages interface {
	// UsersPage returns connected users. NoSuchUser, NotConnected.
	UsersPage(ctx context.Context, user UserName, after Cursor, limit int) ([]Peer, Cursor, error)
	// ContentPage returns what owner has published and user may know of.
	// NoSuchUser, NotConnected, NoSuchOwner.
	ContentPage(ctx context.Context, user, owner UserName, after Cursor, limit int) ([]Listing, Cursor, error)
	// HoldersPage returns connected users who have what is wanted, for all that
	// user may know. None is a valid answer. NoSuchUser, NotConnected.
	HoldersPage(ctx context.Context, user UserName, wanted Wanted, after Cursor, limit int) ([]Holder, Cursor, error)
	// RevocationsPage returns what Members' Revocations does, the earliest first.
	// Anybody may ask.
	RevocationsPage(ctx context.Context, since int64, after Cursor, limit int) ([]Revocation, Cursor, error)
}

// Wanted is what holders are looked for of: a content, or, if File is zero,
// whatever has the base name of Name.
type Wanted struct {
	File FileID
	Name FileName
	// Partial asks, for a content, for those as well who are fetching it. They come
	// after all others, and to those only who may know of a publication of it; who is
	// fetching it without that is not among them.
	Partial bool
}

// MaxFetching bounds the contents that a node says it is fetching.
const MaxFetching = 16

// The bounds of a page.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// An EventKind says what has happened.
type EventKind uint8

// What can happen. Kinds are stable: new ones are only ever appended.
const (
	NoEvent        EventKind = iota
	UserConnected            // User, Peer
	UserLeft                 // User
	Published                // User, Listing
	Withdrawn                // User, Listing
	HolderAppeared           // User, Peer, Listing: of a content that is watched
	HolderLeft               // User, Listing: likewise
	KeyRevoked               // User, Key; Account, if it has ended
	EventsLost               // who watches was too slow, or has begun just now: look at everything anew
)

// An Event is something that has happened in a directory. The comments of the
// kinds say what is set.
type Event struct {
	Kind    EventKind
	User    UserName
	Peer    Peer
	Listing Listing
	Key     PublicKey
	Account uint64 // as in Revocation
}

// An EventFilter says what to be told of. What is not set is not told;
// revocations and lost events always are.
type EventFilter struct {
	Presence bool     // users who connect and leave
	Matching *Query   // publications that match, published or withdrawn; its page is not looked at
	Holders  []FileID // who has these contents; at most MaxWatched
}

// MaxWatched bounds the contents that one watcher looks at.
const MaxWatched = 1000

// A Watcher tells what happens.
type Watcher interface {
	// Watch calls told with each event that the filter lets through and the
	// member may know of, in order, until ctx ends (nil) or told returns an error
	// (that one). The first event is EventsLost: what happens from then on is
	// told. A told that is slow loses events, and is told so, and holds nobody up.
	// It ends, also while nothing happens, when the member may not act for its
	// user any more, or another account has its name; and when another program with
	// its key has the session, if it tells its Node.
	// NoSuchUser, OtherKey, NotConnected, TakenOver.
	Watch(ctx context.Context, member Member, filter EventFilter, told func(Event) error) error
}

// A MemberDirectory is a directory that speaks the secure dialect too. A user
// whose account is bound to keys is never NotConnected, but for Disconnect and
// RenewMember: its key was proved, so it need not be there to ask. Publish
// takes a listing with a Proof for an account that is bound to the key of the
// proof, in the place of one of the same name; all that is read is what the
// asking user may know of.
type MemberDirectory interface {
	Directory
	Members
	Pages
	Watcher
}
