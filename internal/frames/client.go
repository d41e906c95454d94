package frames

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lonja"
)

// The defaults of ClientOptions.
const (
	DefaultPingEvery   = 25 * time.Second
	DefaultPingTimeout = 10 * time.Second
)

// ClientOptions say how patient a Client is. The zero value stands for the
// defaults.
type ClientOptions struct {
	PingEvery    time.Duration // silence after which the other side is asked whether it is there
	PingTimeout  time.Duration // for its answer, and for the hello
	WriteTimeout time.Duration // for the other side to take 64 KiB
	Window       int           // items of a stream that may wait for their reader
}

func (o ClientOptions) withDefaults() ClientOptions {
	if o.PingEvery <= 0 {
		o.PingEvery = DefaultPingEvery
	}
	if o.PingTimeout <= 0 {
		o.PingTimeout = DefaultPingTimeout
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	return o
}

// ErrUnsent is in the chain of an error of Call or Stream if the other side
// cannot have performed the request: asking again does no harm.
var ErrUnsent = errors.New("the request was not sent")

// A Client asks over one connection. All methods may be called by any number of
// goroutines at once. Close ends it.
type Client struct {
	opts    ClientOptions
	conn    net.Conn
	in      *reader
	out     *writer
	other   hello
	places  chan struct{} // one token for each request under way, as many as the server takes
	heard   atomic.Int64  // when the last frame came, since started
	started time.Time
	reading sync.WaitGroup

	leaving  chan struct{} // closed when no more requests may be made
	lost     chan struct{} // closed when the connection is no more
	mu       sync.Mutex
	pending  map[uint32]*pending
	last     uint32
	leftOnce bool
	why      error // of the end; set before lost is closed
	beat     *time.Timer
}

// A pending request waits for its answer.
type pending struct {
	at     uint64 // where it begins among the bytes sent
	answer chan result
	items  chan []byte // of a stream: as many as the window
}

type result struct {
	body []byte
	err  error
}

// maxNumber is where a connection is given up, so that numbers always rise.
const maxNumber = math.MaxUint32 / 2

// NewClient greets the other side of conn and returns a Client that owns conn.
// An error, as when ctx ends, closes it. It is of kind Unavailable, or Malformed
// if the other side does not speak this protocol.
func NewClient(ctx context.Context, conn net.Conn, opts ClientOptions) (*Client, error) {
	opts = opts.withDefaults()
	c := &Client{
		opts: opts, conn: conn, started: time.Now(),
		in:      newReader(conn, maxHello, opts.PingTimeout, opts.PingTimeout),
		out:     newWriter(conn, opts.WriteTimeout, false),
		leaving: make(chan struct{}), lost: make(chan struct{}),
		pending: make(map[uint32]*pending),
	}
	stop := context.AfterFunc(ctx, c.in.conn.stop)
	err := c.greet()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.out.abort(net.ErrClosed)
		return nil, err
	}
	c.places = make(chan struct{}, c.other.atOnce)
	c.in.conn.idle, c.in.conn.frame = 0, 0 // the beat sees to it
	_ = conn.SetReadDeadline(time.Time{})
	c.in.longest = MaxAnswer
	c.mu.Lock()
	c.beat = time.AfterFunc(opts.PingEvery, c.keepAlive)
	c.mu.Unlock()
	c.reading.Go(c.readAll)
	return c, nil
}

// maxAtOnce bounds what a client takes from a server's hello.
const maxAtOnce = 4096

func (c *Client) greet() error {
	own := hello{leastVersion, thisVersion, MaxAnswer, 0, uint32(c.opts.Window)}
	if _, err := c.out.add(appendHello(nil, own)); err != nil {
		return lonja.E(lonja.Unavailable, "greet", err)
	}
	other, err := readHello(c.in)
	if err == nil {
		_, err = agree(own, other)
	}
	switch {
	case err == nil:
		c.other = other
		c.other.atOnce = min(max(other.atOnce, 1), maxAtOnce)
		return nil
	case lonja.KindOf(err) == lonja.Internal:
		return lonja.E(lonja.Malformed, "greet", err)
	}
	return lonja.E(lonja.Unavailable, "greet", err)
}

// Lost is closed when the connection has ended, whatever for.
func (c *Client) Lost() <-chan struct{} { return c.lost }

// Leaving is closed when the connection takes no more requests: it is lost, or
// the other side is about to end it. Those under way may still be answered.
func (c *Client) Leaving() <-chan struct{} { return c.leaving }

