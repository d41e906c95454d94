//go:build interop

package interop_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	wireTime = "23/11/2026 05:54:17"
	wirePort = "4444" // the dissector's port of directories, unless told otherwise
	anyOurs  = "lonja or lonja_peer"
)

// watchedFields are the fields that a request or its answer may have.
var watchedFields = []string{
	"lonja.operation", "lonja.timestamp", "lonja.user", "lonja.port", "lonja.path",
	"lonja.description", "lonja.owner", "lonja.slice", "lonja.total",
	"lonja.status", "lonja.status_text", "lonja.count",
	"lonja.list.user", "lonja.list.ip", "lonja.list.port", "lonja.list.path",
	"lonja.announced_size", "lonja.content.length",
}

// frameFields say where a frame belongs and how it is shown.
var frameFields = []string{"frame.number", "tcp.stream", "tcp.srcport", "_ws.col.Info", "_ws.expert.message"}

// An exchange is one request by the Python client, and what the dissector must
// make of it and of its answer: every field of watchedFields that it names,
// and no other.
type exchange struct {
	words           []string // of the client
	request, answer string   // as the Info column shows them
	asked, answered row
}

// thirdField is where an operation of the directory has what comes behind its
// user.
var thirdField = map[string]string{
	"CONNECT": "lonja.port", "PUBLISH": "lonja.path", "DELETE": "lonja.path",
	"LIST_CONTENT": "lonja.owner", "GET_MULTIFILE": "lonja.path",
}

// exchangeOf makes the exchange of one operation: line is its name, its user and
// what comes behind, with blanks between, which is also how it is shown. The
// answer is a status byte and its words. more are further fields of the
// request, or of the answer.
func exchangeOf(line, answer string, more row) exchange {
	words := strings.Fields(line)
	code, meaning, _ := strings.Cut(answer, " ")
	x := exchange{
		words: words, request: line, answer: words[0] + " answer: " + answer,
		asked:    row{"lonja.operation": words[0], "lonja.user": words[1], "lonja.timestamp": wireTime},
		answered: row{"lonja.status": code, "lonja.status_text": meaning},
	}
	if len(words) > 2 {
		x.asked[thirdField[words[0]]] = words[2]
	}
	if description, ok := more["lonja.description"]; ok {
		x.words, x.asked = append(words, description), x.asked.with(more)
	} else {
		x.answered = x.answered.with(more)
	}
	return x
}

// listExchange makes the exchange of an operation that succeeds with a list, of which
// summary is shown.
func listExchange(line, summary string, more row) exchange {
	x := exchangeOf(line, "0 done", more)
	x.answer += ", " + summary
	return x
}

func (r row) with(more row) row {
	both := maps.Clone(r)
	maps.Copy(both, more)
	return both
}

func about(description string) row { return row{"lonja.description": description} }

// exchangesWith are the requests to a directory, for a user who has the file
// of this path and serves it on this port.
func exchangesWith(path, port string) []exchange {
	return []exchange{
		exchangeOf("REGISTER ana", "0 done", nil),
		exchangeOf("REGISTER ana", "1 name in use", nil),
		exchangeOf("REGISTER luís", "0 done", nil),
		exchangeOf("CONNECT eva 5003", "1 no such user", nil),
		exchangeOf("LIST_USERS ana", "2 not connected", nil),
		exchangeOf("CONNECT ana "+port, "0 done", nil),
		exchangeOf("CONNECT ana "+port, "2 already connected", nil),
		exchangeOf("CONNECT luís 5002", "0 done", nil),
		exchangeOf("PUBLISH ana "+path, "0 done", about("a poem, ñandú")),
		exchangeOf("PUBLISH ana "+path, "3 already published", about("")),
		listExchange("LIST_USERS ana", "2 users", row{
			"lonja.count": "2", "lonja.list.user": "luís;ana",
			"lonja.list.ip": "127.0.0.1;127.0.0.1", "lonja.list.port": "5002;" + port,
		}),
		listExchange("LIST_CONTENT luís ana", "1 file", row{"lonja.count": "1", "lonja.list.path": path}),
		listExchange("LIST_CONTENT ana luís", "0 files", row{"lonja.count": "0"}),
		exchangeOf("LIST_CONTENT ana eva", "3 owner does not exist", nil),
		listExchange("GET_MULTIFILE luís poem.txt", "1 holder", row{
			"lonja.count": "1", "lonja.list.ip": "127.0.0.1", "lonja.list.port": port, "lonja.list.path": path,
		}),
		exchangeOf("GET_MULTIFILE luís prose.txt", "1 no connected user has that file", nil),
		exchangeOf("DELETE ana "+path, "0 done", nil),
		exchangeOf("DELETE ana "+path, "3 not published", nil),
		exchangeOf("DISCONNECT luís", "0 done", nil),
		exchangeOf("DISCONNECT luís", "2 not connected", nil),
		exchangeOf("UNREGISTER luís", "0 done", nil),
		exchangeOf("UNREGISTER luís", "1 no such user", nil),
	}
}

