package filefetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"lonja"
	"lonja/internal/fileapi"
)

// A client asks the owner for parts of the file. It may be used by several
// goroutines at once; each has a connection then.
type client struct {
	file      File
	transport *http.Transport
}

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 16 << 10

func newClient(file File, opts Options) *client {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &client{file, &http.Transport{
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

func (c *client) close() { c.transport.CloseIdleConnections() }

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
func (c *client) ask(ctx context.Context, method, byteRange string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://peer"+fileapi.Path(c.file.ID), nil)
	if err != nil {
		return nil, lonja.E(lonja.Internal, "ask", err)
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, broken(ctx, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		_ = resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

// broken gives an error of the connection its kind. (An error of net/http that
// looks like that of a context is one of its own time-outs, as long as ctx goes
// on. What it does not understand cannot be told from what broke off.)
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return lonja.E(lonja.Canceled, "", ctx.Err())
	}
	if _, ok := errors.AsType[*lonja.Error](err); ok {
		return err
	}
	return lonja.E(lonja.Unavailable, "", fmt.Errorf("the connection broke off: %w", err))
}

// size asks how big the file is, if its owner has not signed that.
func (c *client) size(ctx context.Context) (int64, error) {
	resp, err := c.ask(ctx, http.MethodHead, "")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.ContentLength < 0 {
		return 0, lonja.E(lonja.Malformed, "", errors.New("the answer tells no size"))
	}
	return resp.ContentLength, nil
}

// open asks for the bytes from offset up to end, and returns the answer that
// has them. Its body may be longer or shorter all the same.
func (c *client) open(ctx context.Context, offset, end int64) (*http.Response, error) {
	var byteRange string
	if end > offset {
		byteRange = fmt.Sprintf("bytes=%d-%d", offset, end-1)
	}
	resp, err := c.ask(ctx, http.MethodGet, byteRange)
	if err != nil {
		return nil, err
	}
	if err := c.check(resp, offset, end); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// check looks at what an answer says that it has.
func (c *client) check(resp *http.Response, offset, end int64) error {
	total, want := resp.ContentLength, "all of it"
	if resp.StatusCode == http.StatusPartialContent {
		want = fmt.Sprintf("bytes %d-%d/", offset, end-1)
		got := resp.Header.Get("Content-Range")
		if len(got) < len(want) || got[:len(want)] != want {
			return lonja.E(lonja.Malformed, "", fmt.Errorf("asked for %s, it answers with %q", want, got))
		}
		var err error
		if total, err = strconv.ParseInt(got[len(want):], 10, 64); err != nil {
			return lonja.E(lonja.Malformed, "", fmt.Errorf("a range of %q", got))
		}
	}
	if total != c.file.Size {
		return wrongContent(fmt.Errorf("the file has %d bytes there, not %d", total, c.file.Size))
	}
	if resp.StatusCode == http.StatusOK && (offset != 0 || end != c.file.Size) {
		return lonja.E(lonja.Malformed, "", errors.New("it cannot send parts of a file"))
	}
	return nil
}
