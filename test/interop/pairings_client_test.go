//go:build interop

package interop_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// Our client at their directories, and at directories that fail it.

// A line is one command typed to our client, and what it shows, without the
// prompt before its result.
type line struct {
	elsewhere [][]string // what others ask of the directory before it
	typed     string
	shown     string
}

// The lines build on each other. PEER is the port of luís, whose peer is
// Python's and serves LUIS/one.txt; PATH is the client's folder, which has
// one.txt, of the same content, and two.txt.
var consoleLines = []line{
	{typed: "register ana", shown: "REGISTER OK"},
	{typed: "register ana", shown: "USERNAME IN USE"},
	{typed: "register luís", shown: "REGISTER OK"},
	{typed: "register eva", shown: "REGISTER OK"},
	{typed: "unregister eva", shown: "UNREGISTER OK"},
	{typed: "unregister eva", shown: "USER DOES NOT EXIST"},
	{typed: "connect eva", shown: "CONNECT FAIL, USER DOES NOT EXIST"},
	{typed: "disconnect eva", shown: "DISCONNECT FAIL , USER DOES NOT EXIST"},
	{typed: "disconnect ana", shown: "DISCONNECT FAIL , USER NOT CONNECTED"},

	{typed: "publish one.txt a poem", shown: "PUBLISH FAIL, USER NOT CONNECTED"},
	{typed: "delete one.txt", shown: "DELETE FAIL, USER NOT CONNECTED"},
	{typed: "list_users", shown: "LIST_USERS FAIL, USER NOT CONNECTED"},
	{typed: "list_content ana", shown: "LIST_CONTENT FAIL, USER NOT CONNECTED"},
	{typed: "get_file luís /x x", shown: "GET_FILE FAIL, USER NOT CONNECTED"},
	{typed: "get_multifile x x", shown: "GET_MULTIFILE FAIL, USER NOT CONNECTED"},

	{
		elsewhere: [][]string{{"CONNECT", "luís", "PEER"}, {"PUBLISH", "luís", "LUIS/one.txt", "a poem"}},
		typed:     "connect luís", shown: "USER ALREADY CONNECTED",
	},
	{typed: "connect ana", shown: "CONNECT OK"},
	{typed: "connect ana", shown: "CONNECT FAIL, USER ALREADY CONNECTED"},
	{typed: "list_users", shown: "LIST_USERS OK\n\tUSER0: luís\t127.0.0.1\tPORT\n\tUSER1: ana \t127.0.0.1\tPORT"},

	{typed: "publish one.txt a poem, ñ", shown: "PUBLISH OK"},
	{typed: "publish PATH/one.txt again", shown: "PUBLISH FAIL, CONTENT ALREADY PUBLISHED"},
	{typed: "publish two.txt x", shown: "PUBLISH OK"},
	{typed: "delete three.txt", shown: "DELETE FAIL, CONTENT NOT PUBLISHED"},
	{typed: "list_content ana", shown: "LIST_CONTENT OK\n\tFILE0: PATH/two.txt\n\tFILE1: PATH/one.txt"},
	{typed: "list_content luís", shown: "LIST_CONTENT OK\n\tFILE0: LUIS/one.txt"},
	{typed: "list_content eva", shown: "LIST_CONTENT FAIL, REMOTE USER DOES NOT EXIST"},

	{typed: "get_file luís LUIS/one.txt whole.txt", shown: "GET_FILE OK"},
	{typed: "get_file luís LUIS/two.txt x", shown: "GET_FILE FAIL, FILE DOES NOT EXIST"},
	{typed: "get_file eva LUIS/one.txt x", shown: "GET_FILE FAIL, USER eva NOT FOUND"},
	{typed: "get_multifile one.txt slices.txt", shown: "GET_MULTIFILE OK"},
	{typed: "get_multifile three.txt x", shown: "GET_MULTIFILE FAIL, NO USER CONNECTED HAVE FILE"},

	{typed: "delete two.txt", shown: "DELETE OK"},
	{typed: "list_content ana", shown: "LIST_CONTENT OK\n\tFILE0: PATH/one.txt"},
	{typed: "disconnect ana", shown: "DISCONNECT OK"},
	{typed: "list_users", shown: "LIST_USERS FAIL, USER NOT CONNECTED"},
	{typed: "connect ana", shown: "CONNECT OK"},

	// The directory has forgotten that ana is connected.
	{
		elsewhere: [][]string{{"DISCONNECT", "ana"}},
		typed:     "publish two.txt x", shown: "PUBLISH FAIL, USER NOT CONNECTED",
	},
	{typed: "delete one.txt", shown: "DELETE FAIL, USER NOT CONNECTED"},
	{typed: "list_users", shown: "LIST_USERS FAIL, USER NOT CONNECTED"},
	{typed: "list_content ana", shown: "LIST_CONTENT FAIL, USER NOT CONNECTED"},
	{typed: "get_file luís LUIS/one.txt x", shown: "GET_FILE FAIL, USER NOT CONNECTED"},
	{typed: "get_multifile one.txt x", shown: "GET_MULTIFILE FAIL"},

	// It has even forgotten her.
	{
		elsewhere: [][]string{{"UNREGISTER", "ana"}},
		typed:     "publish two.txt x", shown: "PUBLISH FAIL, USER DOES NOT EXIST",
	},
	{typed: "delete one.txt", shown: "DELETE FAIL, USER DOES NOT EXIST"},
	{typed: "list_users", shown: "LIST_USERS FAIL, USER DOES NOT EXIST"},
	{typed: "list_content ana", shown: "LIST_CONTENT FAIL, USER DOES NOT EXIST"},
	{typed: "get_file luís LUIS/one.txt x", shown: "GET_FILE FAIL"},
	{typed: "get_multifile one.txt x", shown: "GET_MULTIFILE FAIL"},
	{typed: "disconnect ana", shown: "DISCONNECT FAIL , USER DOES NOT EXIST"},

	{typed: "register ana", shown: "REGISTER OK"},
	{typed: "connect ana", shown: "CONNECT OK"},
}

