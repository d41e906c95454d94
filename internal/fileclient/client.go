// Package fileclient asks one peer for one content, over HTTP/1.1 on connections
// that somebody else makes: for its size, and for parts of it. What comes is not
// checked here: package swarm does that.
package fileclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileapi"
)

// Options say how a peer is asked. Dial must be set, and the others above zero.
type Options struct {
	// Dial connects to the peer, over TLS, and returns when the other side has
	// proved to be the right one. The Client closes the connection. Dial is called
	// by several goroutines at once.
	Dial         func(ctx context.Context) (net.Conn, error)
	Conns        int           // that are kept while nothing is asked
	StallTimeout time.Duration // for a peer that sends, or takes, nothing
}

// A Client asks one peer for one content. It may be used by several goroutines at
// once; each has a connection then. The errors of its methods are of kind
// NoSuchFile, Forbidden, Limited, Conflict or Refused if the peer says no, NoHolder
// if it does not have that part of the content;
// Limited with a *Queued as its cause if it is not one's turn;
// Unavailable if it cannot be reached, stops sending, or breaks off; Malformed if it
// answers something else than it was asked; Conflict with an *OtherSize as its cause
// if that has another size there; Canceled if ctx ended; and whatever Dial says.
type Client struct {
	id        lonja.FileID
	transport *http.Transport
	ways      atomic.Pointer[fileapi.Ways]
}

// The bounds of the header of an answer, and of what is read of the text of a
// refusal, in bytes.
const (
	maxHeader  = 16 << 10
	maxRefusal = 4 << 10
)

// New returns a Client for a content. The caller closes it.
func New(id lonja.FileID, opts Options) *Client {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &Client{id: id, transport: &http.Transport{
		// For http.Transport the connection is a plain one: whom it leads to
		// is proved already.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := opts.Dial(ctx)
			if err != nil {
				return nil, err
			}
			return &impatientConn{conn, opts.StallTimeout}, nil
		},
		Protocols:              &protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    opts.Conns,
		ResponseHeaderTimeout:  opts.StallTimeout,
		MaxResponseHeaderBytes: maxHeader,
		WriteBufferSize:        4 << 10,
		ReadBufferSize:         4 << 10, // what is bigger is read straight to where it goes
	}}
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// An impatientConn fails when the other side sends, or takes, nothing for so long.
type impatientConn struct {
	net.Conn
	patience time.Duration
}

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = lonja.E(lonja.Unavailable, "", fmt.Errorf("it sent nothing for %v", c.patience))
	}
	return n, err
}