// Err returns why the connection ended, or nil while it lasts.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Close ends the connection. What is under way fails with Unavailable. No
// goroutine of the client is left when it returns.
func (c *Client) Close() error {
	c.end(net.ErrClosed)
	c.reading.Wait()
	<-c.lost
	return nil
}

// Call makes a request and returns the body of its answer. The time that ctx
// leaves goes with it, and the end of ctx cancels it. Body is at most MaxRequest
// bytes and may be used again when Call returns.
//
// An error is what the other side told, an *lonja.Error of any kind; Unavailable
// if the connection ended, with ErrUnsent in its chain if the request cannot have
// been performed; or Canceled if ctx ended, likewise.
func (c *Client) Call(ctx context.Context, method uint16, body []byte) ([]byte, error) {
	number, p, err := c.send(ctx, method, body, nil)
	if err != nil {
		return nil, err
	}
	select {
	case r := <-p.answer:
		<-c.places
		return r.body, r.err
	case <-ctx.Done():
	}
	c.forget(number)
	<-c.places
	select {
	case r := <-p.answer: // it was quicker
		return r.body, r.err
	default:
		return nil, lonja.E(lonja.Canceled, "ask", context.Cause(ctx))
	}
}

// Stream makes a request whose answer is a stream, and calls item with each of
// its items, in the calling goroutine, until the stream ends (nil), ctx ends,
// or item returns an error (that one). While item works, at most a window of
// further items wait; then the other side is held back. Errors are those of Call.
func (c *Client) Stream(ctx context.Context, method uint16, body []byte, item func([]byte) error) error {
	number, p, err := c.send(ctx, method, body, make(chan []byte, c.opts.Window))
	if err != nil {
		return err
	}
	taken := 0
	for {
		select {
		case b, more := <-p.items:
			if !more { // the end is there, and all before it has been taken
				return (<-p.answer).err
			}
			if err := item(b); err != nil {
				c.forget(number)
				return err
			}
			if taken++; taken >= c.opts.Window/2 {
				c.tell(header{kind: kindCredit, request: number, value: uint32(taken)})
				taken = 0
			}
		case <-ctx.Done():
			c.forget(number)
			return lonja.E(lonja.Canceled, "ask", context.Cause(ctx))
		}
	}
}

// unsent is the error of a request that nobody got.
func unsent(kind lonja.Kind, why error) error {
	return lonja.E(kind, "ask", fmt.Errorf("%w: %w", ErrUnsent, why))
}

// errLeaving is why a connection that still stands takes no request.
var errLeaving = errors.New("the other side is about to end the connection")

// send numbers a request and sends it. A request that is not a stream takes a
// place, which its caller gives back.
func (c *Client) send(ctx context.Context, method uint16, body []byte, items chan []byte) (uint32, *pending, error) {
	if len(body) > MaxRequest || len(body) > int(c.other.longest) {
		return 0, nil, lonja.E(lonja.Invalid, "ask", fmt.Errorf("a request of %d bytes: %w", len(body), errTooLong))
	}
	if items == nil {
		select {
		case c.places <- struct{}{}:
		case <-ctx.Done():
			return 0, nil, unsent(lonja.Canceled, context.Cause(ctx))
		case <-c.leaving:
			return 0, nil, unsent(lonja.Unavailable, errLeaving)
		}
	}
	p := &pending{answer: make(chan result, 1), items: items}
	number, err := c.number(ctx, p, header{kind: kindRequest, method: method, value: timeLeft(ctx)}, body)
	if err != nil && items == nil {
		<-c.places
	}
	return number, p, err
}

// timeLeft is the time for a request in milliseconds, at least 1, or 0.
func timeLeft(ctx context.Context) uint32 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	left := time.Until(deadline).Milliseconds()
	return uint32(min(max(left, 1), math.MaxUint32))
}

// number gives a request its number and sends it, in the order of the numbers.
func (c *Client) number(ctx context.Context, p *pending, h header, body []byte) (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return 0, unsent(lonja.Canceled, context.Cause(ctx))
	case c.why != nil:
		return 0, unsent(lonja.Unavailable, c.why)
	case c.leftOnce:
		return 0, unsent(lonja.Unavailable, errLeaving)
	}
	c.last++
	h.request = c.last
	if c.last >= maxNumber {
		c.leave()
	}
	frame := appendFrame(takeBuffer(), h, body)
	at, err := c.out.add(frame)
	returnBuffer(frame)
	if err != nil {
		return 0, unsent(lonja.Unavailable, err)
	}
	p.at = at
	c.pending[h.request] = p
	return h.request, nil
}