func TestPairingClientWithPythonDirectory(t *testing.T) {
	for _, s := range sendings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			content := patternOf(2001)
			theirs := fileOf(t, "one.txt", content)
			_, peer := startPythonPeer(t, nil, append([]string{"--file", theirs}, s.options...)...)
			directory, at := startPythonDirectory(t, nil, s.options...)
			client := pythonClient{options: s.options}
			c := startConsole(t, at)
			c.write(t, "one.txt", content)
			c.write(t, "two.txt", content)

			// The client's own folder is PATH in what it shows already.
			shown := strings.NewReplacer("LUIS/one.txt", theirs, "LUIS", "/elsewhere")
			said := strings.NewReplacer("LUIS/one.txt", theirs, "LUIS", "/elsewhere", "PATH", c.dir, "PEER", portOf(peer))
			var transcript strings.Builder
			for _, l := range consoleLines {
				for _, words := range l.elsewhere {
					words = strings.Split(said.Replace(strings.Join(words, "\x00")), "\x00")
					if got := client.ask(t, at, words[0], words[1], words[2:]...); got.Status != 0 {
						t.Fatalf("%q elsewhere: status %d", words, got.Status)
					}
				}
				result := shown.Replace(l.shown)
				c.must(t, said.Replace(l.typed), result)
				transcript.WriteString(prompt + prompt + result + "\n")
			}
			transcript.WriteString(prompt + "\n+++ FINISHED +++\n")
			if got := c.quit(t); got != transcript.String() {
				t.Errorf("the transcript is\n%s\nwant\n%s", got, transcript.String())
			}
			folderMustHave(t, c.dir, map[string][]byte{
				"one.txt": content, "two.txt": content, "whole.txt": content, "slices.txt": content,
			})

			// QUIT has disconnected ana. Without a date-time service no time is known.
			want := [][]string{{"luís", "127.0.0.1", portOf(peer)}}
			if got := client.ask(t, at, "LIST_USERS", "luís"); !sameEntries("LIST_USERS", got.Entries, want) {
				t.Errorf("after QUIT these users are connected: %q, want %q", got.Entries, want)
			}
			directory.waitLine(`^s> OPERATION REGISTER FROM ana AT 00/00/0000 00:00:00$`)
			directory.waitLine(`^s> OPERATION DISCONNECT FROM ana AT 00/00/0000 00:00:00$`)
		})
	}
}

// A failingDirectory treats every connection as it was last told to.
type failingDirectory struct {
	at net.Listener

	mu    sync.Mutex
	treat func(conn *net.TCPConn)
}

func startFailingDirectory(t *testing.T) *failingDirectory {
	t.Helper()
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &failingDirectory{at: at}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := at.Accept()
			if err != nil {
				return // closed at the end of the test
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			d.mu.Lock()
			treat := d.treat
			d.mu.Unlock()
			treat(conn.(*net.TCPConn))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = at.Close()
		<-ended
	})
	return d
}

func (d *failingDirectory) addr() netip.AddrPort {
	return d.at.Addr().(*net.TCPAddr).AddrPort()
}

func (d *failingDirectory) from(treat func(conn *net.TCPConn)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.treat = treat
}

// fieldsBehind is how many strings follow the operation in a request.
var fieldsBehind = map[string]int{
	"REGISTER": 2, "UNREGISTER": 2, "CONNECT": 3, "DISCONNECT": 2, "PUBLISH": 4, "DELETE": 3,
	"LIST_USERS": 2, "LIST_CONTENT": 3, "GET_MULTIFILE": 3,
}

