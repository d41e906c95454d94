//go:build interop

package interop_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// An asker performs one operation at a directory, by whatever client.
type asker func(t *testing.T, operation, user string, fields ...string) answer

// A step is one request to a directory and the answer that it must have.
type step struct {
	operation, user string
	fields          []string
	status          int
	count           string // as it stands in the answer; empty for none
	entries         [][]string
}

func (s step) String() string {
	return strings.Join(append([]string{s.operation, s.user}, s.fields...), " ")
}

// long returns a text of n bytes.
func long(n int) string { return strings.Repeat("n", n) }

// The steps build on each other: they lead a directory, which is empty before
// the first one, through every operation and every status code.
var operationSteps = slices.Concat(
	accountSteps, presenceSteps, publicationSteps, userListSteps, contentListSteps, holderSteps,
	departureSteps, precedenceSteps,
)

var accountSteps = []step{
	{operation: "REGISTER", user: "ana", status: 0},
	{operation: "REGISTER", user: "ana", status: 1},
	{operation: "REGISTER", user: "", status: 2},
	{operation: "REGISTER", user: long(256), status: 2},
	{operation: "REGISTER", user: long(255), status: 0},
	{operation: "REGISTER", user: "luís", status: 0},
	{operation: "REGISTER", user: "eva", status: 0},
	{operation: "UNREGISTER", user: "nobody", status: 1},
	{operation: "UNREGISTER", user: "", status: 2},
	{operation: "UNREGISTER", user: long(255), status: 0},
	{operation: "UNREGISTER", user: long(255), status: 1},
	{operation: "FROBNICATE", user: "ana", status: 2},
	{operation: "register", user: "ana", status: 2},
	{operation: long(64), user: "ana", status: 2},
}

var presenceSteps = []step{
	{operation: "CONNECT", user: "nobody", fields: []string{"5001"}, status: 1},
	{operation: "CONNECT", user: "ana", fields: []string{"1023"}, status: 3},
	{operation: "CONNECT", user: "ana", fields: []string{"65536"}, status: 3},
	{operation: "CONNECT", user: "ana", fields: []string{"50x1"}, status: 3},
	{operation: "CONNECT", user: "ana", fields: []string{""}, status: 3},
	{operation: "DISCONNECT", user: "ana", status: 2}, // so none of those was taken
	{operation: "CONNECT", user: "ana", fields: []string{"1024"}, status: 0},
	{operation: "CONNECT", user: "ana", fields: []string{"5001"}, status: 2},
	{operation: "DISCONNECT", user: "ana", status: 0},
	{operation: "CONNECT", user: "ana", fields: []string{"65535"}, status: 0},
	{operation: "DISCONNECT", user: "nobody", status: 1},
	{operation: "DISCONNECT", user: "luís", status: 2},
	{operation: "DISCONNECT", user: "", status: 3},
}

var publicationSteps = []step{
	{operation: "PUBLISH", user: "nobody", fields: []string{"/a/one.txt", "first"}, status: 1},
	{operation: "PUBLISH", user: "luís", fields: []string{"/l/one.txt", "first"}, status: 2},
	{operation: "PUBLISH", user: "ana", fields: []string{"/a/one.txt", "two words, ñ"}, status: 0},
	{operation: "PUBLISH", user: "ana", fields: []string{"/a/one.txt", "again"}, status: 3},
	{operation: "PUBLISH", user: "ana", fields: []string{"/a/with blank", "no"}, status: 4},
	{operation: "PUBLISH", user: "ana", fields: []string{"", "no"}, status: 4},
	{operation: "PUBLISH", user: "ana", fields: []string{"/" + long(255), "no"}, status: 4},
	{operation: "PUBLISH", user: "ana", fields: []string{"/a/other", long(256)}, status: 4},
	{operation: "PUBLISH", user: "ana", fields: []string{"/" + long(254), long(255)}, status: 0},
	{operation: "PUBLISH", user: "ana", fields: []string{"/a/two.txt", ""}, status: 0},
	{operation: "DELETE", user: "nobody", fields: []string{"/a/one.txt"}, status: 1},
	{operation: "DELETE", user: "luís", fields: []string{"/a/one.txt"}, status: 2},
	{operation: "DELETE", user: "ana", fields: []string{"one.txt"}, status: 3},
	{operation: "DELETE", user: "ana", fields: []string{""}, status: 4},
	{operation: "DELETE", user: "ana", fields: []string{"/" + long(254)}, status: 0},
	{operation: "DELETE", user: "ana", fields: []string{"/" + long(254)}, status: 3},
}