// leave lets no more requests be made. It is called with mu held.
func (c *Client) leave() {
	if !c.leftOnce {
		c.leftOnce = true
		close(c.leaving)
	}
}

// tell sends a frame without a body, if that still can be.
func (c *Client) tell(h header) {
	_, _ = c.out.add(appendHeader(nil, h))
}

// forget cancels a request.
func (c *Client) forget(number uint32) {
	c.mu.Lock()
	_, there := c.pending[number]
	delete(c.pending, number)
	c.mu.Unlock()
	if there {
		c.tell(header{kind: kindCancel, request: number})
	}
}

// end ends the connection and fails what is under way.
func (c *Client) end(why error) {
	c.mu.Lock()
	if c.why != nil {
		c.mu.Unlock()
		return
	}
	c.why = why
	c.leave()
	c.beat.Stop()
	left := c.pending
	c.pending = nil
	c.mu.Unlock()
	c.out.abort(why)
	for _, p := range left {
		err := error(lonja.E(lonja.Unavailable, "ask", why))
		if !c.out.wasHanded(p.at) {
			err = unsent(lonja.Unavailable, why)
		}
		p.finish(result{err: err})
	}
	close(c.lost)
}

// finish gives a pending request its end.
func (p *pending) finish(r result) {
	p.answer <- r
	if p.items != nil {
		close(p.items)
	}
}

var errSilent = errors.New("the other side is silent")

// keepAlive asks a silent other side whether it is there, and ends the
// connection if it does not say so in time.
func (c *Client) keepAlive() {
	silent := time.Since(c.started) - time.Duration(c.heard.Load())
	if silent >= c.opts.PingEvery+c.opts.PingTimeout {
		c.end(errSilent)
		return
	}
	next := c.opts.PingEvery - silent
	if silent >= c.opts.PingEvery {
		c.tell(header{kind: kindPing})
		next = c.opts.PingEvery + c.opts.PingTimeout - silent
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		c.beat.Reset(next)
	}
}

func (c *Client) readAll() {
	for {
		h, body, err := c.in.next()
		if err == nil {
			c.heard.Store(int64(time.Since(c.started)))
			err = c.take(h, body)
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

// take does what a frame says. An error ends the connection.
func (c *Client) take(h header, body []byte) error {
	switch h.kind {
	case kindAnswer:
		c.finish(h.request, result{body: slices.Clone(body)})
	case kindFailure:
		c.finish(h.request, result{err: Told(h.value, string(body))})
	case kindItem:
		return c.item(h.request, body)
	case kindPing:
		c.tell(header{kind: kindPong, value: h.value})
	case kindGoAway:
		return c.goAway(h.request, string(body))
	case kindHello, kindRequest, kindCancel, kindCredit:
		return errBroken("a server sends a frame of kind %d", h.kind)
	}
	return nil
}

// finish ends a request, unless it was forgotten.
func (c *Client) finish(number uint32, r result) {
	c.mu.Lock()
	p := c.pending[number]
	delete(c.pending, number)
	idle := c.leftOnce && len(c.pending) == 0
	c.mu.Unlock()
	if p != nil {
		p.finish(r)
	}
	if idle {
		c.end(errLeaving)
	}
}

func (c *Client) item(number uint32, body []byte) error {
	c.mu.Lock()
	p := c.pending[number]
	c.mu.Unlock()
	if p == nil {
		return nil // it was forgotten
	}
	if p.items == nil {
		return errBroken("an item for a request that is no stream")
	}
	select {
	case p.items <- slices.Clone(body):
		return nil
	default:
		return errBroken("more items of a stream than were asked for")
	}
}

// goAway lets no more requests be made; those that the other side will not
// perform are unsent.
func (c *Client) goAway(last uint32, sentence string) error {
	why := fmt.Errorf("%w: %s", errLeaving, lonja.Printable(clip(sentence)))
	c.mu.Lock()
	c.leave()
	var never []*pending
	for number, p := range c.pending {
		if number > last {
			delete(c.pending, number)
			never = append(never, p)
		}
	}
	idle := len(c.pending) == 0
	c.mu.Unlock()
	for _, p := range never {
		p.finish(result{err: unsent(lonja.Unavailable, why)})
	}
	if idle {
		return why
	}
	return nil
}
