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
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/share"
	"lonja/internal/upload"
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
	// SendSize makes the node send a file's size before its content.
	SendSize bool
	Log      *slog.Logger
}

// A Node has at most one connected user. Its methods may be called from any
// number of goroutines; Connect, Disconnect, Unregister and Close wait for
// each other. Close must be called.
type Node struct {
	opts Options

	changing sync.Mutex // held while a user comes or goes

	mu      sync.Mutex // guards session
	session *session   // nil while no user is connected
}

// A session is a connected user.
type session struct {
	user  lonja.UserName
	files *share.Set
	stop  func()      // ends the serving of files and waits for it
	lost  atomic.Bool // the directory has said that the user is not connected
}

// New returns a Node with no user.
func New(opts Options) *Node {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Listen == "" {
		opts.Listen = ":0"
	}
	return &Node{opts: opts}
}

// User returns the connected user, or "". It is still that of Connect when the
// directory has lost it: see heed.
func (n *Node) User() lonja.UserName {
	if s := n.current(); s != nil {
		return s.user
	}
	return ""
}

func (n *Node) current() *session {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.session
}

func (n *Node) setCurrent(s *session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.session = s
}

// connected returns the session, or an error of kind NotConnected: operations
// that need a connected user are not sent without one.
func (n *Node) connected(op lonja.Operation) (*session, error) {
	if s := n.current(); s != nil {
		return s, nil
	}
	return nil, lonja.E(lonja.NotConnected, op.String(), errors.New("no user is connected here"))
}

// heed takes the outcome of an operation of the session's user. When a
// directory does not have the user as connected, because it has restarted, say,
// or somebody else has disconnected it, nobody is sent here for its files any
// more: they are served no longer, and Connect is possible again.
func (n *Node) heed(s *session, err error) error {
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
	if err := n.opts.Directory.Register(ctx, user); err != nil {
		return err
	}
	n.forget(user)
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
	n.forget(user)
	return nil
}

// forget clears what user published from here. The directory has done its
// part already, so a failure is only logged: such files are served again only
// if the same name connects from here.
func (n *Node) forget(user lonja.UserName) {
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
	n.changing.Lock()
	defer n.changing.Unlock()
	if s := n.current(); s != nil && !s.lost.Load() {
		return &lonja.Error{Kind: lonja.NodeInUse, Op: lonja.OpConnect.String(), User: s.user}
	}
	s, port, err := n.serve(user)
	if err != nil {
		return &lonja.Error{Kind: lonja.LocalFile, Op: lonja.OpConnect.String(), User: user, Err: err}
	}
	at := lonja.EndpointFrom(port.Addr(), port.Port())
	if err := n.opts.Directory.Connect(ctx, user, at); err != nil {
		s.stop()
		if mayHaveHappened(err) {
			n.farewell(user)
		}
		return err
	}
	n.setCurrent(s)
	n.tellUnserved(ctx, s)
	return nil
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
// be reached does not keep a user here.
func (n *Node) Disconnect(ctx context.Context, user lonja.UserName) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	err := n.opts.Directory.Disconnect(ctx, user)
	n.leave(user)
	return err
}

// leave ends the session if it is that of user.
func (n *Node) leave(user lonja.UserName) {
	if s := n.current(); s != nil && s.user == user {
		n.setCurrent(nil)
		s.stop()
	}
}

// closeTimeout bounds the farewell to the directory.
const closeTimeout = 3 * time.Second

// Close disconnects the user, if there is one, and ends all that the node
// does. It tells nobody of failures: there is nothing left to be done about
// them.
func (n *Node) Close() {
	n.changing.Lock()
	defer n.changing.Unlock()
	if user := n.User(); user != "" {
		n.farewell(user)
		n.leave(user)
	}
}

// farewell disconnects user at the directory, as far as that is possible. It
// takes no context: it is for when that of the caller has ended.
func (n *Node) farewell(user lonja.UserName) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := n.opts.Directory.Disconnect(ctx, user); err != nil {
		n.opts.Log.Debug("cannot disconnect", slog.Any("user", user), slog.Any("error", err))
	}
}

// serve begins to serve what user published.
func (n *Node) serve(user lonja.UserName) (*session, lonja.Endpoint, error) {
	files, err := n.openFiles(user)
	if errors.Is(err, share.ErrDamaged) {
		return nil, lonja.Endpoint{}, err
	} else if err != nil {
		// Who only wants to fetch needs no state.
		n.opts.Log.Warn("what is published will not be remembered", slog.Any("error", err))
		files = share.New()
	}
	ln, err := net.Listen("tcp", n.opts.Listen)
	if err != nil {
		return nil, lonja.Endpoint{}, fmt.Errorf("cannot serve files: %w", err)
	}
	uploads := upload.New(upload.Options{Files: files, SendSize: n.opts.SendSize, Log: n.opts.Log})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := uploads.Serve(ctx, ln); err != nil {
			n.opts.Log.Error("files are served no more", slog.Any("error", err))
		}
	}()
	stop := func() {
		cancel()
		<-ended
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	return &session{user: user, files: files, stop: stop}, lonja.EndpointFrom(addr.Addr(), addr.Port()), nil
}

// Publish lists a file of this machine under its absolute path and serves it.
// An unusable path is of kind Invalid; LocalFile says that it cannot be
// remembered as published, and so is not.
func (n *Node) Publish(ctx context.Context, path string, description lonja.Description) error {
	s, err := n.connected(lonja.OpPublish)
	if err != nil {
		return err
	}
	name, path, err := publishedName(path)
	if err != nil {
		return err
	}
	// Served first, then listed: who sees it in the list can have it.
	served := s.files.Contains(name)
	if err := s.files.Add(name, path); err != nil {
		return err
	}
	err = n.heed(s, n.opts.Directory.Publish(ctx, s.user, lonja.Listing{Name: name, Description: description}))
	if err != nil && !served && !errors.Is(err, lonja.AlreadyPublished) {
		// Not listed, so not offered either.
		return errors.Join(err, s.files.Remove(name))
	}
	return err
}

// Delete takes a file off the list and serves it no more.
func (n *Node) Delete(ctx context.Context, path string) error {
	s, err := n.connected(lonja.OpDelete)
	if err != nil {
		return err
	}
	name, _, err := publishedName(path)
	if err != nil {
		return err
	}
	err = n.heed(s, n.opts.Directory.Delete(ctx, s.user, name))
	if err == nil || errors.Is(err, lonja.NotPublished) {
		return errors.Join(err, s.files.Remove(name))
	}
	return err
}

// publishedName returns the name under which the classic dialect publishes a
// local file: its absolute path.
func publishedName(path string) (lonja.FileName, string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", "", lonja.E(lonja.Invalid, "publish", err)
	}
	name, err := lonja.ParseFileName(path)
	return name, path, err
}

// ListUsers returns the connected users.
func (n *Node) ListUsers(ctx context.Context) ([]lonja.Peer, error) {
	s, err := n.connected(lonja.OpListUsers)
	if err != nil {
		return nil, err
	}
	peers, err := n.opts.Directory.ListUsers(ctx, s.user)
	return peers, n.heed(s, err)
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
