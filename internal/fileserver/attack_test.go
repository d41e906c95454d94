package fileserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fileapi"
	"lonja/internal/tlstest"
)

func readResponse(t testing.TB, conn net.Conn) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("read an answer: %v", err)
	}
	return resp
}

// wantClosed fails unless the other side closes conn; what comes before is read.
func wantClosed(t testing.TB, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
}

// endless writes b again and again until the other side has had enough.
func endless(conn net.Conn, b string) {
	for {
		if _, err := io.WriteString(conn, b); err != nil {
			return
		}
	}
}

func TestHugeRequests(t *testing.T) {
	r := start(t, Options{RequestTimeout: time.Second})
	id := r.shelf.add(t, content(100))
	path := fileapi.Path(id)
	cases := map[string]struct{ head, more string }{
		"endless header line":  {"GET " + path + " HTTP/1.1\r\nHost: x\r\nX: ", strings.Repeat("a", 1000)},
		"endless header lines": {"GET " + path + " HTTP/1.1\r\nHost: x\r\n", "X: a\r\n"},
		"endless path":         {"GET /", strings.Repeat("a", 1000)},
		"endless body":         {"GET " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000000000000\r\n\r\n", strings.Repeat("a", 1000)},
		"endless chunks":       {"GET " + path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"},
		"endless post":         {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"},
		"no HTTP":              {"", "\x00\xff\x16\x03"},
	}
	t.Run("all at once", func(t *testing.T) {
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				conn := r.dial(t, "ana")
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = io.WriteString(conn, tc.head)
					endless(conn, tc.more)
				}()
				wantClosed(t, conn)
				_ = conn.Close()
				<-done
			})
		}
	})
	if resp, body := r.ask(t, r.client(t, "ana"), "GET", path); resp.StatusCode != 200 || len(body) != 100 {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

// Whoever connects and does not speak, or not to the end, is let go.
func TestSlowRequests(t *testing.T) {
	r := start(t, Options{RequestTimeout: time.Second, IdleTimeout: time.Second})
	id := r.shelf.add(t, content(100))
	for name, begin := range map[string]func() net.Conn{
		"no handshake": func() net.Conn {
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			return conn
		},
		"half a handshake": func() net.Conn {
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write([]byte{0x16, 3, 1, 2, 0, 1})
			return conn
		},
		"no request": func() net.Conn { return r.dial(t, "ana") },
		"half a request": func() net.Conn {
			conn := r.dial(t, "ana")
			_, _ = io.WriteString(conn, "GET "+fileapi.Path(id)+" HTTP/1.1\r\nHos")
			return conn
		},
		"no second request": func() net.Conn {
			conn := r.dial(t, "ana")
			_, _ = io.WriteString(conn, "GET "+fileapi.Path(id)+" HTTP/1.1\r\nHost: x\r\n\r\n")
			return conn
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := begin()
			defer conn.Close()
			wantClosed(t, conn)
		})
	}
}

// A receiver that takes nothing is let go: Serve, which would wait for it much
// longer, has nothing to wait for.
func TestStalledReceiver(t *testing.T) {
	closed := make(chan struct{})
	r := start(t, Options{StallTimeout: 200 * time.Millisecond, Grace: time.Hour})
	id := r.shelf.add(t, content(64<<20))
	conn := r.dial(t, "ana")
	if _, err := io.WriteString(conn, "GET "+fileapi.Path(id)+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if resp := readResponse(t, conn); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	go func() {
		defer close(closed)
		r.end()
		_ = r.wait()
	}()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("the transfer goes on")
	}
	if n, err := io.Copy(io.Discard, conn); err == nil || n == 64<<20 {
		t.Errorf("%d bytes came (%v)", n, err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	r := start(t, Options{MaxConns: 3, MaxPerMember: 2})
	path := fileapi.Path(r.shelf.add(t, content(10)))
	get := "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"
	request := func(conn net.Conn) int {
		if _, err := io.WriteString(conn, get); err != nil {
			t.Fatal(err)
		}
		resp := readResponse(t, conn)
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	first, second, third := r.dial(t, "ana"), r.dial(t, "ana"), r.dial(t, "ana")
	for i, want := range []int{200, 200, 200} {
		if got := request([]net.Conn{first, second, first}[i]); got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
	if got := request(third); got != 503 {
		t.Errorf("the third connection of a member: %d, want 503", got)
	}
	wantClosed(t, third)
	eve, luis := r.dial(t, "eve"), r.dial(t, "luis")
	if got := request(eve); got != 200 {
		t.Errorf("the last place: %d, want 200", got)
	}
	if got := request(luis); got != 503 {
		t.Errorf("the fourth connection: %d, want 503", got)
	}
	wantClosed(t, luis)
	served := func(user lonja.UserName) func() bool {
		return func() bool {
			conn, err := tls.Dial("tcp", r.addr, r.ca.Config(t, user))
			if err != nil {
				return false
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, get); err != nil {
				return false
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			return err == nil && resp.StatusCode == 200
		}
	}
	_ = eve.Close()
	eventually(t, "luis is served", served("luis"))
	_ = first.Close()
	eventually(t, "ana has a place again", served("ana"))
}

// Whoever connects and does not come to ask for anything keeps no member out.
func TestCrowdOfStrangers(t *testing.T) {
	for name, come := range map[string]func(*rig) net.Conn{
		"silent": func(r *rig) net.Conn { return r.plain(t, 1) },
		"half a handshake": func(r *rig) net.Conn {
			conn := r.plain(t, 1)
			_, _ = conn.Write([]byte{0x16, 3, 1, 2, 0, 1})
			return conn
		},
		"a handshake, and no request": func(r *rig) net.Conn { return r.dial(t, "eve") },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Options{MaxConns: 8, MaxStrangers: 4, RequestTimeout: time.Hour, IdleTimeout: time.Hour})
			path := fileapi.Path(r.shelf.add(t, content(10)))
			busy := r.client(t, "ana")
			if resp, _ := r.ask(t, busy, "GET", path); resp.StatusCode != 200 {
				t.Errorf("before: %s", resp.Status)
			}
			crowd := make([]net.Conn, 20)
			for i := range crowd {
				crowd[i] = come(r)
				if i%5 != 0 {
					continue
				}
				if resp, _ := r.ask(t, r.client(t, "luis"), "GET", path); resp.StatusCode != 200 {
					t.Errorf("after %d: %s", i, resp.Status)
				}
			}
			for _, conn := range crowd[:len(crowd)-4] {
				wantClosed(t, conn)
			}
			if resp, _ := r.ask(t, busy, "GET", path); resp.StatusCode != 200 {
				t.Errorf("a connection from before: %s", resp.Status)
			}
		})
	}
}

// One address does not take all the places of those who have not asked yet.
func TestStrangersOfOneAddress(t *testing.T) {
	r := start(t, Options{MaxStrangers: 20, StrangersPerAddress: 3, Loopback: true, RequestTimeout: time.Hour})
	early := r.plain(t, 2)
	for range 3 {
		r.plain(t, 1)
	}
	for range 30 {
		wantClosed(t, r.plain(t, 1))
	}
	late := tls.Client(early, r.ca.Config(t, "ana"))
	_ = late.SetDeadline(time.Now().Add(20 * time.Second))
	if err := late.Handshake(); err != nil {
		t.Errorf("who came first, from another address: %v", err)
	}
}

// plain returns a connection from an address of this machine, without TLS.
func (r *rig) plain(t testing.TB, from byte) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
	conn, err := dialer.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never happens that %s", what)
		}
	}
}