var userListSteps = []step{
	{operation: "LIST_USERS", user: "nobody", status: 1},
	{operation: "LIST_USERS", user: "luís", status: 2},
	{operation: "LIST_USERS", user: "", status: 3},
	{operation: "LIST_USERS", user: "ana", count: `"1"`, entries: [][]string{
		{"ana", "127.0.0.1", "65535"},
	}},
	{operation: "CONNECT", user: "eva", fields: []string{"5003"}, status: 0},
	{operation: "CONNECT", user: "luís", fields: []string{"5002"}, status: 0},
	// The newest account first: eva connected before luís, who registered before her.
	{operation: "LIST_USERS", user: "luís", count: `"3"`, entries: [][]string{
		{"eva", "127.0.0.1", "5003"}, {"luís", "127.0.0.1", "5002"}, {"ana", "127.0.0.1", "65535"},
	}},
}

var contentListSteps = []step{
	{operation: "LIST_CONTENT", user: "nobody", fields: []string{"ana"}, status: 1},
	{operation: "DISCONNECT", user: "eva", status: 0},
	{operation: "LIST_CONTENT", user: "eva", fields: []string{"ana"}, status: 2},
	{operation: "LIST_CONTENT", user: "ana", fields: []string{"nobody"}, status: 3},
	{operation: "LIST_CONTENT", user: "ana", fields: []string{""}, status: 4},
	{operation: "LIST_CONTENT", user: "ana", fields: []string{"luís"}, count: `"0"`},
	{operation: "LIST_CONTENT", user: "luís", fields: []string{"ana"}, count: `"2"`, entries: [][]string{
		{"/a/two.txt"}, {"/a/one.txt"},
	}},
}

var holderSteps = []step{
	{operation: "GET_MULTIFILE", user: "nobody", fields: []string{"one.txt"}, status: 2},
	{operation: "GET_MULTIFILE", user: "eva", fields: []string{"one.txt"}, status: 2},
	{operation: "GET_MULTIFILE", user: "ana", fields: []string{""}, status: 2},
	{operation: "GET_MULTIFILE", user: "ana", fields: []string{"three.txt"}, status: 1},
	{operation: "GET_MULTIFILE", user: "ana", fields: []string{"ne.txt"}, status: 1},
	{operation: "PUBLISH", user: "luís", fields: []string{`C:\l\one.txt`, "first"}, status: 0},
	{operation: "PUBLISH", user: "luís", fields: []string{"/l/b/one.txt", "second"}, status: 0},
	{operation: "GET_MULTIFILE", user: "ana", fields: []string{`/any/where\one.txt`}, count: "3", entries: [][]string{
		{"127.0.0.1", "5002", "/l/b/one.txt"},
		{"127.0.0.1", "5002", `C:\l\one.txt`},
		{"127.0.0.1", "65535", "/a/one.txt"},
	}},
}

var departureSteps = []step{
	{operation: "DISCONNECT", user: "luís", status: 0},
	{operation: "GET_MULTIFILE", user: "ana", fields: []string{"one.txt"}, count: "1", entries: [][]string{
		{"127.0.0.1", "65535", "/a/one.txt"},
	}},
	{operation: "LIST_CONTENT", user: "ana", fields: []string{"luís"}, count: `"2"`, entries: [][]string{
		{"/l/b/one.txt"}, {`C:\l\one.txt`},
	}},
	{operation: "CONNECT", user: "eva", fields: []string{"5003"}, status: 0},
	{operation: "UNREGISTER", user: "ana", status: 0}, // connected, with files
	{operation: "LIST_USERS", user: "eva", count: `"1"`, entries: [][]string{{"eva", "127.0.0.1", "5003"}}},
	{operation: "GET_MULTIFILE", user: "eva", fields: []string{"one.txt"}, status: 1},
	{operation: "REGISTER", user: "ana", status: 0},
	{operation: "DISCONNECT", user: "ana", status: 2},
	{operation: "LIST_CONTENT", user: "eva", fields: []string{"ana"}, count: `"0"`},
}

