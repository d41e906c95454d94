package frames

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lonja"
)

// seeds adds what each side says in the conversations.
func seeds(f *testing.F, fromClient bool) {
	t := new(testing.T)
	names, _ := filepath.Glob("testdata/*.txt")
	if len(names) == 0 {
		f.Fatal("no conversations")
	}
	for _, name := range names {
		if _, err := os.Stat(name); err != nil {
			f.Fatal(err)
		}
		var all []byte
		for _, l := range readConversation(t, name) {
			if l.fromClient == fromClient {
				all = append(all, l.bytes...)
			}
		}
		f.Add(all)
	}
}

// echoService is quick and does as little as a service can.
type echoService struct{}

func (echoService) Way(method uint16) Way { return Way(method % 4) }

func (echoService) Answer(_ context.Context, _ uint16, body, b []byte) ([]byte, error) {
	if len(body) > 0 && body[0] == 1 {
		return nil, lonja.Invalid
	}
	return append(b, body...), nil
}

func (echoService) Stream(_ context.Context, _ uint16, body []byte, send func([]byte) error) error {
	for range min(len(body), 8) {
		if err := send(body); err != nil {
			return err
		}
	}
	return nil
}

// FuzzServer: whatever a client says, the server ends with it, and nothing of it
// is left.
func FuzzServer(f *testing.F) {
	seeds(f, true)
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- Serve(t.Context(), far, echoService{}, ServerOptions{StreamPause: time.Millisecond}) }()
		go func() {
			_, _ = near.Write(b)
			_ = near.Close()
		}()
		discard(near)
		<-served
	})
}

func discard(conn net.Conn) {
	b := make([]byte, 4096)
	for {
		if _, err := conn.Read(b); err != nil {
			return
		}
	}
}

// FuzzClient: whatever a server says, its client's calls end, with an answer or
// an error that has a kind.
func FuzzClient(f *testing.F) {
	seeds(f, false)
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		go discard(far)
		go func() {
			_, _ = far.Write(b)
			_ = far.Close()
		}()
		c, err := NewClient(t.Context(), near, ClientOptions{})
		if err != nil {
			if kind := lonja.KindOf(err); kind != lonja.Unavailable && kind != lonja.Malformed {
				t.Errorf("got %v", err)
			}
			return
		}
		defer c.Close()
		_, _ = c.Call(t.Context(), 1, []byte("x"))
		_ = c.Stream(t.Context(), 2, nil, func([]byte) error { return nil })
		<-c.Lost()
	})
}

// FuzzHello: what is read as a hello makes the same bytes again.
func FuzzHello(f *testing.F) {
	f.Add(appendHello(nil, hello{1, 2, 3, 4, 5})[headerSize:])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		again := appendHello(nil, h)[headerSize:]
		again[7] = b[7] // not looked at
		if !bytes.Equal(again, b[:helloSize]) {
			t.Errorf("got %x, want %x", again, b[:helloSize])
		}
	})
}
