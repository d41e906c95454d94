//go:build interop

package interop_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Conversations that no proper program leads, played byte for byte by
// play_conversation.py, and how the dissector shows them.

// A turn is one step of a conversation: somebody sends one segment, or ends.
type turn struct {
	From string `json:"from"`
	Send []byte `json:"send,omitempty"`
	End  string `json:"end,omitempty"` // "fin" or "reset"
}

func fromClient(sends ...string) []turn { return turnsOf("client", sends) }
func fromServer(sends ...string) []turn { return turnsOf("server", sends) }

func turnsOf(from string, sends []string) []turn {
	turns := make([]turn, len(sends))
	for i, send := range sends {
		turns[i] = turn{From: from, Send: []byte(send)}
	}
	return turns
}

func endOf(from, how string) []turn { return []turn{{From: from, End: how}} }

// wireStrings joins strings of the protocol, each with its NUL.
func wireStrings(fields ...string) string { return strings.Join(fields, "\x00") + "\x00" }

// A conversation and its frames as shown: the Info column, and behind " ! "
// what the experts say.
type conversation struct {
	name  string
	port  string // empty: wirePort
	turns []turn
	want  []string
}

const anyPort = "5999" // one that the dissector was told nothing of

var cutConversations = []conversation{
	{
		name:  "request cut short by the client's end",
		turns: slices.Concat(fromClient("PUBLISH\x00d\x00ana\x00/pa"), endOf("client", "fin"), fromServer("\x04"), endOf("client", "reset")),
		want: []string{
			"PUBLISH ana [request cut short] ! The request is cut short or too long: 3 of 5 strings",
			"PUBLISH answer: 4 other error ! The operation failed: other error",
		},
	},
	{
		name:  "request cut short within the operation",
		turns: slices.Concat(fromClient("RE", "GIS"), endOf("client", "fin"), fromServer("\x02"), endOf("server", "fin")),
		want: []string{
			"unnamed [request cut short] ! The request is cut short or too long: 0 of 1 strings",
			"unknown answer: 2 other error ! The operation failed: other error",
		},
	},
	{
		name:  "request cut short by a reset",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("DELETE", "d")), endOf("client", "reset")),
		want:  []string{"DELETE [request cut short] ! The request is cut short or too long: 2 of 4 strings"},
	},
	{
		name:  "closed without a status",
		turns: slices.Concat(fromClient(wireStrings("REGISTER", "d", "ana")), endOf("server", "fin")),
		want:  []string{"REGISTER ana", "[closed without a status] ! Closed without a status"},
	},
	{
		name:  "list cut short",
		turns: slices.Concat(fromClient(wireStrings("LIST_USERS", "d", "ana")), fromServer("\x00", wireStrings("2"), wireStrings("ana"), "127."), endOf("server", "fin")),
		want: []string{
			"LIST_USERS ana",
			"LIST_USERS answer: 0 done, 2 users [answer cut short] ! The answer is cut short or too long: 1 of 6 strings",
		},
	},
	{
		name:  "list cut short before its count",
		turns: slices.Concat(fromClient(wireStrings("GET_MULTIFILE", "d", "ana", "f")), fromServer("\x00"), endOf("server", "fin")),
		want: []string{
			"GET_MULTIFILE ana f",
			"GET_MULTIFILE answer: 0 done [answer cut short] ! The answer is cut short or too long: 0 of 1 strings",
		},
	},
	{
		name:  "transfer broken off",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_FILE", "/f")), fromServer("\x00", "some content"), endOf("server", "reset")),
		want: []string{
			"GET_FILE /f", "GET_FILE answer: 0 done", "GET_FILE answer, 12 bytes of content",
			"[transfer broken off] ! The transfer was broken off by a reset",
		},
	},
	{
		name:  "reset behind a whole transfer",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_FILE", "/f")), fromServer("\x00", "content"), endOf("server", "fin"), endOf("client", "reset")),
		want:  []string{"GET_FILE /f", "GET_FILE answer: 0 done", "GET_FILE answer, 7 bytes of content"},
	},
}

