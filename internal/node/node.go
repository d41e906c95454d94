// Package node is one running program of one user: it speaks to a directory
// for the user, serves what the user published while connected, and fetches
// from others.
//
// It composes; the parts decide: the directory's rules are behind
// lonja.Directory, files are opened by share and received by partial, and the
// bytes move in upload and download. It shows nothing to anybody: see package
// console.
package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/share"
	"lonja/internal/swarm"
)

// Options is what a Node works with. Directory and DirectoryName must be set.
type Options struct {
	Directory lonja.Directory
	// DirectoryName tells directories apart in the node's state: host and port.
	DirectoryName string
	// StateDir is where the node remembers what its users published. Empty:
	// nowhere.
	StateDir string
	// Listen is the address on which published files are served while a user
	// is connected. Empty: any free port, on all addresses.
	Listen string
	// SendSize makes the node send a file's size before its content, in the
	// classic protocol.
	SendSize bool
	// Rates are how fast a node sends that speaks the classic dialect; those of the
	// secure one are in Secure. It knows no Slots, and fetches as fast as it can.
	Rates Rates
	// Secure makes the node speak the secure dialect. Nil: the classic one.
	Secure *SecureOptions
	Log    *slog.Logger
}

// A dialect is how a node speaks to a directory and to other nodes, where the two
// differ.
type dialect interface {
	register(ctx context.Context, user lonja.UserName) error
	// join serves the session's files, has the directory know that the user is
	// there, and sets what ends the session. What it began it ends if it fails.
	join(ctx context.Context, s *stay) error
	// part has the directory know that the user is not there any more.
	part(ctx context.Context, s *stay) error
	publish(ctx context.Context, s *stay, path string, description lonja.Description) error
	unpublish(ctx context.Context, s *stay, path string) error
	fetchFile(ctx context.Context, s *stay, from lonja.UserName, f fetch) error
	fetchMulti(ctx context.Context, s *stay, f fetch) error
}

// A fetch is what is to be fetched, and to where.
type fetch struct {
	remote   lonja.FileName
	local    string
	progress func(int64) // or nil

	// What only fetching from all heeds:
	force bool           // also in the place of another file
	from  lonja.UserName // from this user only; or empty
	// started is told of each swarm before it runs; or nil.
	started func(*swarm.Swarm)
}

// A Node has at most one connected user. Its methods may be called from any
// number of goroutines; Connect, Disconnect, Unregister and Close wait for
// each other. Close must be called.
type Node struct {
	opts    Options
	dialect dialect
	spare   spare

	changing sync.Mutex // held while a user comes or goes

	mu     sync.Mutex // guards all below
	stay   *stay      // nil while no user is connected
	errand *Errand    // the last that was made unconnected, until its user connects
}

// A stay is a user being connected.
type stay struct {
	user  lonja.UserName
	files *share.Set
	stop  func()      // ends the serving of files and waits for it; may be called again
	keeps *membership // of the secure dialect, or nil
	lost  atomic.Bool // the directory has said that the user is not connected

	// Of a spare:
	yields bool
	gone   func() // told when it is lost; or nil
}

// New returns a Node with no user.
func New(opts Options) *Node {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Listen == "" {
		opts.Listen = ":0"
	}
	n := &Node{opts: opts}
	if opts.Secure != nil {
		n.dialect = newSecure(n)
	} else {
		n.dialect = classicDialect{n}
	}
	return n
}

// User returns the connected user, or "". It is still that of Connect when the
// directory has lost it: see heed.
func (n *Node) User() lonja.UserName {
	if s := n.current(); s != nil {
		return s.user
	}
	return ""
}

// Serving reports whether the user's files are served: one is connected, and was
// not lost for good.
func (n *Node) Serving() bool {
	s := n.current()
	return s != nil && !s.lost.Load()
}

// Ended returns why the connected user's session was ended for good, as far as the
// directory has said so unasked: TakenOver, for one. Nil if it was not, or without a
// connected user.
func (n *Node) Ended() error {
	if s := n.current(); s != nil && s.keeps != nil && s.lost.Load() {
		return s.keeps.keeper.State().Trouble
	}
	return nil
}