// What fails two checks is answered with the code of the earlier one. Here ana
// and luís are not connected, and luís has published files.
var precedenceSteps = []step{
	{operation: "PUBLISH", user: "luís", fields: []string{"/l/b/one.txt", "again"}, status: 2},
	{operation: "DELETE", user: "nobody", fields: []string{"/x"}, status: 1},
	{operation: "DELETE", user: "luís", fields: []string{"/x"}, status: 2},
	{operation: "LIST_CONTENT", user: "nobody", fields: []string{"nobody"}, status: 1},
	{operation: "LIST_CONTENT", user: "luís", fields: []string{"nobody"}, status: 2},
	{operation: "GET_MULTIFILE", user: "nobody", fields: []string{"nothing.txt"}, status: 2},
	{operation: "GET_MULTIFILE", user: "luís", fields: []string{"nothing.txt"}, status: 2},
	{operation: "CONNECT", user: "eva", fields: []string{"5004"}, status: 2},
	{operation: "LIST_USERS", user: "eva", count: `"1"`, entries: [][]string{{"eva", "127.0.0.1", "5003"}}},
	// The newest publication first, also when it was there before.
	{operation: "PUBLISH", user: "eva", fields: []string{"/e/a", "d"}, status: 0},
	{operation: "PUBLISH", user: "eva", fields: []string{"/e/b", "d"}, status: 0},
	{operation: "DELETE", user: "eva", fields: []string{"/e/a"}, status: 0},
	{operation: "PUBLISH", user: "eva", fields: []string{"/e/a", "d"}, status: 0},
	{operation: "LIST_CONTENT", user: "eva", fields: []string{"eva"}, count: `"2"`, entries: [][]string{{"/e/a"}, {"/e/b"}}},
}

// walkOperations leads a directory through operationSteps. It must be empty.
// It stops at the first wrong answer, as the steps behind it would mislead.
func walkOperations(t *testing.T, ask asker) {
	t.Helper()
	for i, s := range operationSteps {
		got := ask(t, s.operation, s.user, s.fields...)
		if got.Status != s.status {
			t.Fatalf("step %d, %s: status %d, want %d (%s)", i, s, got.Status, s.status, got.Error)
		}
		if string(got.Count) != s.count || !sameEntries(s.operation, got.Entries, s.entries) {
			t.Fatalf("step %d, %s: %s entries %q, want %s %q", i, s, got.Count, got.Entries, s.count, s.entries)
		}
		if got.Trailing != 0 || got.Error != "" {
			t.Fatalf("step %d, %s: %d bytes behind the answer, error %q", i, s, got.Trailing, got.Error)
		}
	}
}

// sameEntries compares lists: in their order, but for holders, which the
// protocol does not order.
func sameEntries(operation string, got, want [][]string) bool {
	if operation == "GET_MULTIFILE" {
		got, want = sortedEntries(got), sortedEntries(want)
	}
	return slices.EqualFunc(got, want, slices.Equal)
}

func sortedEntries(entries [][]string) [][]string {
	return slices.SortedFunc(slices.Values(entries), func(a, b []string) int {
		return cmp.Compare(strings.Join(a, "\x00"), strings.Join(b, "\x00"))
	})
}

func TestPythonDirectoryAndClient(t *testing.T) {
	for _, s := range sendings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			directory, at := startPythonDirectory(t, nil, s.options...)
			client := pythonClient{options: append([]string{"--datetime", "23/11/2026 05:54:17"}, s.options...)}
			walkOperations(t, func(t *testing.T, operation, user string, fields ...string) answer {
				return client.ask(t, at, operation, user, fields...)
			})
			directory.waitLine(`^s> OPERATION REGISTER FROM ana AT 23/11/2026 05:54:17$`)
			directory.waitLine(`^s> OPERATION GET_MULTIFILE FROM eva AT 23/11/2026 05:54:17$`)
		})
	}
}

// A request that ends early gets the last status of its operation, and one
// whose operation is not even whole gets 2.
func TestPythonDirectoryAnswersCutRequests(t *testing.T) {
	directory, at := startPythonDirectory(t, nil)
	const timestamp = "23/11/2026 05:54:17"
	whole := len("PUBLISH") + 1 + len(timestamp) + 1 + len("ana") + 1 + len("/a") + 1 + len("d") + 1
	for _, tc := range []struct {
		name      string
		cut, want int
	}{
		{"nothing at all", 0, 2},
		{"within the operation", 4, 2},
		{"before the operation's NUL", len("PUBLISH"), 2},
		{"behind the operation", len("PUBLISH") + 1, 4},
		{"within the description", whole - 1, 4},
	} {
		client := pythonClient{options: []string{"--datetime", timestamp, "--cut", itoa(tc.cut)}}
		if got := client.ask(t, at, "PUBLISH", "ana", "/a", "d"); got.Status != tc.want {
			t.Errorf("cut %s: status %d, want %d (%s)", tc.name, got.Status, tc.want, got.Error)
		}
	}
	client := pythonClient{options: []string{"--datetime", "", "--cut", itoa(len("REGISTER") + 1 + 1 + len("ana") + 1)}}
	if got := client.ask(t, at, "REGISTER", "ana"); got.Status != 0 {
		t.Errorf("cut at its end, with an empty date-time: status %d, want 0", got.Status)
	}
	directory.waitLine(`^s> OPERATION REGISTER FROM ana AT $`)
}
