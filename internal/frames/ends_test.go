package frames

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

// TestBrokenRules: each ends the connection with a word of why.
func TestBrokenRules(t *testing.T) {
	request := header{kind: kindRequest, method: echoNow, request: 5}
	for name, frames := range map[string][]byte{
		"a number that does not rise": appendFrame(appendFrame(nil, request, nil), request, nil),
		"a frame of a server's":       appendFrame(nil, header{kind: kindAnswer}, nil),
		"a second hello":              appendHello(nil, hello{}),
		"too long":                    appendHeader(nil, header{kind: kindRequest, request: 1, length: MaxRequest + 1}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := play(t, ServerOptions{})
				go func() { _, _ = p.conn.Write(frames) }()
				h, body, err := p.in.next()
				for err == nil && h.kind == kindAnswer {
					h, body, err = p.in.next()
				}
				if err != nil || h.kind != kindGoAway || len(body) == 0 {
					t.Errorf("got %+v %q, %v; want a go away with a reason", h, body, err)
				}
				if _, err := p.ended(); err == nil {
					t.Error("Serve returned nil")
				}
			})
		})
	}
}

func TestUnknownKindsArePassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, ServerOptions{})
		defer p.close()
		p.send(header{kind: 77, request: 9}, "from the future")
		p.send(header{kind: kindCancel, request: 9}, "")
		p.send(header{kind: kindCredit, request: 9, value: 1 << 31}, "")
		p.send(header{kind: kindRequest, method: echoNow, request: 1}, "x")
		p.expect(header{kind: kindAnswer, request: 1}, "x")
	})
}

// TestVersions: sides that have a version in common meet, others part with a word.
func TestVersions(t *testing.T) {
	for name, c := range map[string]struct {
		lowest, highest byte
		more            string
		meet            bool
	}{
		"the same":             {1, 1, "", true},
		"one from the future":  {1, 9, "and more to say", true},
		"only from the future": {2, 9, "", false},
		"nonsense":             {9, 0, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := mute(t, ServerOptions{})
				p.read()
				b := appendHello(nil, hello{c.lowest, c.highest, MaxAnswer, 0, 4})
				b = append(b, c.more...)
				setLength(b, 0)
				p.write(b)
				if !c.meet {
					rest, err := p.ended()
					if _, ok := goAwayIn(rest); !ok || err == nil {
						t.Errorf("got %x, %v; want a go away", rest, err)
					}
					return
				}
				p.send(header{kind: kindRequest, method: echoNow, request: 1}, "x")
				p.expect(header{kind: kindAnswer, request: 1}, "x")
				p.close()
			})
		})
	}
}

// TestStrangers: what is no lonja/1 is told so, to either side, in bounded time.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mute(t, ServerOptions{})
		p.read()
		p.write([]byte("GET / HTTP/1.1\r\n\r\n"))
		if rest, err := p.ended(); err == nil || len(rest) == 0 {
			t.Errorf("got %q, %v", rest, err)
		}
		p = mute(t, ServerOptions{})
		begun := time.Now()
		if _, err := p.ended(); err == nil || time.Since(begun) > DefaultFrameTimeout+lingering {
			t.Errorf("a client that says nothing: %v after %v", err, time.Since(begun))
		}
		near, far := net.Pipe()
		go func() {
			_, _ = far.Read(make([]byte, 100))
			_, _ = far.Write([]byte("SSH-2.0-OpenSSH_9.2 or so\r\n"))
		}()
		if _, err := NewClient(t.Context(), near, ClientOptions{}); lonja.KindOf(err) != lonja.Malformed {
			t.Errorf("got %v, want Malformed", err)
		}
		near, far = net.Pipe()
		go func() { _, _ = far.Read(make([]byte, 100)) }()
		if _, err := NewClient(t.Context(), near, ClientOptions{}); lonja.KindOf(err) != lonja.Unavailable {
			t.Errorf("got %v, want Unavailable", err)
		}
	})
}