// transfersOf are the requests to a peer. The content of an answer comes in
// frames of its own, in any number.
func transfersOf(path, port, out string) []exchange {
	transfer := func(request, answer string, asked row, fields ...string) exchange {
		code, meaning, _ := strings.Cut(answer, " ")
		name, _, _ := strings.Cut(request, " ")
		return exchange{
			words:   append([]string{name, "127.0.0.1", port}, fields...),
			request: request, answer: name + " answer: " + answer,
			asked:    row{"lonja.operation": name, "lonja.path": fields[0]}.with(asked),
			answered: row{"lonja.status": code, "lonja.status_text": meaning},
		}
	}
	slice := func(i, n string) row { return row{"lonja.slice": i, "lonja.total": n} }
	return []exchange{
		transfer("GET_FILE "+path, "0 done", nil, path, out),
		transfer("GET_FILE /x", "1 no such file", nil, "/x", out),
		transfer("GET_MULTIFILE "+path+" slice 1 of 3", "0 done", slice("1", "3"), path, "1", "3", out),
		transfer("GET_MULTIFILE "+path+" slice 3 of 3", "2 other error", slice("3", "3"), path, "3", "3", out),
	}
}

// record plays the exchanges, each one a TCP stream, and captures them.
func record(t *testing.T, options []string, content []byte) (*recording, []exchange) {
	t.Helper()
	in := newNamespace(t)
	path := fileOf(t, "poem.txt", content)
	_, directory := startPythonDirectory(t, in, append([]string{"-p", wirePort}, options...)...)
	_, peer := startPythonPeer(t, in, append([]string{"--file", path}, options...)...)
	capture := startCapture(t, in)
	client := pythonClient{in: in, options: append([]string{"--datetime", wireTime}, options...)}
	exchanges := exchangesWith(path, portOf(peer))
	for _, x := range exchanges {
		client.request(t, append(atDirectory(directory), x.words...)...)
	}
	transfers := transfersOf(path, portOf(peer), filepath.Join(t.TempDir(), "out"))
	for _, x := range transfers {
		client.request(t, x.words...)
	}
	return capture.stop(), append(exchanges, transfers...)
}

// streamsOf sorts rows by TCP stream.
func streamsOf(t *testing.T, rows []row) map[int][]row {
	t.Helper()
	streams := make(map[int][]row)
	for _, r := range rows {
		number, err := strconv.Atoi(r["tcp.stream"])
		if err != nil {
			t.Fatalf("a frame of no stream: %v", r)
		}
		streams[number] = append(streams[number], r)
	}
	return streams
}

func TestDissector(t *testing.T) {
	content := patternOf(1000)
	for _, s := range sendings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r, exchanges := record(t, s.options, content)
			rows := r.rows(anyOurs, slices.Concat(frameFields, watchedFields))
			checkExchanges(t, streamsOf(t, rows), exchanges, len(content))
			t.Run("two passes", func(t *testing.T) { checkTwoPasses(t, r.within(t), rows) })
			t.Run("filters", func(t *testing.T) { checkFilters(t, r.within(t), exchanges) })
			t.Run("subtrees", func(t *testing.T) { checkSubtrees(t, r.within(t)) })
			if s.options != nil {
				checkSpread(t, r, exchanges)
			}
		})
	}
}

// checkExchanges requires one frame with the whole request and one with the
// whole answer in each stream, and the content behind it in a transfer's.
func checkExchanges(t *testing.T, streams map[int][]row, exchanges []exchange, size int) {
	t.Helper()
	if len(streams) != len(exchanges) {
		t.Fatalf("%d streams are dissected, want %d", len(streams), len(exchanges))
	}
	for i, x := range exchanges {
		frames := streams[i]
		if len(frames) < 2 {
			t.Errorf("%q: %d frames: %v", x.words, len(frames), frames)
			continue
		}
		checkFrame(t, frames[0], x.request, x.asked)
		checkFrame(t, frames[1], x.answer, x.answered)
		want := 0
		if x.words[0] == "GET_FILE" && x.answered["lonja.status"] == "0" {
			want = size
		} else if len(x.words) == 7 && x.answered["lonja.status"] == "0" {
			want = size / 3
		}
		if got := contentIn(t, frames[2:]); got != want {
			t.Errorf("%q: %d bytes of content, want %d", x.words, got, want)
		}
	}
}

func checkFrame(t *testing.T, got row, info string, want row) {
	t.Helper()
	if got["_ws.col.Info"] != info {
		t.Errorf("frame %s is shown as %q, want %q", got["frame.number"], got["_ws.col.Info"], info)
	}
	for _, field := range watchedFields {
		if got[field] != want[field] {
			t.Errorf("frame %s (%s): %s is %q, want %q", got["frame.number"], info, field, got[field], want[field])
		}
	}
}

