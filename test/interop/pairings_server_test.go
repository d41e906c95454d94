//go:build interop

package interop_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Their clients at our directory.

func TestPairingServerWithPythonClient(t *testing.T) {
	for _, s := range sendings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			server, at := startServer(t)
			client := pythonClient{options: append([]string{"--datetime", "23/11/2026 05:54:17"}, s.options...)}
			walkOperations(t, func(t *testing.T, operation, user string, fields ...string) answer {
				return client.ask(t, at, operation, user, fields...)
			})
			server.waitLine(`^s> OPERATION REGISTER FROM ana AT 23/11/2026 05:54:17$`)
			server.waitLine(`^s> OPERATION GET_MULTIFILE FROM eva AT 23/11/2026 05:54:17$`)
			if status := server.stop(); status != 0 {
				t.Errorf("the directory ended with status %d", status)
			}
		})
	}
}

// Every operation with a request that is whole, and its status for any other
// error. The user is none, so that a whole request has another status.
var wholeRequests = []struct {
	operation string
	fields    []string
	whole     int
	other     int
}{
	{"REGISTER", nil, 0, 2},
	{"UNREGISTER", nil, 0, 2},
	{"CONNECT", []string{"5001"}, 1, 3},
	{"DISCONNECT", nil, 1, 3},
	{"PUBLISH", []string{"/a", "d"}, 1, 4},
	{"DELETE", []string{"/a"}, 1, 4},
	{"LIST_USERS", nil, 1, 3},
	{"LIST_CONTENT", []string{"ana"}, 1, 4},
}

// A request that ends early is answered with the last status of its operation.
func TestPairingServerWithRequestsCutShort(t *testing.T) {
	const datetime = "23/11/2026 05:54:17"
	_, at := startServer(t)
	for _, r := range wholeRequests {
		length := len(wireStrings(append([]string{r.operation, datetime, "ana"}, r.fields...)...))
		for _, tc := range []struct {
			name      string
			cut, want int
		}{
			{"before the operation's NUL", len(r.operation), 2},
			{"behind the operation", len(r.operation) + 1, r.other},
			{"before the date-time's NUL", len(r.operation) + 1 + len(datetime), r.other},
			{"before its last NUL", length - 1, r.other},
			{"at its end", length, r.whole},
		} {
			client := pythonClient{options: []string{"--datetime", datetime, "--cut", itoa(tc.cut)}}
			if got := client.ask(t, at, r.operation, "ana", r.fields...); got.Status != tc.want {
				t.Errorf("%s cut %s: status %d, want %d (%s)", r.operation, tc.name, got.Status, tc.want, got.Error)
			}
		}
	}
	client := pythonClient{options: []string{"--cut", "0"}}
	if got := client.ask(t, at, "REGISTER", "ana"); got.Status != 2 {
		t.Errorf("nothing at all: status %d, want 2", got.Status)
	}
}

// A directory takes whatever stands for the date-time, up to its limit.
func TestPairingServerWithAnyDateTime(t *testing.T) {
	server, at := startServer(t)
	for i, tc := range []struct {
		datetime string
		want     int
	}{
		{"", 0}, {"yesterday, ñ", 0}, {long(63), 0}, {long(64), 2},
	} {
		user := "user" + itoa(i)
		client := pythonClient{options: []string{"--datetime", tc.datetime}}
		if got := client.ask(t, at, "REGISTER", user); got.Status != tc.want {
			t.Errorf("date-time %q: status %d, want %d", tc.datetime, got.Status, tc.want)
		}
		if tc.want == 0 {
			server.waitLine("^s> OPERATION REGISTER FROM " + user + " AT " + tc.datetime + "$")
		}
	}
}

func TestPairingServerOverIPv6(t *testing.T) {
	_, at := startServer(t, "--host", "::1")
	var client pythonClient
	for _, words := range [][]string{{"REGISTER", "ana"}, {"CONNECT", "ana", "5001"}} {
		if got := client.ask(t, at, words[0], words[1], words[2:]...); got.Status != 0 {
			t.Fatalf("%q: status %d", words, got.Status)
		}
	}
	want := [][]string{{"ana", "::1", "5001"}}
	if got := client.ask(t, at, "LIST_USERS", "ana"); !sameEntries("LIST_USERS", got.Entries, want) {
		t.Errorf("LIST_USERS: %q, want %q", got.Entries, want)
	}
}