// takenOver returns the error of kind TakenOver with which the session ended, if it
// did: the user is connected elsewhere then, and not here.
func (s *stay) takenOver() error {
	if s.keeps == nil {
		return nil
	}
	if err := s.keeps.keeper.State().Trouble; errors.Is(err, lonja.TakenOver) {
		return err
	}
	return nil
}

func (n *Node) current() *stay {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stay
}

func (n *Node) setCurrent(s *stay) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stay = s
}

// connected returns the session, or an error of kind NotConnected: operations
// that need a connected user are not sent without one.
func (n *Node) connected(op lonja.Operation) (*stay, error) {
	s := n.current()
	if s == nil {
		return nil, lonja.E(lonja.NotConnected, op.String(), errors.New("no user is connected here"))
	}
	if err := s.takenOver(); err != nil {
		return nil, &lonja.Error{Kind: lonja.NotConnected, Op: op.String(), Err: err}
	}
	return s, nil
}

// heed takes the outcome of an operation of the session's user. When a
// directory does not have the user as connected, because it has restarted, say,
// or somebody else has disconnected it, nobody is sent here for its files any
// more: they are served no longer, and Connect is possible again.
func (n *Node) heed(s *stay, err error) error {
	if !errors.Is(err, lonja.NotConnected) && !errors.Is(err, lonja.NoSuchUser) {
		return err
	}
	if !s.lost.Swap(true) {
		s.stop()
		n.opts.Log.Warn("the directory does not have the user as connected: its files are served no more; connect again",
			slog.Any("user", s.user))
	}
	return err
}

// Register creates an account. What an account of that name once published
// from here is forgotten: it was another account.
func (n *Node) Register(ctx context.Context, user lonja.UserName) error {
	if err := n.dialect.register(ctx, user); err != nil {
		return err
	}
	n.Forget(user)
	return nil
}

// Unregister removes an account. If it is the connected one, its files are
// served no more.
func (n *Node) Unregister(ctx context.Context, user lonja.UserName) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	if err := n.opts.Directory.Unregister(ctx, user); err != nil {
		return err
	}
	n.leave(user)
	n.Forget(user)
	return nil
}

// Forget clears what user published from here: the account is a new one. The directory has done its
// part already, so a failure is only logged: such files are served again only
// if the same name connects from here.
func (n *Node) Forget(user lonja.UserName) {
	files, err := n.openFiles(user)
	if err == nil {
		err = files.Clear()
	}
	if err != nil {
		n.opts.Log.Warn("cannot forget what was published", slog.Any("user", user), slog.Any("error", err))
	}
}

func (n *Node) openFiles(user lonja.UserName) (*share.Set, error) {
	if n.opts.StateDir == "" {
		return share.New(), nil
	}
	return share.Open(n.opts.StateDir, share.Key{Directory: n.opts.DirectoryName, User: user})
}

// Connect makes user the connected one: its files are served, those published
// before a restart among them. NodeInUse if there is one already.
func (n *Node) Connect(ctx context.Context, user lonja.UserName) error {
	return n.connect(ctx, user, func(*stay) {})
}

// connect is Connect; how tells what the stay is to be like.
func (n *Node) connect(ctx context.Context, user lonja.UserName, how func(*stay)) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	if s := n.current(); s != nil && !s.lost.Load() {
		return &lonja.Error{Kind: lonja.NodeInUse, Op: lonja.OpConnect.String(), User: s.user}
	}
	if old := n.current(); old != nil {
		old.stop() // its port may be the one that is to be taken
	}
	s, err := n.newStay(user)
	if err == nil {
		how(s)
		err = n.dialect.join(ctx, s)
	}
	if err != nil {
		return err
	}
	n.setCurrent(s)
	if !s.yields {
		n.tellUnserved(ctx, s)
	}
	return nil
}

// newStay returns a stay of user that serves nothing yet. What an Errand has read
// is not read again, of a hundred thousand files say: it follows its record.
func (n *Node) newStay(user lonja.UserName) (*stay, error) {
	n.mu.Lock()
	errand := n.errand
	n.errand = nil
	n.mu.Unlock()
	if errand != nil && errand.user == user {
		return &stay{user: user, files: errand.files}, nil
	}
	files, err := n.openFiles(user)
	if errors.Is(err, share.ErrDamaged) {
		return nil, &lonja.Error{Kind: lonja.LocalFile, Op: lonja.OpConnect.String(), User: user, Err: err}
	} else if err != nil {
		// Who only wants to fetch needs no state.
		n.opts.Log.Warn("what is published will not be remembered", slog.Any("error", err))
		files = share.New()
	}
	return &stay{user: user, files: files}, nil
}

