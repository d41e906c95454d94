package datetime

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener accepts the far ends of net.Pipe connections, which the
// synthetic clock understands.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

// inBubble serves in memory, with a synthetic clock, while test runs.
func inBubble(t *testing.T, options ServiceOptions, test func(t *testing.T, l *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- NewService(options).Serve(ctx, l) }()
		test(t, l)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
	})
}

func request() string {
	body := string(ourQuestion())
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// status sends text and returns the status of the answer.
func status(t *testing.T, conn net.Conn, text string) int {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// Who sends nothing, or stops sending, is let go after exactly that long.
func TestServiceTimeLimits(t *testing.T) {
	tests := []struct {
		name, sent string
		answered   bool // the sent text is a whole question
		limit      time.Duration
	}{
		{"silent", "", false, headerTimeout},
		{"in the header", "POST / HTTP/1.1\r\nHo", false, headerTimeout},
		{"in the body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", false, readTimeout},
		{"between questions", request(), true, idleTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, ServiceOptions{}, func(t *testing.T, l *pipeListener) {
				conn := l.dial()
				defer conn.Close()
				if tt.answered {
					if got := status(t, conn, tt.sent); got != 200 {
						t.Fatalf("status: got %d, want 200", got)
					}
				} else if _, err := io.WriteString(conn, tt.sent); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				_, _ = io.Copy(io.Discard, conn) // a fault, perhaps, then the end
				// net/http lingers half a second after a body it has not
				// read to its end.
				if took := time.Since(begin); took < tt.limit || took > tt.limit+time.Second {
					t.Errorf("let go after %v, want %v", took, tt.limit)
				}
			})
		})
	}
}

// Beyond the bound a connection waits, and is served once another one ends.
func TestServiceBoundsConnections(t *testing.T) {
	const bound = 3
	inBubble(t, ServiceOptions{MaxConns: bound}, func(t *testing.T, l *pipeListener) {
		var open []net.Conn
		for range bound {
			conn := l.dial()
			defer conn.Close()
			if got := status(t, conn, request()); got != 200 {
				t.Fatalf("status: got %d, want 200", got)
			}
			open = append(open, conn)
		}
		served := make(chan int)
		go func() {
			conn := l.dial()
			defer conn.Close()
			served <- status(t, conn, request())
		}()
		synctest.Wait()
		select {
		case got := <-served:
			t.Errorf("connection %d was served (status %d) beside %d others", bound+1, got, bound)
			return
		default:
		}
		open[0].Close()
		if got := <-served; got != 200 {
			t.Errorf("status once another connection ended: got %d, want 200", got)
		}
	})
}

// A service whose connections are all taken ends nevertheless.
func TestServeStopsAtTheBound(t *testing.T) {
	inBubble(t, ServiceOptions{MaxConns: 1}, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		t.Cleanup(func() { conn.Close() })
		if got := status(t, conn, request()); got != 200 {
			t.Fatalf("status: got %d, want 200", got)
		}
		synctest.Wait() // now the accepting goroutine waits for a slot
	})
}