// A slowClient sends a REGISTER byte by byte, and waits in the middle of it
// until it is told to go on.
type slowClient struct {
	conn net.Conn
	rest string // of the request
}

func startSlowClient(t *testing.T, at netip.AddrPort, user string) slowClient {
	t.Helper()
	conn, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	request := wireStrings("REGISTER", "23/11/2026 05:54:17", user)
	half := len(request) / 2
	sendByteByByte(t, conn, request[:half])
	return slowClient{conn, request[half:]}
}

func sendByteByByte(t *testing.T, conn net.Conn, data string) {
	t.Helper()
	for i := range len(data) {
		if _, err := io.WriteString(conn, data[i:i+1]); err != nil {
			t.Errorf("send byte %d of %q: %v", i, data, err)
			return
		}
	}
}

// finish sends the rest and returns the whole answer.
func (c slowClient) finish(t *testing.T) string {
	t.Helper()
	sendByteByByte(t, c.conn, c.rest)
	return c.answer(t)
}

// giveUp ends the request where it is and returns the whole answer.
func (c slowClient) giveUp(t *testing.T) string {
	t.Helper()
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Error(err)
	}
	return c.answer(t)
}

func (c slowClient) answer(t *testing.T) string {
	t.Helper()
	got, err := io.ReadAll(c.conn)
	if err != nil {
		t.Errorf("a slow client gets %q and %v", got, err)
	}
	return string(got)
}

// Clients that are slow over their requests hold nobody up, and have their
// answers in the end.
func TestPairingServerWithManySlowClients(t *testing.T) {
	const many = 200
	_, at := startServer(t, "--request-timeout", (2 * patience).String())
	slow := make([]slowClient, many)
	for i := range slow {
		slow[i] = startSlowClient(t, at, fmt.Sprintf("slow%d", i))
	}
	client := pythonClient{options: []string{byteByByte}}
	walkOperations(t, func(t *testing.T, operation, user string, fields ...string) answer {
		return client.ask(t, at, operation, user, fields...)
	})
	for i, c := range slow {
		if i%2 == 0 {
			if got := c.finish(t); got != "\x00" {
				t.Errorf("slow client %d gets %q, want status 0", i, got)
			}
		} else if got := c.giveUp(t); got != "\x02" {
			t.Errorf("slow client %d, which gave up, gets %q, want status 2", i, got)
		}
	}
	for i, want := range []int{1, 0} {
		if got := client.ask(t, at, "REGISTER", fmt.Sprintf("slow%d", i)); got.Status != want {
			t.Errorf("REGISTER slow%d: status %d, want %d", i, got.Status, want)
		}
	}
}

// A client that says nothing more is told so: those that are there already
// take an empty answer for done.
func TestPairingServerWithSilentClient(t *testing.T) {
	_, at := startServer(t, "--request-timeout", "200ms")
	c := startSlowClient(t, at, "silent")
	if got := c.answer(t); got != "\x02" {
		t.Errorf("a silent client gets %q, want status 2", got)
	}
}

// Past the bound clients wait, and are served; a stop finishes those that were
// accepted.
func TestPairingServerWithMoreClientsThanItServes(t *testing.T) {
	server, at := startServer(t, "--max-connections", "2", "--request-timeout", patience.String())
	first, second := startSlowClient(t, at, "first"), startSlowClient(t, at, "second")
	third := startSlowClient(t, at, "third")
	sendByteByByte(t, third.conn, third.rest)
	for name, c := range map[string]slowClient{"first": first, "second": second} {
		if got := c.finish(t); got != "\x00" {
			t.Errorf("the %s client gets %q, want status 0", name, got)
		}
	}
	if got := third.answer(t); got != "\x00" {
		t.Errorf("the client that waited gets %q, want status 0", got)
	}
	last := startSlowClient(t, at, strings.Repeat("l", 20))
	server.signal(syscall.SIGTERM)
	if got := last.finish(t); got != "\x00" {
		t.Errorf("the client that was there at the end gets %q, want status 0", got)
	}
	if status := server.wait(); status != 0 {
		t.Errorf("the directory ended with status %d", status)
	}
}
