package datetime

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/soap"
)

// maxConns bounds the connections of a Client. Questions beyond it wait for a
// connection, within their time limit; waiting costs less than connecting.
const maxConns = 64

// Options say which service a Client asks, and how.
type Options struct {
	// URL is that of the service or of its WSDL, http or https.
	// The default is DefaultURL.
	URL string
	// Timeout bounds one question from beginning to end, including the
	// WSDL when that must be learned first. The default is DefaultTimeout.
	Timeout time.Duration
	// Log is told when the service is lost and when it is back, once each.
	// The default discards it.
	Log *slog.Logger
}

// A Client asks a date-time service. It may be used by many goroutines at
// once; they share its connections. Close it when done.
type Client struct {
	base      *url.URL // of the service: scheme, host and path
	timeout   time.Duration
	log       *slog.Logger
	http      *http.Client
	transport *http.Transport

	// known is how to ask, or nil when that must be learned (again). It is
	// set and forgotten without a lock: questions that run at once may each
	// learn it, which costs them a request and nobody else anything.
	known atomic.Pointer[question]
	// familiar is the last usable answer. All answers of one second are the
	// same bytes, which need not be parsed again.
	familiar atomic.Pointer[answer]
	lost     atomic.Bool // the last question had no answer
}

// A question is a request ready to be sent, again and again.
type question struct {
	url    string
	action string // the value of the SOAPAction header
	body   []byte
}

// An answer is what a service sent and what that means.
type answer struct{ body, stamp string }

// NewClient builds a Client. It does not touch the network. The error is of
// kind Invalid: the URL is none.
func NewClient(options Options) (*Client, error) {
	if options.URL == "" {
		options.URL = DefaultURL
	}
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	base, err := parseBase(options.URL)
	if err != nil {
		return nil, lonja.E(lonja.Invalid, "date-time service", err)
	}
	c := &Client{base: base, timeout: options.Timeout, log: options.Log}
	c.transport = &http.Transport{
		// No proxy: the service is on this machine or on its network.
		// The dialer has a limit of its own because a dial may outlive
		// the question that wanted it.
		DialContext:         (&net.Dialer{Timeout: options.Timeout}).DialContext,
		MaxConnsPerHost:     maxConns,
		MaxIdleConnsPerHost: maxConns,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}
	c.http = &http.Client{
		Transport:     c.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close closes the connections that no question is using.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Now returns the string that the service answers, or lonja.NoTimestamp when
// there is no usable answer within the time limit or before ctx ends. A
// service that is down costs no time. Nothing is remembered of a failure that
// would delay the use of the service once it is back.
//
// The string is what the service says, by custom "DD/MM/YYYY HH:MM:SS": 1 to
// lonja.MaxTimestamp bytes with nothing in it that a terminal obeys.
func (c *Client) Now(ctx context.Context) string {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	stamp, err := c.ask(limited)
	if ctx.Err() == nil { // else the caller gave up; that says nothing of the service
		c.note(err)
	}
	if err != nil {
		return lonja.NoTimestamp
	}
	return stamp
}

// note logs that the service was lost, or is back.
func (c *Client) note(err error) {
	lost := err != nil
	if c.lost.Swap(lost) == lost {
		return
	}
	at := slog.String("url", lonja.Printable(c.base.Redacted()))
	if lost {
		c.log.Warn("date-time service cannot be used", at, slog.String("error", lonja.Printable(err.Error())))
	} else {
		c.log.Info("date-time service is back", at)
	}
}

// ask learns how to ask, unless that is known, and asks.
func (c *Client) ask(ctx context.Context) (string, error) {
	q := c.known.Load()
	if q == nil {
		var err error
		if q, err = c.learn(ctx); err != nil {
			return "", err
		}
		c.known.Store(q)
	}
	stamp, err := c.post(ctx, q)
	// Another program may listen there by now, with a WSDL of its own. But
	// a service that was merely slow is asked in the same words: fetching
	// its WSDL each time might never leave time for the question.
	if err != nil && ctx.Err() == nil {
		c.known.CompareAndSwap(q, nil)
	}
	return stamp, err
}

// post sends a question and returns what is answered.
func (c *Client) post(ctx context.Context, q *question) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, q.url, bytes.NewReader(q.body))
	if err != nil {
		return "", lonja.E(lonja.Internal, "ask the time", err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("SOAPAction", q.action)
	// An empty list tells net/http, and only it, that the question may be
	// sent again when a kept connection turns out to be closed, as after a
	// restart of the service.
	request.Header["Idempotency-Key"] = nil
	status, body, err := c.do(request, soap.MaxMessage)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK && status != http.StatusInternalServerError {
		return "", lonja.E(lonja.Refused, "ask the time", fmt.Errorf("HTTP status %d", status))
	}
	return c.read(body)
}

// read returns the string in an answer if it is fit to be one.
func (c *Client) read(body []byte) (string, error) {
	if familiar := c.familiar.Load(); familiar != nil && familiar.body == string(body) {
		return familiar.stamp, nil
	}
	stamp, err := soap.ParseResponse(body)
	if err != nil {
		return "", err
	}
	if stamp == "" || len(stamp) > lonja.MaxTimestamp || lonja.Printable(stamp) != stamp {
		return "", lonja.E(lonja.Malformed, "ask the time", fmt.Errorf("the answer %.80q is no timestamp", stamp))
	}
	c.familiar.Store(&answer{string(body), stamp})
	return stamp, nil
}

// do sends a request and reads the answer, up to one byte beyond limit: who
// parses it refuses what is longer than that.
func (c *Client) do(request *http.Request, limit int64) (status int, body []byte, err error) {
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, lonja.E(lonja.KindOfIO(err), "ask the date-time service", err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return 0, nil, lonja.E(lonja.KindOfIO(err), "read the answer", err)
	}
	return response.StatusCode, body, nil
}