// contentIn sums up the content of frames that have nothing else.
func contentIn(t *testing.T, frames []row) int {
	t.Helper()
	sum := 0
	for _, frame := range frames {
		length, err := strconv.Atoi(frame["lonja.content.length"])
		if err != nil || frame["lonja.operation"] != "" || frame["lonja.status"] != "" {
			t.Errorf("not a frame of content: %v", frame)
		}
		sum += length
	}
	return sum
}

// checkTwoPasses compares what tshark shows when it has seen everything before
// with what it shows as the frames come.
func checkTwoPasses(t *testing.T, r *recording, once []row) {
	fields := slices.Concat(frameFields, watchedFields)
	r.mustCope("-2")
	twice := r.rows(anyOurs, fields, "-2")
	if !slices.EqualFunc(once, twice, maps.Equal[row]) {
		t.Errorf("one pass shows\n%v\ntwo show\n%v", once, twice)
	}
	requests := r.rows("lonja.operation", []string{"frame.number", "lonja.answer_in"}, "-2")
	answers := r.rows("lonja.status", []string{"frame.number", "lonja.request_in", "lonja.time"})
	if len(requests) != len(answers) || len(requests) == 0 {
		t.Fatalf("%d requests and %d answers", len(requests), len(answers))
	}
	for i, request := range requests {
		answer := answers[i]
		if request["lonja.answer_in"] != answer["frame.number"] || answer["lonja.request_in"] != request["frame.number"] {
			t.Errorf("request %v and answer %v do not name each other", request, answer)
		}
		if seconds, err := strconv.ParseFloat(answer["lonja.time"], 64); err != nil || seconds < 0 {
			t.Errorf("answer %v has no time since its request", answer)
		}
	}
}

// checkFilters selects exchanges in the ways of docs/wire.md.
func checkFilters(t *testing.T, r *recording, exchanges []exchange) {
	for _, tc := range []struct {
		filter string
		picks  func(exchange) bool
	}{
		{`lonja.status == 1`, func(x exchange) bool { return x.answered["lonja.status"] == "1" }},
		{`lonja.operation == "PUBLISH"`, func(x exchange) bool { return x.words[0] == "PUBLISH" }},
		{`lonja.status_text contains "in use"`, func(x exchange) bool { return x.answered["lonja.status_text"] == "name in use" }},
		{`lonja.user == "luís"`, func(x exchange) bool { return x.asked["lonja.user"] == "luís" }},
		{`lonja.port == 5003`, func(x exchange) bool { return x.asked["lonja.port"] == "5003" }},
		{`lonja.list.user == "luís"`, func(x exchange) bool { return strings.Contains(x.answered["lonja.list.user"], "luís") }},
		{`lonja.refused`, func(x exchange) bool { return x.answered["lonja.status"] != "0" }},
		{`lonja_peer`, func(x exchange) bool { return len(x.words) > 4 }},
		{`lonja.slice == 1 && lonja.total == 3`, func(x exchange) bool { return x.asked["lonja.slice"] == "1" }},
		{`lonja.path contains "poem"`, func(x exchange) bool { return strings.Contains(x.asked["lonja.path"], "poem") }},
	} {
		var want []int
		for i, x := range exchanges {
			if tc.picks(x) {
				want = append(want, i)
			}
		}
		got := slices.Sorted(maps.Keys(streamsOf(t, r.rows(tc.filter, frameFields))))
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s selects the streams %v, want %v", tc.filter, got, want)
		}
	}
}

// checkSubtrees requires that each entry of a list is a subtree of its own.
func checkSubtrees(t *testing.T, r *recording) {
	type entry struct {
		User string `json:"lonja.list.user"`
		IP   string `json:"lonja.list.ip"`
		Port string `json:"lonja.list.port"`
	}
	text := r.tshark("-Y", "lonja.list.user", "-T", "json", "-J", "lonja")
	var users []string
	dec := json.NewDecoder(strings.NewReader(text))
	for tok, err := dec.Token(); err == nil; tok, err = dec.Token() {
		if tok != "lonja.list.entry" {
			continue
		}
		var e entry
		if err := dec.Decode(&e); err != nil || e.IP != "127.0.0.1" || e.Port == "" {
			t.Errorf("an entry's subtree is %+v (%v)", e, err)
		}
		users = append(users, e.User)
	}
	if !slices.Equal(users, []string{"luís", "ana"}) {
		t.Errorf("the entries are of %q, want luís and ana:\n%s", users, text)
	}
}

// checkSpread makes sure that the capture is what its name says: that the
// programs did send byte by byte.
func checkSpread(t *testing.T, r *recording, exchanges []exchange) {
	t.Helper()
	for i, frames := range streamsOf(t, r.rows("tcp.len == 1", frameFields)) {
		if least := len(exchanges[i].words[0]); len(frames) < least {
			t.Errorf("%q: %d segments of one byte, want at least %d", exchanges[i].words, len(frames), least)
		}
	}
	if got := len(r.rows("tcp.len > 1 and lonja.status", frameFields)); got > len(exchanges) {
		t.Errorf("%d answers came in larger segments", got)
	}
}
