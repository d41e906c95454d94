package frames

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"lonja"
)

// A Way is how requests for a method are served.
type Way uint8

// The ways.
const (
	// Unknown: there is no such method.
	Unknown Way = iota
	// Inline: by Answer, in the goroutine that reads. For what comes out of
	// memory at once: nothing else of the connection is read meanwhile, and
	// neither cancelling nor a deadline can reach it.
	Inline
	// Waiting: by Answer, in a goroutine of its own.
	Waiting
	// Streaming: by Stream, in a goroutine of its own.
	Streaming
)

// A Service performs the requests of one connection. All methods may be called
// by several goroutines at once.
type Service interface {
	// Way says how requests for a method are served.
	Way(method uint16) Way
	// Answer performs a request and returns b with the body of the answer
	// appended. The body of the request is good until Answer returns, and what it
	// appends is at most MaxAnswer bytes. What the client learns of an error is
	// what Tell tells.
	Answer(ctx context.Context, method uint16, body, b []byte) ([]byte, error)
	// Stream performs a request whose answer is a stream: it calls send for each
	// item until there are no more (nil), ctx ends, or send returns an error,
	// which it returns. send waits while the client holds it back; it copies the
	// item, which is at most MaxAnswer bytes.
	Stream(ctx context.Context, method uint16, body []byte, send func(item []byte) error) error
}

// The defaults of ServerOptions.
const (
	DefaultAtOnce       = 128
	DefaultStreams      = 8
	DefaultWindow       = 64
	DefaultIdleTimeout  = 90 * time.Second
	DefaultFrameTimeout = 10 * time.Second
	DefaultWriteTimeout = 10 * time.Second
	DefaultStreamPause  = time.Minute
	DefaultStopTimeout  = 3 * time.Second
)

// ServerOptions say how patient Serve is. The zero value stands for the defaults.
type ServerOptions struct {
	AtOnce       int           // waiting requests of a connection; further ones are Limited
	Streams      int           // of a connection, beside those; further ones are Limited
	IdleTimeout  time.Duration // without a frame; clients ping well within it
	FrameTimeout time.Duration // for the rest of a frame, and a second more for each 64 KiB; for the hello
	WriteTimeout time.Duration // for the client to take 64 KiB
	StreamPause  time.Duration // how long a client may hold a stream back before it ends
	StopTimeout  time.Duration // for requests to be answered once Serve is to stop
	// Slots bounds the waiting requests of all connections that share it: each
	// has a token in it while it is performed. When it is full they are Limited.
	// Nil does not bound.
	Slots chan struct{}
	// Waiting and Streaming bound the bytes that the bodies of waiting requests,
	// and of requests for streams, of all connections that share them hold while
	// they are performed, beyond SmallRequest each. When they are used up, larger
	// requests are Limited. Nil does not bound.
	Waiting, Streaming *semaphore.Weighted
}

// SmallRequest is the size of a body, in bytes, that is not more than what a
// request costs anyhow.
const SmallRequest = 4 << 10

// mostHeld bounds the bytes beyond SmallRequest each that the requests of one
// connection hold: no client has use for more, and a few must not use up what is
// there for all.
const mostHeld = 4 * MaxRequest

func (o ServerOptions) withDefaults() ServerOptions {
	number := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	length := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	number(&o.AtOnce, DefaultAtOnce)
	number(&o.Streams, DefaultStreams)
	length(&o.IdleTimeout, DefaultIdleTimeout)
	length(&o.FrameTimeout, DefaultFrameTimeout)
	length(&o.WriteTimeout, DefaultWriteTimeout)
	length(&o.StreamPause, DefaultStreamPause)
	length(&o.StopTimeout, DefaultStopTimeout)
	return o
}

