package classic

import (
	"bufio"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"lonja"
)

// searchWith is a SEARCH by ana whose fields after the user are these.
func searchWith(fields ...string) string {
	return "SEARCH\x00t\x00ana\x00" + strings.Join(fields, "\x00") + "\x00"
}

// TestSearchBytes holds the example of docs/protocol.md.
func TestSearchBytes(t *testing.T) {
	got := string(AppendRequest(nil, Request{
		Op: lonja.OpSearch, Timestamp: "t", User: "ana",
		Query: lonja.Query{Words: "poem shel", Extension: "txt", OnlineOnly: true, Limit: 20},
	}))
	if want := searchWith("poem shel", "", "txt", "", "", "", "1", "20", ""); got != want {
		t.Errorf("request: got %q, want %q", got, want)
	}
	got = string(AppendFound(nil, lonja.FoundPage{
		Found: []lonja.Found{{
			Owner:   "luis",
			Listing: lonja.Listing{Name: "/home/luis/poem.txt", Description: "by Shelley", Size: lonja.UnknownSize},
			Online:  2, Holders: 3,
		}},
	}))
	want := "1\x00luis\x00/home/luis/poem.txt\x00by Shelley\x00\x002\x003\x00\x00"
	if got != want {
		t.Errorf("answer: got %q, want %q", got, want)
	}
}

func TestFoundSurvivesTheWire(t *testing.T) {
	found := func(size int64) lonja.Found {
		return lonja.Found{
			Owner: "ñandú", Listing: lonja.Listing{Name: `C:\b`, Description: "two words", Size: size},
			Online: 1, Holders: math.MaxInt32,
		}
	}
	for _, want := range []lonja.FoundPage{
		{Found: []lonja.Found{}},
		{Found: []lonja.Found{found(lonja.UnknownSize), found(0), found(math.MaxInt64)}},
		{Found: []lonja.Found{found(1)}, Next: lonja.Cursor(strings.Repeat("c", lonja.MaxCursor))},
	} {
		got, err := ReadFound(reader(string(AppendFound(nil, want))))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
}

func TestBadSearches(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, request := range map[string]string{
		"long words":       searchWith(long(lonja.MaxQueryWords+1), "", "", "", "", "", "0", "", ""),
		"long base":        searchWith("", long(lonja.MaxFileName+1), "", "", "", "", "0", "", ""),
		"base with blank":  searchWith("", "a b", "", "", "", "", "0", "", ""),
		"long extension":   searchWith("", "", long(lonja.MaxFileName+1), "", "", "", "0", "", ""),
		"size below zero":  searchWith("", "", "", "-1", "", "", "0", "", ""),
		"size in words":    searchWith("", "", "", "", "10MB", "", "0", "", ""),
		"size past all":    searchWith("", "", "", "", "9223372036854775808", "", "0", "", ""),
		"sizes turned":     searchWith("", "", "", "20", "10", "", "0", "", ""),
		"long owner":       searchWith("", "", "", "", "", long(lonja.MaxUserName+1), "0", "", ""),
		"online perhaps":   searchWith("", "", "", "", "", "", "yes", "", ""),
		"limit past all":   searchWith("", "", "", "", "", "", "0", "1001", ""),
		"long cursor":      searchWith("", "", "", "", "", "", "0", "", long(lonja.MaxCursor+1)),
		"a field too few":  searchWith("", "", "", "", "", "", "0", ""),
		"cut in the words": "SEARCH\x00t\x00ana\x00poe",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadRequest(reader(request))
			if !errors.Is(err, lonja.Invalid) || got.Op != lonja.OpSearch {
				t.Errorf("got %+v, %v; want a SEARCH of kind Invalid", got, err)
			}
		})
	}
}

func TestBadPages(t *testing.T) {
	one := "1\x00luis\x00/a\x00\x00"
	for name, c := range map[string]struct {
		answer string
		want   lonja.Kind
	}{
		"empty":          {"", lonja.Unavailable},
		"no cursor":      {"0\x00", lonja.Unavailable},
		"cut":            {one, lonja.Unavailable},
		"words":          {"many\x00", lonja.Malformed},
		"past the bound": {"1001\x00", lonja.Malformed},
		"size in words":  {one + "big\x001\x001\x00\x00", lonja.Malformed},
		"size below 0":   {one + "-1\x001\x001\x00\x00", lonja.Malformed},
		"no number":      {one + "\x00\x001\x00\x00", lonja.Malformed},
		"too many":       {one + "\x001\x002147483648\x00\x00", lonja.Malformed},
		"long name":      {"1\x00luis\x00" + strings.Repeat("x", 1024) + "\x00", lonja.Malformed},
		"long cursor":    {"0\x00" + strings.Repeat("x", lonja.MaxCursor+1) + "\x00", lonja.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadFound(bufio.NewReaderSize(strings.NewReader(c.answer), AnswerBufferSize))
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, %v; want kind %v", got, err, c.want)
			}
		})
	}
}

// TestDirectoryThatCannotSearch: what older directories answer to an operation
// that they do not know is told as such, and never taken for a failure of ours.
func TestDirectoryThatCannotSearch(t *testing.T) {
	for _, status := range []byte{1, OtherStatus(lonja.NoOperation)} {
		err := Failure(lonja.OpSearch, status)
		if !errors.Is(err, lonja.Refused) || !strings.Contains(err.Error(), "cannot search") {
			t.Errorf("status %d: got %v, want kind Refused and that it cannot search", status, err)
		}
	}
	if err := Failure(lonja.OpSearch, 5); !errors.Is(err, lonja.Refused) || strings.Contains(err.Error(), "cannot search") {
		t.Errorf("status 5: got %v, want kind Refused and nothing of a directory that cannot search", err)
	}
}

func TestSearchIsRecordedByItsWords(t *testing.T) {
	req := Request{Op: lonja.OpSearch, OpName: "SEARCH", User: "ana", Query: lonja.Query{Words: "a poem", Base: "b"}}
	want := lonja.OperationRecord{User: "ana", Operation: "SEARCH", File: "a poem"}
	if got := req.Record(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func FuzzReadFound(f *testing.F) {
	f.Add([]byte("0\x00\x00"))
	f.Add([]byte("1\x00luis\x00/a\x00words\x00\x002\x003\x00cursor\x00"))
	f.Add([]byte("1\x00luis\x00/a\x00\x00012\x000\x003\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		page, err := ReadFound(reader(string(data)))
		if err != nil {
			return
		}
		again, err := ReadFound(reader(string(AppendFound(nil, page))))
		if err != nil || !reflect.DeepEqual(again, page) {
			t.Fatalf("%v became %v, %v", page, again, err)
		}
	})
}