// Whoever is no member, or none any more, gets nothing.
func TestStrangers(t *testing.T) {
	var gone error
	r := start(t, Options{Who: func(state *tls.ConnectionState) (lonja.Member, error) {
		m, err := tlstest.Who(state)
		return m, errors.Join(err, gone)
	}})
	path := fileapi.Path(r.shelf.add(t, content(10)))
	conn := r.dial(t, "ana")
	ask := func() *http.Response {
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp := readResponse(t, conn)
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp
	}
	if resp := ask(); resp.StatusCode != 200 {
		t.Errorf("a member: %s", resp.Status)
	}
	gone = errors.New("revoked")
	if resp := ask(); resp.StatusCode != 403 {
		t.Errorf("none any more: %s", resp.Status)
	}
	wantClosed(t, conn)

	other := tlstest.New(t).Config(t, "ana")
	other.InsecureSkipVerify = true
	if conn, err := tls.Dial("tcp", r.addr, other); err == nil {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a certificate of another authority is taken")
		}
		_ = conn.Close()
	}
	plain, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_, _ = io.WriteString(plain, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = plain.SetReadDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(plain); strings.Contains(string(b), " 200 ") || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("without TLS: %q (%v)", b, err)
	}
}

// A file that has changed is not sent as what it was: not begun, and not gone on
// with.
func TestFileThatChanges(t *testing.T) {
	r := start(t, Options{})
	id := r.shelf.add(t, content(64<<20))
	client := r.client(t, "ana")
	resp, err := client.Get("https://" + r.addr + fileapi.Path(id))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := os.Chtimes(r.shelf.paths[id], time.Time{}, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("all %d bytes came of a file that changed", n)
	}
	for cause, want := range map[error]int{
		lonja.E(lonja.Conflict, "open", nil):                          409,
		lonja.E(lonja.LocalFile, "open", errors.New("secret reason")): 500,
		errors.New("secret reason"):                                   500,
	} {
		r.shelf.mu.Lock()
		r.shelf.fail = cause
		r.shelf.mu.Unlock()
		if resp, body := r.ask(t, client, "GET", fileapi.Path(id)); resp.StatusCode != want || strings.Contains(string(body), "secret") {
			t.Errorf("%v: %s %q, want %d", cause, resp.Status, body, want)
		}
	}
	r.shelf.fail = nil
	r.shelf.sizes[id]--
	for part := range fileapi.Have + 1 {
		if resp, _ := r.ask(t, client, "GET", part.Path(id)); resp.StatusCode != 409 {
			t.Errorf("%s: another size than it had: %s, want 409", part.Path(id), resp.Status)
		}
	}
}

// A transfer that is under way when the server is told to end has Grace to end,
// and no more; Serve returns when nothing is left.
func TestShutdown(t *testing.T) {
	for name, tc := range map[string]struct {
		grace time.Duration
		whole bool
	}{"in time": {20 * time.Second, true}, "too slow": {50 * time.Millisecond, false}} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Options{Grace: tc.grace})
			id := r.shelf.add(t, content(64<<20))
			idle := r.dial(t, "luis")
			resp, err := r.client(t, "ana").Get("https://" + r.addr + fileapi.Path(id))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			r.end()
			if !tc.whole {
				if err := r.wait(); err != nil {
					t.Errorf("Serve: %v", err)
				}
			}
			n, err := io.Copy(io.Discard, resp.Body)
			if whole := err == nil && n == 64<<20; whole != tc.whole {
				t.Errorf("%d bytes came (%v)", n, err)
			}
			wantClosed(t, idle)
		})
	}
}

func TestServeOnAListenerThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	err = New(Options{Files: &shelf{}, Who: tlstest.Who}).Serve(context.Background(), l)
	if !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
}
