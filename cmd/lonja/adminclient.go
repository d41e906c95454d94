package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"lonja"
	"lonja/internal/admin"
)

// An adminClient asks a running directory for what its operator wants.
type adminClient struct {
	where string // the value of --admin
	http  *http.Client
}

func newAdminClient(where string) (*adminClient, error) {
	network, address, err := parseAdmin(where)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		DisableKeepAlives:  true, // one command, one request
		DisableCompression: true,
	}
	return &adminClient{where, &http.Client{Transport: transport}}, nil
}

// ask starts an operation and returns its answer, which the caller closes. A
// body of nil means that there is nothing to send.
func (c *adminClient) ask(ctx context.Context, method, operation string, body io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+admin.Prefix+operation, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set(admin.Header, "1")
	request.Header.Set("TE", "trailers")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, c.refusal(response)
	}
	return &adminAnswer{response, ctx}, nil
}

// unreachable turns the failure of a request into a sentence that says what to
// do.
func (c *adminClient) unreachable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return lonja.E(lonja.Canceled, "admin", nil)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("nothing answers at %s: is the server running on this machine, with --%s %s?", c.where, adminFlag, c.where)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("no right to open %s: only the user that runs the server has it", c.where)
	}
	return fmt.Errorf("ask %s: %w", c.where, errors.Unwrap(err))
}

// maxRefusal bounds what is read of an answer that is none.
const maxRefusal = 64 << 10

// refusal is what the server said instead of an answer.
func (c *adminClient) refusal(response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	if err != nil {
		return c.unreachable(response.Request.Context(), err)
	}
	var failure struct {
		Error  string
		Report json.RawMessage
	}
	if json.Unmarshal(text, &failure) != nil || failure.Error == "" {
		return fmt.Errorf("what answers at %s is not a lonja server, or one of another version: %s", c.where, lonja.Printable(response.Status))
	}
	return &refusal{errors.New(lonja.Printable(failure.Error)), failure.Report}
}

// A refusal is an error that the server told, and what it did nevertheless.
type refusal struct {
	error
	report []byte // JSON, or nil
}

// An adminAnswer is the body of an answer, whose end fails if the server could
// not finish it.
type adminAnswer struct {
	response *http.Response
	ctx      context.Context
}

// Read implements io.Reader.
func (a *adminAnswer) Read(b []byte) (int, error) {
	n, err := a.response.Body.Read(b)
	switch {
	case err == nil:
	case a.ctx.Err() != nil:
		err = lonja.E(lonja.Canceled, "admin", nil)
	case err == io.EOF:
		if why := a.response.Trailer.Get(admin.ErrorTrailer); why != "" {
			err = fmt.Errorf("the server could not finish: %s", lonja.Printable(why))
		}
	default:
		err = fmt.Errorf("the server broke off: %w", err)
	}
	return n, err
}

// Close implements io.Closer.
func (a *adminAnswer) Close() error { return a.response.Body.Close() }

// askJSON performs an operation and reads its answer into value. Request is
// sent as JSON, unless it is nil.
func (c *adminClient) askJSON(ctx context.Context, method, operation string, request, value any) error {
	var body io.Reader
	if request != nil {
		text, err := json.Marshal(request)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	return c.stream(ctx, method, operation, body, value)
}

// stream sends body and reads the answer into value.
func (c *adminClient) stream(ctx context.Context, method, operation string, body io.Reader, value any) error {
	answer, err := c.ask(ctx, method, operation, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	return json.NewDecoder(answer).Decode(value)
}
