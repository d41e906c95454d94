package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"path"
	"slices"
	"sync"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/hashing"
	"lonja/internal/share"
	"lonja/internal/swarm"
)

// An Errand is what a member does who need not be connected: it begins no
// session, so it takes none from a node of the same key that runs beside it. What
// it publishes is served by that node, or by the next one. Its methods may be
// called by any number of goroutines at once; there is nothing to be closed.
type Errand struct {
	dialect *secureDialect
	user    lonja.UserName
	files   *share.Set

	mu          sync.Mutex
	certificate *tls.Certificate // once it was asked for
}

// Errand returns what user can do unconnected. If user is the one that is
// connected here, it is done with that session's files. The error is of kind
// Invalid in the classic dialect, which knows no members, and LocalFile if what is
// published cannot be remembered.
func (n *Node) Errand(user lonja.UserName) (*Errand, error) {
	d, ok := n.dialect.(*secureDialect)
	if !ok {
		return nil, lonja.E(lonja.Invalid, "ask", errors.New("in the classic protocol only connected users can ask"))
	}
	if s := n.current(); s != nil && s.user == user {
		return &Errand{dialect: d, user: user, files: s.files}, nil
	}
	files, err := n.openFiles(user)
	if err != nil {
		return nil, err
	}
	e := &Errand{dialect: d, user: user, files: files}
	n.spare.is(user)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errand = e
	return e, nil
}

// Offer publishes a file: it is signed, remembered, and listed. AlreadyPublished,
// with the listing, if the same is published already; without, if another file
// has that name.
func (e *Errand) Offer(ctx context.Context, o Offer) (lonja.Listing, error) {
	return e.dialect.offer(ctx, e.user, e.files, o)
}

// IsPublished reports whether a file is published already just as Offer would, as
// far as that can be told without opening it and without asking anybody: info is
// of the file now. The directory is told by each new session what it has lost.
// What has an audience is never taken for published: the keys of those in it may
// have changed.
func (e *Errand) IsPublished(o Offer, info fs.FileInfo) bool {
	stamp, regular := hashing.StampFrom(info)
	if !regular || len(o.Audience) > 0 {
		return false
	}
	id, known := e.dialect.Hashes.Get(stamp)
	if !known || !e.files.OffersAs(o.Name, o.Path, info) {
		return false
	}
	before, there := e.files.Listing(o.Name)
	return there && before.Proof.Key == e.dialect.Key.PublicKey() && saysTheSame(before, lonja.Listing{
		Name: o.Name, Description: o.Description, Size: stamp.Size, Proof: &lonja.Proof{File: id},
	})
}

// Withdraw publishes no more what a person calls typed: all names of the file at
// that path, or that name, which may be listed without being served from here. It returns the names. NotPublished if there is none. If
// the directory cannot be told, that is an error, but nothing is served all the
// same, and the node tells it later.
func (e *Errand) Withdraw(ctx context.Context, typed string) ([]lonja.FileName, error) {
	return e.dialect.withdraw(ctx, e.user, e.files, typed)
}

// WithdrawName publishes no more what has exactly that name; otherwise it is as
// Withdraw.
func (e *Errand) WithdrawName(ctx context.Context, name lonja.FileName) error {
	return e.dialect.withdrawNames(ctx, e.user, e.files, name)
}

// Published returns what is published from this machine.
func (e *Errand) Published() []lonja.Listing {
	return slices.SortedFunc(e.files.Offered(), func(a, b lonja.Listing) int { return cmp.Compare(a.Name, b.Name) })
}

// PathOf returns where the file is that is published under name.
func (e *Errand) PathOf(name lonja.FileName) (string, bool) { return e.files.PathOf(name) }

