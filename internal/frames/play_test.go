package frames

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
)

// A player is a client whose every byte the test decides.
type player struct {
	*testing.T
	service *testService
	conn    net.Conn
	in      *reader
	stop    context.CancelFunc
	served  chan error
}

// mute is play without the hello.
func mute(t *testing.T, opts ServerOptions) *player {
	t.Helper()
	near, far := net.Pipe()
	p := &player{T: t, service: newTestService(), conn: near, in: newReader(near, MaxAnswer, 0, 0), served: make(chan error, 1)}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(t.Context())
	go func() { p.served <- Serve(ctx, far, p.service, opts) }()
	return p
}

// play connects to a server by a pipe and greets it. It is for bubbles of
// synctest.
func play(t *testing.T, opts ServerOptions) *player {
	t.Helper()
	p := mute(t, opts)
	if h, _ := p.read(); h.kind != kindHello {
		t.Fatalf("got %+v, want a hello", h)
	}
	p.write(appendHello(nil, hello{leastVersion, thisVersion, MaxAnswer, 0, 4}))
	return p
}

func (p *player) write(b []byte) {
	p.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.Fatal(err)
	}
}

func (p *player) send(h header, body string) {
	p.Helper()
	p.write(appendFrame(nil, h, []byte(body)))
}

func (p *player) read() (header, string) {
	p.Helper()
	h, body, err := p.in.next()
	if err != nil {
		p.Fatal(err)
	}
	return h, string(body)
}

func (p *player) expect(want header, body string) {
	p.Helper()
	want.length = uint32(len(body))
	if h, b := p.read(); h != want || b != body {
		p.Errorf("got  %+v %q\nwant %+v %q", h, b, want, body)
	}
}

// ended waits until the server has closed, reading what it still says.
func (p *player) ended() ([]byte, error) {
	rest, _ := io.ReadAll(p.in.in)
	_ = p.conn.Close()
	p.stop()
	return rest, <-p.served
}

func (p *player) close() {
	p.Helper()
	_ = p.conn.Close()
	if err := <-p.served; err != nil {
		p.Errorf("Serve: %v", err)
	}
	p.stop()
}

// goAwayIn reports whether b is a go away, and nothing else.
func goAwayIn(b []byte) (header, bool) {
	if len(b) < headerSize {
		return header{}, false
	}
	h := parseHeader(bytes.Clone(b[:headerSize]))
	return h, h.kind == kindGoAway && len(b) == headerSize+int(h.length)
}