// TestSilence: a client that is silent is dropped, one that pings is not; a
// server that does not answer pings is given up.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{})
		time.Sleep(time.Hour) // synthetic
		s.echo(echoNow, "still there")
		s.close()

		p := play(t, ServerOptions{})
		begun := time.Now()
		if _, err := p.ended(); err == nil {
			t.Error("a silent client was not dropped")
		}
		if took := time.Since(begun); took < DefaultIdleTimeout*7/8 || took > DefaultIdleTimeout+lingering {
			t.Errorf("it was dropped after %v", took)
		}

		near, far := net.Pipe()
		defer far.Close()
		go func() {
			r := newReader(far, MaxAnswer, 0, 0)
			_, _ = far.Write(appendHello(nil, hello{1, 1, MaxRequest, 1, 1}))
			for { // reads, and says nothing
				if _, _, err := r.next(); err != nil {
					return
				}
			}
		}()
		c, err := NewClient(t.Context(), near, ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		_, err = c.Call(t.Context(), echoNow, nil)
		if lonja.KindOf(err) != lonja.Unavailable || errors.Is(err, ErrUnsent) {
			t.Errorf("got %v, want Unavailable, and not that it was unsent", err)
		}
		if took := time.Since(begun); took > DefaultPingEvery+DefaultPingTimeout {
			t.Errorf("it took %v", took)
		}
		<-c.Lost()
		if _, err := c.Call(t.Context(), echoNow, nil); !errors.Is(err, ErrUnsent) {
			t.Errorf("on a lost connection: got %v, want that it was unsent", err)
		}
		_ = c.Close()
	})
}

// TestSlowReaderIsDropped: a client that asks and does not read is held back, at
// a bounded cost, then dropped.
func TestSlowReaderIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, ServerOptions{})
		body := strings.Repeat("x", 64<<10)
		asked := make(chan int, 1)
		go func() {
			n := uint32(1)
			for ; ; n++ {
				if _, err := p.conn.Write(appendFrame(nil, header{kind: kindRequest, method: echoLater, request: n}, []byte(body))); err != nil {
					break
				}
			}
			asked <- int(n)
		}()
		begun := time.Now()
		err := <-p.served
		if !errors.Is(err, errSlow) && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "closed pipe") {
			t.Errorf("Serve: got %v", err)
		}
		if took := time.Since(begun); took > DefaultWriteTimeout+time.Second {
			t.Errorf("it took %v", took)
		}
		_ = p.conn.Close()
		p.stop()
		if n := <-asked; n > DefaultAtOnce*4 {
			t.Errorf("%d requests of 64 KiB were read of a client that reads nothing", n)
		}
	})
}

// TestConnectionLost: all that is under way fails.
func TestConnectionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{})
		results := make(chan error, 20)
		for range cap(results) / 2 {
			go func() {
				_, err := s.client.Call(t.Context(), waitForPeer, nil)
				results <- err
			}()
		}
		for range 5 {
			go func() { results <- s.client.Stream(t.Context(), quietStream, nil, func([]byte) error { return nil }) }()
		}
		synctest.Wait()
		_ = s.client.conn.Close()
		for range 15 {
			s.is(<-results, lonja.Unavailable)
		}
		<-s.client.Lost()
		<-s.client.Leaving()
		if s.client.Err() == nil {
			t.Error("no reason is given for the loss")
		}
		s.close()
	})
}

// TestGoAway: a server that stops answers what it has read, performs nothing
// more, and says so, so that it can be asked elsewhere.
func TestGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{})
		answered := make(chan error, 1)
		go func() {
			_, err := s.client.Call(t.Context(), waitForPeer, nil)
			answered <- err
		}()
		watched := make(chan error, 1)
		go func() {
			watched <- s.client.Stream(t.Context(), quietStream, nil, func([]byte) error { return nil })
		}()
		synctest.Wait()
		s.stop()
		<-s.client.Leaving()
		if _, err := s.client.Call(t.Context(), echoNow, nil); !errors.Is(err, ErrUnsent) {
			t.Errorf("got %v, want that it was unsent", err)
		}
		s.is(<-watched, lonja.Unavailable)
		close(s.service.let)
		if err := <-answered; err != nil {
			t.Errorf("what was under way: %v", err)
		}
		<-s.client.Lost() // when the last one is answered
		s.close()
	})
}