var oddConversations = []conversation{
	{
		name:  "unknown operation",
		turns: slices.Concat(fromClient(wireStrings("FROB"), wireStrings("d", "ana")), fromServer("\x02"), endOf("server", "fin")),
		want: []string{
			"FROB ! Unknown operation", "bytes after the FROB request",
			"FROB answer: 2 other error ! The operation failed: other error",
		},
	},
	{
		name:  "values over their limits",
		turns: slices.Concat(fromClient(wireStrings("PUBLISH", long(64), long(256), "/"+long(255), long(256))), fromServer("\x04")),
		want: []string{
			"PUBLISH " + long(256) + " /" + long(255) +
				" ! The timestamp has 64 bytes, at most 63 are allowed;The user has 256 bytes, at most 255 are allowed;" +
				"The path has 256 bytes, at most 255 are allowed;The description has 256 bytes, at most 255 are allowed",
			"PUBLISH answer: 4 other error ! The operation failed: other error",
		},
	},
	{
		name:  "empty names and blanks",
		turns: slices.Concat(fromClient(wireStrings("DELETE", "", "", "/a b")), fromServer("\x04")),
		want: []string{
			"DELETE  /a b ! The user is empty;The path has a blank in it",
			"DELETE answer: 4 other error ! The operation failed: other error",
		},
	},
	{
		name:  "port out of range",
		turns: slices.Concat(fromClient(wireStrings("CONNECT", "d", "ana", "80")), fromServer("\x03")),
		want: []string{
			"CONNECT ana 80 ! The port is 80, allowed are 1024 to 65535",
			"CONNECT answer: 3 other error ! The operation failed: other error",
		},
	},
	{
		name:  "port that is no number",
		turns: slices.Concat(fromClient(wireStrings("CONNECT", "d", "ana", "50x1")), fromServer("\x03")),
		want: []string{
			"CONNECT ana 50x1 ! The port is not a number",
			"CONNECT answer: 3 other error ! The operation failed: other error",
		},
	},
	{
		name:  "answered before the request is whole",
		turns: slices.Concat(fromClient(wireStrings("REGISTER", "d")+long(300)), fromServer("\x02"), endOf("client", "fin")),
		want: []string{
			"REGISTER answer: 2 other error ! The operation failed: other error",
			"REGISTER [request cut short] ! The user has 300 bytes, at most 255 are allowed;The request is cut short or too long: 2 of 3 strings",
		},
	},
	{
		name:  "request without end",
		turns: slices.Concat(fromClient(wireStrings("REGISTER", "d")+long(4000), long(200), "more"), fromServer("\x02")),
		want: []string{
			"REGISTER [request cut short] ! The user has 4085 bytes, at most 255 are allowed;The request is cut short or too long: 2 of 3 strings",
			"bytes after the REGISTER request ! Bytes after the end of the message",
			"REGISTER answer: 2 other error ! The operation failed: other error",
		},
	},
	{
		name:  "bytes behind request and answer",
		turns: slices.Concat(fromClient(wireStrings("REGISTER", "d", "ana")+"x", "y"), fromServer("\x00z", "z")),
		want: []string{
			"REGISTER ana ! Bytes after the end of the message",
			"bytes after the REGISTER request ! Bytes after the end of the message",
			"REGISTER answer: 0 done ! Bytes after the end of the message",
			"bytes after the REGISTER answer ! Bytes after the end of the message",
		},
	},
	{
		name:  "status that the operation has not",
		turns: slices.Concat(fromClient(wireStrings("REGISTER", "d", "ana")), fromServer("\x07")),
		want:  []string{"REGISTER ana", "REGISTER answer: 7 not a status of this operation ! Not a status of this operation"},
	},
	{
		name:  "count that is no number",
		turns: slices.Concat(fromClient(wireStrings("LIST_CONTENT", "d", "ana", "eva")), fromServer("\x00"+wireStrings("-1", "/f"))),
		want:  []string{"LIST_CONTENT ana eva", "LIST_CONTENT answer: 0 done, malformed list ! The count is not a number"},
	},
	{
		name:  "list without end",
		turns: slices.Concat(fromClient(wireStrings("LIST_CONTENT", "d", "ana", "eva")), fromServer("\x009999\x00"+long(1<<20-7), "x", "y")),
		want: []string{
			"LIST_CONTENT ana eva",
			"LIST_CONTENT answer: 0 done, 9999 files [answer cut short] ! The answer is cut short or too long: 0 of 9999 strings",
			"bytes after the LIST_CONTENT answer ! Bytes after the end of the message",
		},
	},
	{
		name:  "entries that a directory should not have",
		turns: slices.Concat(fromClient(wireStrings("LIST_USERS", "d", "ana")), fromServer("\x00"+wireStrings("1", "", "::1", "99999"))),
		want: []string{
			"LIST_USERS ana",
			"LIST_USERS answer: 0 done, 1 user ! The user is empty;The port is 99999, allowed are 1024 to 65535",
		},
	},
	{
		name:  "commands for a terminal in a name",
		turns: slices.Concat(fromClient(wireStrings("REGISTER", "d", "a\x1b[31m\xc2\x9b\xe2\x80\xae\xff")), fromServer("\x00")),
		want:  []string{"REGISTER a\ufffd[31m\ufffd\ufffd\ufffd", "REGISTER answer: 0 done"},
	},
}

