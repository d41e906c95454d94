package attack_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A tap is a port of somebody who sits on the wire. It passes on what both sides
// say and keeps a copy, or does something else with who comes by.
type tap struct {
	at string

	mu       sync.Mutex
	does     func(client net.Conn) // nil: pass on
	said     []*bytes.Buffer       // of each connection that was passed on, by the client
	answered []*bytes.Buffer       // likewise, by the other side
	firsts   []byte                // with what each connection began that was not
}

// tap opens a port that leads to another one.
func (v *town) tap(to string) *tap {
	v.Helper()
	ln := v.listen()
	p := &tap{at: ln.Addr().String()}
	var passing sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	passing.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			passing.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				p.meet(ctx, conn, to)
			})
		}
	})
	v.Cleanup(func() { stop(); _ = ln.Close(); passing.Wait() })
	return p
}

// meet does with a connection what is to be done now.
func (p *tap) meet(ctx context.Context, client net.Conn, to string) {
	p.mu.Lock()
	does := p.does
	p.mu.Unlock()
	if does == nil {
		p.pass(ctx, client, to)
		return
	}
	_ = client.SetDeadline(time.Now().Add(patience))
	first := make([]byte, 1)
	if _, err := io.ReadFull(client, first); err != nil {
		return
	}
	p.mu.Lock()
	p.firsts = append(p.firsts, first[0])
	p.mu.Unlock()
	does(&unread{client, io.MultiReader(bytes.NewReader(first), client)})
}

// An unread connection has some of what was read in it again.
type unread struct {
	net.Conn
	from io.Reader
}

func (u *unread) Read(b []byte) (int, error) { return u.from.Read(b) }

// pass connects both sides until one of them, or ctx, ends.
func (p *tap) pass(ctx context.Context, client net.Conn, to string) {
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	said, answered := new(bytes.Buffer), new(bytes.Buffer)
	p.mu.Lock()
	p.said, p.answered = append(p.said, said), append(p.answered, answered)
	p.mu.Unlock()
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(client, io.TeeReader(server, lockedWriter{&p.mu, answered}))
		_ = client.Close()
	}()
	_, _ = io.Copy(server, io.TeeReader(client, lockedWriter{&p.mu, said}))
	_ = server.Close()
	<-back
}

type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// heard returns what was said on each connection that was passed on.
func (p *tap) heard() [][]byte { return p.copied(&p.said) }

// told returns what the other side answered on each.
func (p *tap) told() [][]byte { return p.copied(&p.answered) }

func (p *tap) copied(from *[]*bytes.Buffer) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all [][]byte
	for _, b := range *from {
		all = append(all, bytes.Clone(b.Bytes()))
	}
	return all
}

// turns has the tap do something else, and forget whom it has met.
func (p *tap) turns(does func(client net.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.does, p.firsts = does, nil
}

// met returns the first byte of each connection since then.
func (p *tap) met() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.firsts)
}

// replays says to a port what was said to it once, and returns what it answers
// until it ends the connection, which it has to.
func (v *town) replays(at string, said []byte) []byte {
	v.Helper()
	conn, err := net.Dial("tcp", at)
	v.ok(err)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Write(said) // it may have hung up before all of it
	got, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		v.Errorf("%s keeps the connection", at)
	}
	return got
}