// TestGoAwayGivesUp: what takes longer than the server has is cancelled.
func TestGoAwayGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{})
		answered := make(chan error, 1)
		go func() {
			_, err := s.client.Call(t.Context(), waitForEnd, nil)
			answered <- err
		}()
		<-s.service.begun
		begun := time.Now()
		s.stop()
		s.is(<-answered, lonja.Canceled)
		if took := time.Since(begun); took != DefaultStopTimeout {
			t.Errorf("it took %v, want %v", took, DefaultStopTimeout)
		}
		s.close()
	})
}

// TestUnperformed: requests that cross a go away are told to be unsent.
func TestUnperformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			r := newReader(far, MaxAnswer, 0, 0)
			_, _ = far.Write(appendHello(nil, hello{1, 1, MaxRequest, 8, 1}))
			for range 3 { // the hello and two requests
				_, _, _ = r.next()
			}
			_, _ = far.Write(appendFrame(nil, header{kind: kindGoAway, request: 1}, []byte("bye")))
			_, _ = far.Write(appendFrame(nil, header{kind: kindAnswer, request: 1}, nil))
		}()
		c, err := NewClient(t.Context(), near, ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		first := make(chan error, 1)
		go func() {
			_, err := c.Call(t.Context(), echoNow, nil)
			first <- err
		}()
		synctest.Wait()
		if _, err := c.Call(t.Context(), echoNow, nil); !errors.Is(err, ErrUnsent) || !errors.Is(err, lonja.Unavailable) {
			t.Errorf("the second: got %v, want that it was unsent", err)
		}
		if err := <-first; err != nil {
			t.Errorf("the first: got %v", err)
		}
		_ = c.Close()
	})
}

// TestHostileServer: a server that breaks a rule costs its client the connection.
func TestHostileServer(t *testing.T) {
	for name, frames := range map[string][]byte{
		"an item for a call":        appendFrame(nil, header{kind: kindItem, request: 1}, nil),
		"a request":                 appendFrame(nil, header{kind: kindRequest, request: 1}, nil),
		"a second hello":            appendHello(nil, hello{}),
		"too long":                  appendHeader(nil, header{kind: kindAnswer, request: 1, length: MaxAnswer + 1}),
		"an end within a frame":     appendHeader(nil, header{kind: kindAnswer, request: 1, length: 5}),
		"an end after other frames": appendFrame(nil, header{kind: 99}, []byte("?")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				go func() {
					defer far.Close()
					r := newReader(far, MaxAnswer, 0, 0)
					_, _ = far.Write(appendHello(nil, hello{1, 1, MaxRequest, 8, 1}))
					_, _, _ = r.next()
					_, _, _ = r.next()
					_, _ = far.Write(frames)
				}()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				c, err := NewClient(ctx, near, ClientOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Call(ctx, echoNow, nil); lonja.KindOf(err) != lonja.Unavailable {
					t.Errorf("got %v, want Unavailable", err)
				}
				_ = c.Close()
			})
		})
	}
}

// TestFlood: more items than were asked for end the connection.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			r := newReader(far, MaxAnswer, 0, 0)
			_, _ = far.Write(appendHello(nil, hello{1, 1, MaxRequest, 8, 1}))
			_, _, _ = r.next()
			_, _, _ = r.next()
			for range 100 {
				if _, err := far.Write(appendFrame(nil, header{kind: kindItem, request: 1}, nil)); err != nil {
					return
				}
			}
		}()
		c, err := NewClient(t.Context(), near, ClientOptions{Window: 4})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Stream(t.Context(), count, nil, func([]byte) error {
			<-c.Lost()
			return nil
		})
		if lonja.KindOf(err) != lonja.Unavailable || !strings.Contains(err.Error(), "more items") {
			t.Errorf("got %v", err)
		}
		_ = c.Close()
	})
}