var foundConversations = []conversation{
	{
		name:  "found on any port, byte by byte",
		port:  anyPort,
		turns: slices.Concat(fromClient(strings.Split(wireStrings("UNREGISTER", "", "eva"), "")...), fromServer("\x01")),
		want:  []string{"UNREGISTER eva", "UNREGISTER answer: 1 no such user ! The operation failed: no such user"},
	},
	{
		name:  "the directory's GET_MULTIFILE on any port",
		port:  anyPort,
		turns: slices.Concat(fromClient("GET_MULTIFILE\x00", wireStrings(wireTime), wireStrings("1"), wireStrings("3")), fromServer("\x01")),
		want: []string{
			"GET_MULTIFILE 1 3",
			"GET_MULTIFILE answer: 1 no connected user has that file ! The operation failed: no connected user has that file",
		},
	},
	{
		name:  "a peer's GET_MULTIFILE on the directory's port",
		turns: slices.Concat(fromClient("GET_MULTIFILE\x00", wireStrings("/f"), wireStrings("1"), wireStrings("3")), fromServer("\x01")),
		want: []string{
			"GET_MULTIFILE /f slice 1 of 3",
			"GET_MULTIFILE answer: 1 no such file ! The operation failed: no such file",
		},
	},
	{
		name:  "slices that cannot be",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_MULTIFILE", "/f", "3", "300")), fromServer("\x02")),
		want: []string{
			"GET_MULTIFILE /f slice 3 of 300 ! The number of slices is 300, allowed are 1 to 255",
			"GET_MULTIFILE answer: 2 other error ! The operation failed: other error",
		},
	},
	{
		name:  "slice beyond the last",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_MULTIFILE", "/f", "3", "3")), fromServer("\x02")),
		want: []string{
			"GET_MULTIFILE /f slice 3 of 3 ! Slices are counted from 0: there is none of that number",
			"GET_MULTIFILE answer: 2 other error ! The operation failed: other error",
		},
	},
	{
		name:  "size announced, in pieces",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_FILE", "/f")), fromServer("\x00", "1", "2\x00", "twelve ", "bytes"), endOf("server", "fin")),
		want: []string{
			"GET_FILE /f", "GET_FILE answer: 0 done", "GET_FILE answer, size 12 announced, 0 bytes of content",
			"GET_FILE answer, 7 bytes of content", "GET_FILE answer, 5 bytes of content",
		},
	},
	{
		name:  "size announced, all at once",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_FILE", "/f")), fromServer("\x0012\x00twelve bytes"), endOf("server", "fin")),
		want:  []string{"GET_FILE /f", "GET_FILE answer: 0 done, size 12 announced, 12 bytes of content"},
	},
	{
		name:  "content of nothing but digits",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_FILE", "/f")), fromServer("\x0012", "34"), endOf("server", "fin")),
		want:  []string{"GET_FILE /f", "GET_FILE answer: 0 done", "GET_FILE answer, 4 bytes of content"},
	},
	{
		name:  "content of more digits than a size has",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_FILE", "/f")), fromServer("\x00", strings.Repeat("7", 20), "8")),
		want: []string{
			"GET_FILE /f", "GET_FILE answer: 0 done", "GET_FILE answer, 20 bytes of content",
			"GET_FILE answer, 1 byte of content",
		},
	},
	{
		name:  "empty file",
		port:  anyPort,
		turns: slices.Concat(fromClient(wireStrings("GET_FILE", "/f")), fromServer("\x00"), endOf("server", "fin")),
		want:  []string{"GET_FILE /f", "GET_FILE answer: 0 done"},
	},
	{
		name:  "another protocol that begins alike",
		port:  anyPort,
		turns: slices.Concat(fromClient("G", "ET", " / HTTP/1.0\r\n\r\n"), fromServer("HTTP/1.0 200 OK\r\n\r\n")),
	},
	{
		name:  "another protocol with the same word",
		port:  anyPort,
		turns: slices.Concat(fromClient("REGISTER sip:ana@example.org SIP/2.0\r\n\r\n"), fromServer("SIP/2.0 200 OK\r\n\r\n")),
	},
}