// Holders returns the connected users who have what is wanted. With from, only
// that user; NoSuchFile or NoSuchOwner if it does not have it, or is not there.
// NoHolder if nobody has it.
func (e *Errand) Holders(ctx context.Context, w lonja.Wanted, from lonja.UserName) ([]lonja.Holder, error) {
	holders, err := e.dialect.holders(ctx, e.user, w)
	if err != nil {
		return nil, err
	}
	name := w.Name
	if !w.File.IsZero() {
		name = lonja.FileName(w.File.String())
	}
	exact := path.Base(string(name)) != string(name) // somebody said more than the base name
	holders = slices.DeleteFunc(holders, func(h lonja.Holder) bool {
		return from != "" && h.User != from || w.File.IsZero() && exact && h.Name != w.Name
	})
	if len(holders) > 0 {
		return holders, nil
	}
	if from != "" {
		return nil, e.dialect.whyNot(ctx, e.user, from, name)
	}
	return nil, &lonja.Error{Kind: lonja.NoHolder, Op: "get", File: name}
}

// Choices returns the contents that are wanted, with their holders, those that
// most have first: from that user only, if it is not empty. There is at least
// one; the errors are those of Holders.
func (e *Errand) Choices(ctx context.Context, w lonja.Wanted, from lonja.UserName) ([]Choice, error) {
	holders, err := e.Holders(ctx, w, from)
	if err != nil {
		return nil, err
	}
	return e.dialect.choices(ctx, asking{e.user, e.peers(ctx)}, holders, askedFor(w)), nil
}

// askedFor returns what somebody types who wants that.
func askedFor(w lonja.Wanted) lonja.FileName {
	if w.File.IsZero() {
		return w.Name
	}
	return lonja.FileName(w.File.String())
}

// A Fetching is what is to be fetched, from whom, and to where.
type Fetching struct {
	Wanted   lonja.Wanted // as Choices was asked
	Choice   Choice
	From     lonja.UserName // from this user only; or empty
	Local    string         // a path of this machine
	Force    bool           // also in the place of another file
	Progress func(int64)    // is told the bytes that are here, earlier ones too; or nil
	// Started, if not nil, is told the swarm that fetches before it runs, to ask it
	// how it goes; once more for each size that holders have signed.
	Started func(*swarm.Swarm)
}

// Fetch fetches a content from all its holders at once. What has come is kept if it
// fails, and goes on when the same is fetched to the same place. The error is of
// kind Unavailable, and tells what was tried, if nobody sends it; Untrusted if
// nobody sends what was signed; LocalFile if it cannot be written there, a file
// that is there already among it; Canceled if ctx ended.
func (e *Errand) Fetch(ctx context.Context, f Fetching) (Fetched, error) {
	if err := checkTarget(opFetchFile, f.Local); err != nil {
		return Fetched{}, err
	}
	return e.dialect.fetchFromAll(ctx, asking{e.user, e.peers(ctx)}, f.Choice.Holders, fetch{
		remote: askedFor(f.Wanted), local: f.Local, progress: f.Progress, force: f.Force, from: f.From, started: f.Started,
	})
}

// peers says how the member proves itself to others: with a certificate that it is
// given for this.
func (e *Errand) peers(ctx context.Context) authority.PeerOptions {
	return authority.PeerOptions{
		Set:         e.dialect.Authority,
		Certificate: func() (*tls.Certificate, error) { return e.Certificate(ctx) },
		// Whom it asks, it knows by the key that the directory has for the owner now.
		Revoked:   func(lonja.Member, uint64) bool { return false },
		Protocols: []string{"http/1.1"},
	}
}

// Certificate returns what the member proves itself to other nodes with, as the
// directory issues it: with the key, and the proofs that join the directory's
// authority to earlier ones. It lasts some hours.
func (e *Errand) Certificate(ctx context.Context) (*tls.Certificate, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.certificate != nil {
		return e.certificate, nil
	}
	d := e.dialect
	issued, err := d.Directory.Certificate(ctx, d.member(e.user))
	if err != nil {
		return nil, err
	}
	e.certificate, err = authority.MemberCertificate(issued.Chain[0], d.Key, e.user, d.Authority())
	return e.certificate, err
}