// Serve serves a connection until the client ends it (nil), it breaks, the client
// breaks a rule, or ctx ends: then what was read is answered, for at most
// StopTimeout, and Serve returns nil. It closes conn, and no goroutine of it is
// left when it returns.
func Serve(ctx context.Context, conn net.Conn, service Service, opts ServerOptions) error {
	opts = opts.withDefaults()
	working, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	s := &serving{
		opts: opts, service: service, ctx: working, giveUp: giveUp,
		in:    newReader(conn, maxHello, opts.FrameTimeout, opts.FrameTimeout),
		out:   newWriter(conn, opts.WriteTimeout, true),
		calls: make(map[uint32]*call),
	}
	stopWatch := context.AfterFunc(ctx, s.in.conn.stop)
	err := s.readAll()
	stopWatch()
	if ctx.Err() != nil && !s.broken {
		s.in.conn.stop()
		s.finish()
		err = nil
	}
	giveUp()
	s.goroutines.Wait()
	s.out.abort(net.ErrClosed)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// serving is one connection being served.
type serving struct {
	opts    ServerOptions
	service Service
	ctx     context.Context // of this one connection; giveUp ends it
	giveUp  context.CancelFunc
	in      *reader
	out     *writer

	// Of the reading goroutine:
	last   uint32 // the highest request
	window uint32 // of the client
	batch  []byte // answers that go out together
	broken bool   // nothing more can be said to the client

	goroutines sync.WaitGroup
	mu         sync.Mutex
	calls      map[uint32]*call // waiting and streaming
	waiting    int
	streaming  int
	held       int // bytes of large requests
}

// batchSize is how many bytes of answers are written at the latest.
const batchSize = 32 << 10

func (s *serving) readAll() error {
	if err := s.greet(); err != nil {
		s.broken = true
		return err
	}
	for {
		h, body, err := s.in.next()
		switch {
		case err == nil:
			if err := s.take(h, body); err != nil {
				return s.goAway(err)
			}
		case errors.Is(err, errTooLong):
			return s.goAway(err)
		default:
			return err
		}
		if len(s.batch) > 0 && (len(s.batch) >= batchSize || !s.in.more()) {
			if err := s.flush(); err != nil {
				s.broken = true
				return err
			}
		}
	}
}

func (s *serving) greet() error {
	own := hello{leastVersion, thisVersion, MaxRequest, uint32(s.opts.AtOnce), DefaultWindow}
	if _, err := s.out.add(appendHello(nil, own)); err != nil {
		return err
	}
	other, err := readHello(s.in)
	if err == nil {
		_, err = agree(own, other)
	}
	if err != nil {
		return s.goAway(err)
	}
	s.window = other.window
	s.in.longest = MaxRequest
	s.in.conn.idle = s.opts.IdleTimeout
	return nil
}

func readHello(in *reader) (hello, error) {
	h, body, err := in.next()
	if err != nil {
		return hello{}, err
	}
	if h.kind != kindHello {
		return hello{}, errNoHello
	}
	return parseHello(body)
}

// errBroken is a rule of the protocol that the other side has broken.
func errBroken(format string, a ...any) error {
	return lonja.E(lonja.Malformed, "read", fmt.Errorf(format, a...))
}

// take does what a frame asks for. An error ends the connection.
func (s *serving) take(h header, body []byte) error {
	switch h.kind {
	case kindRequest:
		if h.request <= s.last {
			return errBroken("request %d comes after request %d", h.request, s.last)
		}
		s.last = h.request
		s.request(h, body)
	case kindCancel:
		s.cancel(h.request)
	case kindCredit:
		s.credit(h.request, h.value)
	case kindPing:
		s.reply(header{kind: kindPong, value: h.value}, nil)
	case kindHello, kindAnswer, kindFailure, kindItem, kindGoAway:
		return errBroken("a client sends a frame of kind %d", h.kind)
	}
	return nil
}

// reply adds a frame to those that go out together.
func (s *serving) reply(h header, body []byte) {
	s.batch = appendFrame(s.begun(), h, body)
}

// begun returns the batch, with memory.
func (s *serving) begun() []byte {
	if s.batch == nil {
		s.batch = takeBuffer()
	}
	return s.batch
}

func (s *serving) flush() error {
	if len(s.batch) == 0 {
		return nil
	}
	err := s.out.write(s.batch)
	returnBuffer(s.batch)
	s.batch = nil
	return err
}

func (s *serving) request(h header, body []byte) {
	way := s.service.Way(h.method)
	switch way {
	case Inline:
		b := s.begun()
		start := len(b)
		s.batch = answer(s.ctx, s.service, h, body, b)
		if len(s.batch) < start {
			panic("frames: a service has taken bytes away")
		}
	case Waiting, Streaming:
		if err := s.begin(h, way, body); err != nil {
			s.batch = appendFailure(s.begun(), h.request, err)
		}
	default:
		s.batch = appendFailure(s.begun(), h.request, lonja.E(lonja.Invalid, "ask", fmt.Errorf("there is no method %d", h.method)))
	}
}

// answer performs a request and appends the frame of its answer to b.
func answer(ctx context.Context, service Service, h header, body, b []byte) []byte {
	start := len(b)
	out, err := service.Answer(ctx, h.method, body, appendHeader(b, header{kind: kindAnswer, request: h.request}))
	if err == nil && len(out)-start-headerSize > MaxAnswer {
		err = lonja.E(lonja.Internal, "answer", errTooLong)
	}
	if err != nil {
		return appendFailure(b[:start], h.request, err)
	}
	setLength(out, start)
	return out
}

// goAway tells the client why the connection ends, and returns that.
func (s *serving) goAway(why error) error {
	s.broken = true
	_, sentence := Tell(lonja.E(lonja.Invalid, "", why))
	s.reply(header{kind: kindGoAway, request: s.last}, []byte(sentence))
	if s.flush() == nil && s.out.end() == nil {
		s.linger()
	}
	return why
}

// finish answers what was read and tells the client to go elsewhere.
func (s *serving) finish() {
	s.reply(header{kind: kindGoAway, request: s.last}, []byte("the directory stops"))
	if s.flush() != nil {
		return
	}
	stop := time.AfterFunc(s.opts.StopTimeout, s.giveUp)
	defer stop.Stop()
	s.endStreams()
	s.goroutines.Wait()
	if s.out.end() == nil {
		s.linger()
	}
}

// lingering is how long a client may take to notice that it was told to go.
const lingering = time.Second

// linger reads on until the client closes: closing on unread bytes would cause a
// reset that takes the last answers away from it.
func (s *serving) linger() {
	s.in.conn.stop() // if the end of ctx does it later, it does nothing
	conn := s.in.conn.conn
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if half.CloseWrite() != nil {
			return
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingering))
	_, _ = io.CopyN(io.Discard, conn, maxLingered)
}

const maxLingered = 1 << 20