func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// ask sends a request. What is no success is an error; otherwise the caller
// closes the body.
func (c *Client) ask(ctx context.Context, method, path string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://peer"+path, nil)
	if err != nil {
		return nil, lonja.E(lonja.Internal, "ask", err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, Broken(ctx, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		// To have seen the end lets the connection be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, maxRefusal)
		_ = resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

// Broken gives an error of the connection its kind. (An error of net/http that
// looks like that of a context is one of its own time-outs, as long as ctx goes
// on. What it does not understand cannot be told from what broke off.)
func Broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return lonja.E(lonja.Canceled, "", ctx.Err())
	}
	if _, ok := errors.AsType[*lonja.Error](err); ok {
		return err
	}
	return lonja.E(lonja.Unavailable, "", fmt.Errorf("the connection broke off: %w", err))
}

// Size asks how big the content is, in bytes.
func (c *Client) Size(ctx context.Context) (int64, error) {
	resp, err := c.ask(ctx, http.MethodHead, fileapi.Path(c.id), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.ContentLength < 0 {
		return 0, lonja.E(lonja.Malformed, "", errors.New("the answer tells no size"))
	}
	return resp.ContentLength, nil
}

// Open asks for the bytes from offset up to end of a content of that size, and
// returns where they are read from; it may be more or fewer all the same. The
// caller closes it; at its end, the connection is used again. Errors of reading
// go through Broken.
func (c *Client) Open(ctx context.Context, size, offset, end int64) (io.ReadCloser, error) {
	return c.open(ctx, fileapi.Path(c.id), size, offset, end)
}

func (c *Client) open(ctx context.Context, path string, size, offset, end int64) (io.ReadCloser, error) {
	header := make(http.Header)
	if end > offset {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, end-1))
	}
	resp, err := c.ask(ctx, http.MethodGet, path, header)
	if err != nil {
		return nil, err
	}
	if err := check(resp, size, offset, end); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// Tree returns a part of the content's outboard, as package tree has it, which is
// of that size, from offset up to end.
func (c *Client) Tree(ctx context.Context, size, offset, end int64) ([]byte, error) {
	body, err := c.open(ctx, fileapi.Tree.Path(c.id), size, offset, end)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b := make([]byte, end-offset)
	if _, err := io.ReadFull(body, b); err != nil {
		return nil, Broken(ctx, fmt.Errorf("in the hashes: %w", err))
	}
	_, _ = body.Read(make([]byte, 1)) // its end: the connection can be used again
	return b, nil
}

// Ways returns which addresses the peer said, with what it has, to lead to it only by
// way of something else.
func (c *Client) Ways() (w fileapi.Ways) {
	if told := c.ways.Load(); told != nil {
		w = *told
	}
	return w
}

// Have asks which of so many pieces the peer has: nil is all.
func (c *Client) Have(ctx context.Context, pieces int64) (*roaring.Bitmap, error) {
	has, _, err := c.have(ctx, nil, pieces)
	return has, err
}

func (c *Client) have(ctx context.Context, ask http.Header, pieces int64) (*roaring.Bitmap, http.Header, error) {
	resp, err := c.ask(ctx, http.MethodGet, fileapi.Have.Path(c.id), ask)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	ways := fileapi.ParseWays(resp.Header.Get(fileapi.WaysHeader))
	c.ways.Store(&ways)
	b, err := io.ReadAll(io.LimitReader(resp.Body, fileapi.MaxHave+1))
	if err != nil {
		return nil, nil, Broken(ctx, fmt.Errorf("in the pieces that it has: %w", err))
	}
	has, err := fileapi.ParseHave(b, pieces)
	return has, resp.Header, err
}

// An OtherSize is the cause of an error of kind Conflict: what was asked for has
// another size there. Who is wrong, it does not say: what is signed of a size may be
// false.
type OtherSize struct {
	Asked, There int64 // bytes
}

func (o *OtherSize) Error() string {
	return fmt.Sprintf("what was asked for has %d bytes there, not %d", o.There, o.Asked)
}

// check looks at what an answer says that it has.
func check(resp *http.Response, size, offset, end int64) error {
	total, part, said := resp.ContentLength, "", ""
	if resp.StatusCode == http.StatusPartialContent {
		part = resp.Header.Get("Content-Range")
		var err error
		part, said, _ = strings.Cut(part, "/")
		if total, err = strconv.ParseInt(said, 10, 64); err != nil {
			return lonja.E(lonja.Malformed, "", fmt.Errorf("a range of %q", part+"/"+said))
		}
	}
	if total != size {
		return lonja.E(lonja.Conflict, "", &OtherSize{Asked: size, There: total})
	}
	if want := fmt.Sprintf("bytes %d-%d", offset, end-1); resp.StatusCode == http.StatusPartialContent && part != want {
		return lonja.E(lonja.Malformed, "", fmt.Errorf("asked for %s, it answers with %q", want, part))
	}
	if resp.StatusCode == http.StatusOK && (offset != 0 || end != size) {
		return lonja.E(lonja.Malformed, "", errors.New("it cannot send parts of a file"))
	}
	return nil
}

// refusal is the error for an answer that is no success.
func refusal(resp *http.Response) error {
	kind := fileapi.Kind(resp.StatusCode)
	if queued := queuedAt(resp.Header); kind == lonja.Limited && queued != nil {
		return lonja.E(kind, "", queued)
	}
	return lonja.E(kind, "", fmt.Errorf("the owner says no: %s", lonja.Printable(resp.Status)))
}
