//go:build interop

package interop_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// SEARCH is an addition of ours: programs that others wrote do not know it.

// TestSearchInADirectoryWithoutIt: both of our ways to ask tell that it is the
// directory that cannot, and the guest leaves.
func TestSearchInADirectoryWithoutIt(t *testing.T) {
	directory, at := startPythonDirectory(t, nil)
	find := run(t, lonja(t, append([]string{"find", "--classic", "poem"}, atDirectory(at)...)...))
	want := "lonja: search: this directory is an older one, which cannot search\n"
	if find.status != 1 || find.stdout != "" || find.stderr != want {
		t.Errorf("find ended with status %d, %q and %q; want 1 and %q", find.status, find.stdout, find.stderr, want)
	}
	directory.waitLine(`^s> OPERATION UNREGISTER FROM find-`)

	ana := startUser(t, at, "ana")
	if got, want := ana.typed(t, "find poem"), "c> FIND FAIL\n"; got != want {
		t.Errorf("the console shows %q, want %q", got, want)
	}
	ana.waitErrorLine("^lonja: SEARCH: this directory is an older one, which cannot search$")
}

// search is a SEARCH by ana with these fields.
func search(fields ...string) string {
	return wireStrings(append([]string{"SEARCH", wireTime, "ana"}, fields...)...)
}

var anySearch = search("poem", "", "", "", "", "", "0", "", "")

var searchConversations = []conversation{
	{
		name: "every field and two results",
		turns: slices.Concat(
			fromClient(search("a poem", "b.ogg", "ogg", "10", "5000000000", "luis", "1", "20", "c1")),
			fromServer("\x00"+wireStrings("2", "luis", "/l/b.ogg", "a poem", "4999999999", "1", "2", "eva", "/e/b.ogg", "", "", "0", "1", "c2")),
		),
		want: []string{
			"SEARCH ana a poem base b.ogg extension ogg least size 10 largest size 5000000000 owner luis online 1 limit 20 further page",
			"SEARCH answer: 0 done, 2 results",
		},
	},
	{
		name: "byte by byte, with nothing found, on any port",
		port: anyPort,
		turns: slices.Concat(
			fromClient(strings.Split(anySearch, "")...), fromServer("\x00", "0", "\x00"), fromServer("\x00"), endOf("server", "fin"),
		),
		want: []string{"SEARCH ana poem", "SEARCH answer: 0 done, 0 results"},
	},
	{
		name:  "a directory without it",
		turns: slices.Concat(fromClient(anySearch), fromServer("\x02")),
		want:  []string{"SEARCH ana poem", "SEARCH answer: 2 cannot search ! The operation failed: cannot search"},
	},
	{
		name:  "not connected",
		turns: slices.Concat(fromClient(anySearch), fromServer("\x04")),
		want:  []string{"SEARCH ana poem", "SEARCH answer: 4 not connected ! The operation failed: not connected"},
	},
	{
		name: "what is not a query",
		turns: slices.Concat(
			fromClient(search(long(256), "a b", "", "big", "", "", "2", "1001", long(1025))), fromServer("\x05"),
		),
		want: []string{
			"SEARCH ana " + long(256) + " base a b least size big online 2 limit 1001 further page" +
				" ! The words has 256 bytes, at most 255 are allowed;The base has a blank in it;The least size is not a number;" +
				"The online is 2, allowed are 0 to 1;The limit is 1001, allowed are 0 to 1000;The cursor has 1025 bytes, at most 1024 are allowed",
			"SEARCH answer: 5 other error ! The operation failed: other error",
		},
	},
	{
		name:  "answer without its last string",
		turns: slices.Concat(fromClient(anySearch), fromServer("\x00"+wireStrings("1", "luis", "/f", "", "", "1", "1")), endOf("server", "fin")),
		want: []string{
			"SEARCH ana poem",
			"SEARCH answer: 0 done, 1 result [answer cut short] ! The answer is cut short or too long: 6 of 7 strings",
		},
	},
}

func TestDissectorSearch(t *testing.T) {
	r := play(t, searchConversations)
	got := shown(t, r)
	for i, c := range searchConversations {
		if !slices.Equal(got[i], c.want) {
			t.Errorf("%s: shown as\n\t%q, want\n\t%q", c.name, got[i], c.want)
		}
	}
	if twice := shown(t, r, "-2"); !maps.EqualFunc(got, twice, slices.Equal) {
		t.Errorf("one pass shows\n%v\ntwo show\n%v", got, twice)
	}
	want := row{
		"lonja.words": "a poem", "lonja.base": "b.ogg", "lonja.extension": "ogg", "lonja.least_size": "10",
		"lonja.largest_size": "5000000000", "lonja.owner": "luis", "lonja.online_only": "1", "lonja.limit": "20", "lonja.cursor": "c1",
		"lonja.count": "2", "lonja.list.user": "luis;eva", "lonja.list.path": "/l/b.ogg;/e/b.ogg", "lonja.list.description": "a poem;",
		"lonja.list.size": "4999999999", "lonja.list.online": "1;0", "lonja.list.holders": "2;1", "lonja.next_cursor": "c2",
	}
	fields := slices.Sorted(maps.Keys(want))
	for _, frame := range r.rows("tcp.stream == 0 and lonja", fields) {
		for field, value := range frame {
			if value != "" && value != want[field] {
				t.Errorf("%s is %q, want %q", field, value, want[field])
			}
			if value != "" {
				delete(want, field)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("not shown: %v", want)
	}
}