// mayHaveHappened reports whether the directory may have done what failed with
// err: it was asked, and its answer is not known.
func mayHaveHappened(err error) bool {
	if opErr, ok := errors.AsType[*net.OpError](err); ok && opErr.Op == "dial" {
		return false
	}
	switch lonja.KindOf(err) {
	case lonja.Canceled, lonja.Unavailable, lonja.Malformed:
		return true
	}
	return false
}

// Disconnect ends the presence of user. If it is the connected one, its files
// are served no more, whatever the directory answers: a directory that cannot
// be reached does not keep a user here. A session that another program has taken over
// from this one is left to it: NotConnected.
func (n *Node) Disconnect(ctx context.Context, user lonja.UserName) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	s := n.leave(user) // first: what keeps a session would begin it anew
	if s == nil {
		return n.opts.Directory.Disconnect(ctx, user)
	}
	if err := s.takenOver(); err != nil {
		return &lonja.Error{Kind: lonja.NotConnected, Op: lonja.OpDisconnect.String(), User: user, Err: err}
	}
	return n.dialect.part(ctx, s)
}

// leave ends the session if it is that of user, and returns it.
func (n *Node) leave(user lonja.UserName) *stay {
	s := n.current()
	if s == nil || s.user != user {
		return nil
	}
	n.setCurrent(nil)
	s.stop()
	return s
}

// closeTimeout bounds the farewell to the directory.
const closeTimeout = 3 * time.Second

// Close disconnects the user, if there is one, and ends all that the node
// does. It tells nobody of failures: there is nothing left to be done about
// them.
func (n *Node) Close() {
	n.spare.close()
	n.changing.Lock()
	defer n.changing.Unlock()
	if s := n.leave(n.User()); s != nil {
		n.farewell(s) // which ends nothing that another program has taken over
	}
}

// farewell disconnects the user at the directory, as far as that is possible. It
// takes no context: it is for when that of the caller has ended.
func (n *Node) farewell(s *stay) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := n.dialect.part(ctx, s); err != nil {
		n.opts.Log.Debug("cannot disconnect", slog.Any("user", s.user), slog.Any("error", err))
	}
}

// Publish lists a file of this machine and serves it: in the classic dialect
// under its absolute path, in the secure one under its base name. An unusable
// path is of kind Invalid; LocalFile says that it cannot be remembered as
// published, and so is not.
func (n *Node) Publish(ctx context.Context, path string, description lonja.Description) error {
	s, err := n.connected(lonja.OpPublish)
	if err != nil {
		return err
	}
	return n.heed(s, n.dialect.publish(ctx, s, path, description))
}

// Delete takes a file off the list and serves it no more.
func (n *Node) Delete(ctx context.Context, path string) error {
	s, err := n.connected(lonja.OpDelete)
	if err != nil {
		return err
	}
	return n.heed(s, n.dialect.unpublish(ctx, s, path))
}

// ListUsers returns the connected users.
func (n *Node) ListUsers(ctx context.Context) ([]lonja.Peer, error) {
	s, err := n.connected(lonja.OpListUsers)
	if err != nil {
		return nil, err
	}
	peers, err := n.opts.Directory.ListUsers(ctx, s.user)
	return slices.Collect(peers.All()), n.heed(s, err)
}

// Search returns a page of what all users have published that matches query.
func (n *Node) Search(ctx context.Context, query lonja.Query) (lonja.FoundPage, error) {
	s, err := n.connected(lonja.OpSearch)
	if err != nil {
		return lonja.FoundPage{}, err
	}
	page, err := n.opts.Directory.Search(ctx, s.user, query)
	return page, n.heed(s, err)
}

// ListContent returns what owner has published.
func (n *Node) ListContent(ctx context.Context, owner lonja.UserName) ([]lonja.Listing, error) {
	s, err := n.connected(lonja.OpListContent)
	if err != nil {
		return nil, err
	}
	listings, err := n.opts.Directory.ListContent(ctx, s.user, owner)
	return listings, n.heed(s, err)
}
