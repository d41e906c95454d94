package classic

import (
	"bufio"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"lonja"
)

func reader(s string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(s), ReadBufferSize)
}

func TestRequestsSurviveTheWire(t *testing.T) {
	long := strings.Repeat("ñ", 127) + "x"
	for _, want := range []Request{
		{Op: lonja.OpRegister, User: "ana", Timestamp: "23/11/2026 05:54:17"},
		{Op: lonja.OpUnregister, User: "ñandú", Timestamp: lonja.NoTimestamp},
		{Op: lonja.OpConnect, User: "ana", Port: 65535},
		{Op: lonja.OpDisconnect, User: "ana"},
		{Op: lonja.OpPublish, User: "ana", Name: "/home/ana/f", Description: "a few words"},
		{Op: lonja.OpPublish, User: lonja.UserName(long), Name: lonja.FileName(long), Description: lonja.Description(long)},
		{Op: lonja.OpDelete, User: "ana", Name: `C:\f`},
		{Op: lonja.OpListUsers, User: "ana"},
		{Op: lonja.OpListContent, User: "ana", Owner: "luis"},
		{Op: lonja.OpHolders, User: "ana", Name: "f"},
		{Op: lonja.OpSearch, User: "ana"},
		{Op: lonja.OpSearch, User: "ana", Query: lonja.Query{
			Words: "a poem ñandú", Base: "poem.txt", Extension: "ogg", MinSize: 1, MaxSize: math.MaxInt64,
			Owner: "luis", OnlineOnly: true, Limit: lonja.MaxFound, After: lonja.Cursor(strings.Repeat("c", lonja.MaxCursor)),
		}},
	} {
		want.OpName = want.Op.String()
		got, err := ReadRequest(reader(string(AppendRequest(nil, want))))
		if err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

// TestBadFieldsKeepTheRest: what can be read of an unusable request is there
// to be answered and shown.
func TestBadFieldsKeepTheRest(t *testing.T) {
	over := strings.Repeat("x", 256)
	for name, c := range map[string]struct {
		send string
		want Request
	}{
		"bad port":      {"CONNECT\x00t\x00ana\x0080\x00", Request{Op: lonja.OpConnect, OpName: "CONNECT", Timestamp: "t", User: "ana"}},
		"long time":     {"REGISTER\x00" + over + "\x00ana\x00", Request{Op: lonja.OpRegister, OpName: "REGISTER", User: "ana"}},
		"long path":     {"DELETE\x00t\x00ana\x00" + over + "\x00", Request{Op: lonja.OpDelete, OpName: "DELETE", Timestamp: "t", User: "ana"}},
		"empty user":    {"PUBLISH\x00t\x00\x00/f\x00d\x00", Request{Op: lonja.OpPublish, OpName: "PUBLISH", Timestamp: "t", Name: "/f", Description: "d"}},
		"cut in fields": {"PUBLISH\x00t\x00ana\x00/f", Request{Op: lonja.OpPublish, OpName: "PUBLISH", Timestamp: "t", User: "ana"}},
		"bad limit": {
			"SEARCH\x00t\x00ana\x00poem\x00\x00\x00\x00\x00\x00\x00many\x00\x00",
			Request{Op: lonja.OpSearch, OpName: "SEARCH", Timestamp: "t", User: "ana", Query: lonja.Query{Words: "poem"}},
		},
		"unknown": {"FLY\x00t\x00ana\x00", Request{OpName: "FLY", Timestamp: "t"}},
		"nothing": {"", Request{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadRequest(reader(c.send))
			if got != c.want || !errors.Is(err, lonja.Invalid) {
				t.Errorf("got %+v, %v; want %+v and kind Invalid", got, err, c.want)
			}
		})
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("REGISTER\x00t\x00ana\x00"))
	f.Add([]byte("PUBLISH\x00t\x00ana\x00/f\x00words here\x00"))
	f.Add([]byte("CONNECT\x00\x00ana\x0004000\x00"))
	f.Add([]byte("LIST_CONTENT\x00t\x00ana\x00"))
	f.Add([]byte("SEARCH\x00t\x00ana\x00a poem\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("SEARCH\x00t\x00ana\x00\x00b.ogg\x00ogg\x0010\x0020\x00luis\x001\x005\x00cursor\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := ReadRequest(reader(string(data)))
		if err != nil {
			return
		}
		wire := AppendRequest(nil, req)
		numbers := req.Op == lonja.OpConnect || req.Op == lonja.OpSearch // may have zeros in front
		if !numbers && !strings.HasPrefix(string(data), string(wire)) {
			t.Fatalf("%q was read as %+v, which is written as %q", data, req, wire)
		}
		again, err := ReadRequest(reader(string(wire)))
		if err != nil || again != req {
			t.Fatalf("%+v became %+v, %v", req, again, err)
		}
	})
}

func TestStatusTable(t *testing.T) {
	// The table of docs/protocol.md: the meaning of 1, 2, 3, 4 for each operation.
	const other = lonja.Internal
	want := map[lonja.Operation][]lonja.Kind{
		lonja.OpRegister:    {lonja.NameInUse, other},
		lonja.OpUnregister:  {lonja.NoSuchUser, other},
		lonja.OpConnect:     {lonja.NoSuchUser, lonja.AlreadyConnected, other},
		lonja.OpDisconnect:  {lonja.NoSuchUser, lonja.NotConnected, other},
		lonja.OpPublish:     {lonja.NoSuchUser, lonja.NotConnected, lonja.AlreadyPublished, other},
		lonja.OpDelete:      {lonja.NoSuchUser, lonja.NotConnected, lonja.NotPublished, other},
		lonja.OpListUsers:   {lonja.NoSuchUser, lonja.NotConnected, other},
		lonja.OpListContent: {lonja.NoSuchUser, lonja.NotConnected, lonja.NoSuchOwner, other},
		lonja.OpHolders:     {lonja.NoHolder, other},
		lonja.OpSearch:      {lonja.NoSuchUser, lonja.NotConnected, other},
	}
	const afterUnknown = 3 // 1 and 2 of SEARCH are those of a directory that does not know it
	for _, op := range lonja.Operations() {
		kinds, ok := want[op]
		if !ok {
			t.Errorf("no row for %v", op)
		}
		first := 1
		if op == lonja.OpSearch {
			first = afterUnknown
		}
		last := first + len(kinds) - 1
		for i, kind := range kinds {
			if got := Status(op, kind); got != byte(first+i) {
				t.Errorf("%v %v: got status %d, want %d", op, kind, got, first+i)
			}
			if kind != other && !errors.Is(Failure(op, byte(first+i)), kind) {
				t.Errorf("%v status %d: got %v, want %v", op, first+i, Failure(op, byte(first+i)), kind)
			}
		}
		if got := OtherStatus(op); got != byte(last) {
			t.Errorf("%v: got other status %d, want %d", op, got, last)
		}
		for _, kind := range lonja.Kinds() { // every kind has a status, and it is a failure
			if got := Status(op, kind); got < byte(first) || got > byte(last) {
				t.Errorf("%v %v: got status %d", op, kind, got)
			}
			if !slices.Contains(kinds, kind) && Status(op, kind) != OtherStatus(op) {
				t.Errorf("%v %v: got status %d, want other", op, kind, Status(op, kind))
			}
		}
		for status := byte(1); status != 0; status++ {
			if Failure(op, status) == nil {
				t.Errorf("%v status %d is taken for success", op, status)
			}
		}
		if Status(op, nil) != StatusOK || Failure(op, StatusOK) != nil {
			t.Errorf("%v: success is not status 0", op)
		}
	}
	if got := OtherStatus(lonja.NoOperation); got != 2 {
		t.Errorf("unknown operation: got status %d, want 2", got)
	}
}
