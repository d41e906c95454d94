// Package dirclient is a lonja.Directory over the network, in the classic
// protocol: one connection for each operation.
//
// It keeps no state between operations and decides nothing; the timestamp that
// each request carries comes from a function that its owner gives it.
package dirclient

import (
	"bufio"
	"context"
	"errors"
	"net"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// DefaultTimeout bounds each operation.
const DefaultTimeout = 20 * time.Second

// Options is what a Client works with. Address must be set.
type Options struct {
	// Address is the directory's host and port.
	Address string
	// Timestamp gives what a request carries as its time. Nil:
	// lonja.NoTimestamp.
	Timestamp func(context.Context) string
	// Timeout bounds one operation, from dialing to the end of its answer.
	Timeout time.Duration
}

// A Client speaks to one directory. It implements lonja.Directory; the
// Endpoint of Connect is announced by its port only, since the directory takes
// the address that the connection comes from.
type Client struct {
	opts   Options
	dialer net.Dialer
}

var _ lonja.Directory = (*Client)(nil)

// New returns a Client. It opens no connection.
func New(opts Options) *Client {
	if opts.Timestamp == nil {
		opts.Timestamp = func(context.Context) string { return lonja.NoTimestamp }
	}
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	return &Client{opts: opts}
}

// Register implements lonja.Accounts.
func (c *Client) Register(ctx context.Context, user lonja.UserName) error {
	return c.do(ctx, classic.Request{Op: lonja.OpRegister, User: user})
}

// Unregister implements lonja.Accounts.
func (c *Client) Unregister(ctx context.Context, user lonja.UserName) error {
	return c.do(ctx, classic.Request{Op: lonja.OpUnregister, User: user})
}

// Connect implements lonja.Accounts.
func (c *Client) Connect(ctx context.Context, user lonja.UserName, at lonja.Endpoint) error {
	return c.do(ctx, classic.Request{Op: lonja.OpConnect, User: user, Port: at.Port()})
}

// Disconnect implements lonja.Accounts.
func (c *Client) Disconnect(ctx context.Context, user lonja.UserName) error {
	return c.do(ctx, classic.Request{Op: lonja.OpDisconnect, User: user})
}

// Publish implements lonja.Publications.
func (c *Client) Publish(ctx context.Context, user lonja.UserName, l lonja.Listing) error {
	return c.do(ctx, classic.Request{
		Op: lonja.OpPublish, User: user, Name: l.Name, Description: l.Description,
	})
}

// Delete implements lonja.Publications.
func (c *Client) Delete(ctx context.Context, user lonja.UserName, name lonja.FileName) error {
	return c.do(ctx, classic.Request{Op: lonja.OpDelete, User: user, Name: name})
}

// ListUsers implements lonja.Lookups.
func (c *Client) ListUsers(ctx context.Context, user lonja.UserName) (lonja.PeerList, error) {
	peers, err := ask(ctx, c, classic.Request{Op: lonja.OpListUsers, User: user}, classic.ReadUsers)
	return lonja.PeerList{peers}, err
}

// ListContent implements lonja.Lookups. The listings have no descriptions:
// the classic protocol does not carry them.
func (c *Client) ListContent(ctx context.Context, user, owner lonja.UserName) ([]lonja.Listing, error) {
	return ask(ctx, c, classic.Request{Op: lonja.OpListContent, User: user, Owner: owner}, classic.ReadListings)
}

// Holders implements lonja.Lookups. The holders have no user names: the
// classic protocol does not carry them.
func (c *Client) Holders(ctx context.Context, user lonja.UserName, name lonja.FileName) ([]lonja.Holder, error) {
	req := classic.Request{Op: lonja.OpHolders, User: user, Name: name}
	holders, err := ask(ctx, c, req, classic.ReadHolders)
	if err == nil && len(holders) == 0 {
		// There is a status for that, but nothing keeps a directory from
		// answering 0 and a count of 0 instead.
		err = &lonja.Error{Kind: lonja.NoHolder, Op: req.Op.String(), User: user, File: name}
	}
	return holders, err
}

// Search implements lonja.Searcher. A directory that does not know SEARCH, as
// those before lonja's, gives an error of kind Refused that says so.
func (c *Client) Search(ctx context.Context, user lonja.UserName, query lonja.Query) (lonja.FoundPage, error) {
	if err := query.Check(); err != nil {
		return lonja.FoundPage{}, err // what cannot be said on the wire, and why: a status would not tell
	}
	return ask(ctx, c, classic.Request{Op: lonja.OpSearch, User: user, Query: query}, classic.ReadFound)
}

// do performs an operation whose answer is a status alone.
func (c *Client) do(ctx context.Context, req classic.Request) error {
	_, err := ask(ctx, c, req, func(*bufio.Reader) (struct{}, error) { return struct{}{}, nil })
	return err
}

// ask performs one operation and reads what follows status 0 with read.
func ask[T any](ctx context.Context, c *Client, req classic.Request, read func(*bufio.Reader) (T, error)) (T, error) {
	var none T
	req.Timestamp = c.opts.Timestamp(ctx)
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	conn, err := c.dialer.DialContext(ctx, "tcp", c.opts.Address)
	if err != nil {
		return none, failure(ctx, req, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	// A directory that refuses early may answer and close before it has read
	// everything: its answer counts, also when writing failed.
	_, writeErr := conn.Write(classic.AppendRequest(nil, req))
	in := bufio.NewReaderSize(conn, classic.AnswerBufferSize)
	status, err := classic.ReadStatus(in)
	if err != nil {
		return none, failure(ctx, req, errors.Join(writeErr, err))
	}
	if err := classic.Failure(req.Op, status); err != nil {
		return none, err
	}
	answer, err := read(in)
	if err != nil {
		return none, failure(ctx, req, err)
	}
	return answer, nil
}

// failure says which operation failed, and that it was the caller who gave up
// where that is so. A directory that is too slow cannot be reached.
func failure(ctx context.Context, req classic.Request, cause error) error {
	kind := lonja.KindOf(cause)
	if context.Cause(ctx) == context.Canceled {
		kind = lonja.Canceled
	} else if kind == lonja.Canceled {
		kind = lonja.Unavailable
	}
	return &lonja.Error{Kind: kind, Op: req.Op.String(), User: req.User, Err: cause}
}