// play captures conversations, each one a TCP stream.
// The options are dumpcap's.
func play(t *testing.T, conversations []conversation, options ...string) *recording {
	t.Helper()
	in := newNamespace(t)
	capture := startCapture(t, in, options...)
	for _, c := range conversations {
		turns, err := json.Marshal(c.turns)
		if err != nil {
			t.Fatal(err)
		}
		prog := python(t, "play_conversation.py", "--port", portFor(c))
		prog.in, prog.stdin = in, strings.NewReader(string(turns))
		if got := run(t, prog); got.status != 0 {
			t.Fatalf("%s: status %d: %s", c.name, got.status, got.stderr)
		}
	}
	return capture.stop()
}

func portFor(c conversation) string {
	if c.port == "" {
		return wirePort
	}
	return c.port
}

// shown returns how the frames of each stream are shown, as conversations
// want it. What TCP says of itself is left away.
func shown(t *testing.T, r *recording, options ...string) map[int][]string {
	t.Helper()
	streams := make(map[int][]string)
	for number, frames := range streamsOf(t, r.rows(anyOurs, frameFields, options...)) {
		for _, frame := range frames {
			line := frame["_ws.col.Info"]
			if at := strings.Index(line, " ["); strings.Contains(line, " → ") && at >= 0 {
				line = line[strings.LastIndex(line, "["):]
			}
			said := slices.DeleteFunc(strings.Split(frame["_ws.expert.message"], listSeparator), ofTCP.MatchString)
			if len(said) > 0 {
				line += " ! " + strings.Join(said, listSeparator)
			}
			streams[number] = append(streams[number], line)
		}
	}
	return streams
}

// ofTCP matches what TCP's own experts say.
var ofTCP = regexp.MustCompile(`^(|(Connection|This frame|TCP|ACK|Duplicate ACK|D-SACK|New fragment|Previous segment).*)$`)

func TestDissectorOddConversations(t *testing.T) {
	conversations := slices.Concat(cutConversations, oddConversations, foundConversations)
	r := play(t, conversations)
	got := shown(t, r)
	for i, c := range conversations {
		if !slices.Equal(got[i], c.want) {
			t.Errorf("%s: shown as\n\t%q, want\n\t%q", c.name, got[i], c.want)
		}
	}
	r.mustCope("-2")
	if twice := shown(t, r, "-2"); !maps.EqualFunc(got, twice, slices.Equal) {
		t.Errorf("one pass shows\n%v\ntwo show\n%v", got, twice)
	}
	if got := r.rows(`lonja.announced_size == 12`, frameFields); len(got) != 2 {
		t.Errorf("%d frames announce 12 bytes, want 2", len(got))
	}
}