// answering reads all of the request and answers with these bytes.
func answering(bytes string) func(conn *net.TCPConn) {
	return func(conn *net.TCPConn) {
		request := bufio.NewReader(conn)
		operation, _ := request.ReadString(0)
		for range fieldsBehind[strings.TrimSuffix(operation, "\x00")] {
			_, _ = request.ReadString(0)
		}
		_, _ = conn.Write([]byte(bytes))
	}
}

// resetting reads all of the request, sends these bytes and breaks the
// connection.
func resetting(bytes string) func(conn *net.TCPConn) {
	return func(conn *net.TCPConn) {
		answering(bytes)(conn)
		_ = conn.SetLinger(0)
	}
}

// hangingUp reads nothing.
func hangingUp(*net.TCPConn) {}

// A directory that closes without a status has not done what it was asked:
// other clients take that for 0.
func TestPairingClientWithFailingDirectory(t *testing.T) {
	for name, fails := range map[string]func(*net.TCPConn){
		"closes without a status":       answering(""),
		"closes without having read":    hangingUp,
		"resets without a status":       resetting(""),
		"answers a status of its own":   answering("\x4d"),
		"answers a status and a list":   answering("\x4d1\x00ana\x00127.0.0.1\x005001\x00"),
		"answers the largest status":    answering("\xff"),
		"answers a digit for a status":  answering("0"),
		"answers in words":              answering("OK\x00"),
		"answers and resets":            resetting("\x4d"),
		"answers without having read":   func(conn *net.TCPConn) { _, _ = conn.Write([]byte("\x4d")) },
		"ends its half and reads on":    func(conn *net.TCPConn) { _ = conn.CloseWrite(); answering("")(conn) },
		"closes after a part of a read": func(conn *net.TCPConn) { _, _ = conn.Read(make([]byte, 3)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startFailingDirectory(t)
			c := startConsole(t, d.addr())
			c.write(t, "one.txt", []byte("one"))
			d.from(fails)
			c.must(t, "register ana", "REGISTER FAIL")
			c.must(t, "unregister ana", "UNREGISTER FAIL")
			c.must(t, "connect ana", "CONNECT FAIL")
			c.must(t, "disconnect ana", "DISCONNECT FAIL")
			d.from(answering("\x00"))
			c.must(t, "connect ana", "CONNECT OK")
			d.from(fails)
			c.must(t, "publish one.txt x", "PUBLISH FAIL")
			c.must(t, "delete one.txt", "DELETE FAIL")
			c.must(t, "list_users", "LIST_USERS FAIL")
			c.must(t, "list_content ana", "LIST_CONTENT FAIL")
			c.must(t, "get_file ana /x got", "GET_FILE FAIL")
			c.must(t, "get_multifile x got", "GET_MULTIFILE FAIL")
			c.must(t, "disconnect ana", "DISCONNECT FAIL")
			c.must(t, "list_users", "LIST_USERS FAIL, USER NOT CONNECTED")
			c.quit(t)
			folderMustHave(t, c.dir, map[string][]byte{"one.txt": []byte("one")})
		})
	}
}

// Half a list is none.
func TestPairingClientWithListsCutShort(t *testing.T) {
	d := startFailingDirectory(t)
	c := startConsole(t, d.addr())
	d.from(answering("\x00"))
	c.must(t, "connect ana", "CONNECT OK")
	for _, answer := range []string{
		"\x00", "\x003", "\x003\x00", "\x009\x00ana\x00", "\x009\x00ana\x00127.0.0.1\x00",
		"\x009\x00ana\x00127.0.0.1\x005001\x00", "\x00-1\x00", "\x0099999999999999999999\x00", "\x00x\x00",
		"\x00\xff127.0.0.1\x005001\x00/x\x00", "\x00\x01127.0.0.1\x005001\x00/x", "\x00\x01nowhere\x005001\x00/x\x00",
	} {
		for name, fails := range map[string]func(*net.TCPConn){
			"closed": answering(answer), "reset": resetting(answer),
		} {
			t.Run(fmt.Sprintf("%q, then %s", answer, name), func(t *testing.T) {
				d.from(fails)
				c.must(t, "list_users", "LIST_USERS FAIL")
				c.must(t, "list_content ana", "LIST_CONTENT FAIL")
				c.must(t, "get_file ana /x got", "GET_FILE FAIL")
				c.must(t, "get_multifile x got", "GET_MULTIFILE FAIL")
			})
		}
	}
	// Status 0 and no holder says what status 1 does.
	d.from(answering("\x00\x00"))
	c.must(t, "get_multifile x got", "GET_MULTIFILE FAIL, NO USER CONNECTED HAVE FILE")
	d.from(answering("\x00"))
	c.quit(t)
	folderMustHave(t, c.dir, map[string][]byte{})
}
