package shell

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"lonja"
)

func TestParse(t *testing.T) {
	for line, want := range map[string]Command{
		"register ana":          {Verb: Register, User: "ana"},
		"UNREGISTER ñandú":      {Verb: Unregister, User: "ñandú"},
		"Connect ana":           {Verb: Connect, User: "ana"},
		"disCONNECT ana":        {Verb: Disconnect, User: "ana"},
		"publish f a few words": {Verb: Publish, Local: "f", Description: "a few words"},
		"publish f two  blanks": {Verb: Publish, Local: "f", Description: "two  blanks"},
		"delete ../f":           {Verb: Delete, Local: "../f"},
		"list_users":            {Verb: ListUsers},
		"list_content luis":     {Verb: ListContent, User: "luis"},
		"get_file luis /f g":    {Verb: GetFile, User: "luis", Remote: "/f", Local: "g"},
		"get_multifile f g":     {Verb: GetMultifile, Remote: "f", Local: "g"},
		"quit":                  {Verb: Quit},
		"  quit \t":             {Verb: Quit},
		"help":                  {Verb: Help},
		"":                      {Verb: Nothing},
		"   ":                   {Verb: Nothing},
	} {
		got, err := Parse(line)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", line, got, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	long := strings.Repeat("x", 256)
	for line, want := range map[string]string{
		"register":                  "Syntax error. Usage: REGISTER <userName>",
		"register a b":              "Syntax error. Usage: REGISTER <userName>",
		"register  a":               "Syntax error. Usage: REGISTER <userName>",
		"unregister":                "Syntax error. Usage: UNREGISTER <userName>",
		"connect":                   "Syntax error. Usage: CONNECT <userName>",
		"disconnect":                "Syntax error. Usage: DISCONNECT <userName>",
		"publish f":                 "Syntax error. Usage: PUBLISH <fileName> <description...>",
		"delete":                    "Syntax error. Usage: DELETE <fileName>",
		"list_users x":              "Syntax error. Use: LIST_USERS",
		"list_content":              "Syntax error. Usage: LIST_CONTENT <userName>",
		"get_file a b":              "Syntax error. Usage: GET_FILE <userName> <remote_fileName> <local_fileName>",
		"get_multifile a":           "Syntax error. Usage: GET_MULTIFILE <remote_fileName> <local_fileName>",
		"quit now":                  "Syntax error. Use: QUIT",
		"fly away":                  "Error: command FLY not valid.",
		"\x1b[2J":                   "Error: command \ufffd[2J not valid.",
		"register " + long:          "Error: user name is too long: 256 bytes, at most 255",
		"publish f " + long:         "Error: description is too long: 256 bytes, at most 255",
		"get_file a " + long + " b": "Error: file name is too long: 256 bytes, at most 255",
	} {
		got, err := Parse(line)
		if err == nil || err.Error() != want {
			t.Errorf("%.30q: got %+v, %v; want %s", line, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, word := range Words() {
		f.Add(word + " a b c")
	}
	f.Fuzz(func(t *testing.T, line string) {
		cmd, err := Parse(line)
		text := Result(cmd, err)
		if err != nil {
			text = err.Error()
		}
		if strings.ContainsAny(text, "\n\r\x1b") {
			t.Fatalf("%q is answered with %q", line, text)
		}
	})
}

// TestResults is the table of docs/protocol.md, "The client's console".
func TestResults(t *testing.T) {
	for _, c := range []struct {
		verb Verb
		err  error
		want string
	}{
		{Register, nil, "REGISTER OK"},
		{Register, lonja.NameInUse, "USERNAME IN USE"},
		{Register, lonja.Refused, "REGISTER FAIL"},
		{Register, lonja.Unavailable, "REGISTER FAIL"},
		{Unregister, nil, "UNREGISTER OK"},
		{Unregister, lonja.NoSuchUser, "USER DOES NOT EXIST"},
		{Unregister, lonja.Refused, "UNREGISTER FAIL"},
		{Connect, nil, "CONNECT OK"},
		{Connect, lonja.NoSuchUser, "CONNECT FAIL, USER DOES NOT EXIST"},
		{Connect, lonja.AlreadyConnected, "USER ALREADY CONNECTED"},
		{Connect, lonja.NodeInUse, "CONNECT FAIL, USER ALREADY CONNECTED"},
		{Connect, lonja.Refused, "CONNECT FAIL"},
		{Disconnect, nil, "DISCONNECT OK"},
		{Disconnect, lonja.NoSuchUser, "DISCONNECT FAIL , USER DOES NOT EXIST"},
		{Disconnect, lonja.NotConnected, "DISCONNECT FAIL , USER NOT CONNECTED"},
		{Disconnect, lonja.Refused, "DISCONNECT FAIL"},
		{Publish, nil, "PUBLISH OK"},
		{Publish, lonja.NoSuchUser, "PUBLISH FAIL, USER DOES NOT EXIST"},
		{Publish, lonja.NotConnected, "PUBLISH FAIL, USER NOT CONNECTED"},
		{Publish, lonja.AlreadyPublished, "PUBLISH FAIL, CONTENT ALREADY PUBLISHED"},
		{Publish, lonja.Refused, "PUBLISH FAIL"},
		{Delete, nil, "DELETE OK"},
		{Delete, lonja.NoSuchUser, "DELETE FAIL, USER DOES NOT EXIST"},
		{Delete, lonja.NotConnected, "DELETE FAIL, USER NOT CONNECTED"},
		{Delete, lonja.NotPublished, "DELETE FAIL, CONTENT NOT PUBLISHED"},
		{Delete, lonja.Refused, "DELETE FAIL"},
		{ListUsers, nil, "LIST_USERS OK"},
		{ListUsers, lonja.NoSuchUser, "LIST_USERS FAIL, USER DOES NOT EXIST"},
		{ListUsers, lonja.NotConnected, "LIST_USERS FAIL, USER NOT CONNECTED"},
		{ListUsers, lonja.Malformed, "LIST_USERS FAIL"},
		{ListContent, nil, "LIST_CONTENT OK"},
		{ListContent, lonja.NoSuchUser, "LIST_CONTENT FAIL, USER DOES NOT EXIST"},
		{ListContent, lonja.NotConnected, "LIST_CONTENT FAIL, USER NOT CONNECTED"},
		{ListContent, lonja.NoSuchOwner, "LIST_CONTENT FAIL, REMOTE USER DOES NOT EXIST"},
		{ListContent, lonja.Refused, "LIST_CONTENT FAIL"},
		{Find, nil, "FIND OK"},
		{Find, lonja.NoSuchUser, "FIND FAIL, USER DOES NOT EXIST"},
		{Find, lonja.NotConnected, "FIND FAIL, USER NOT CONNECTED"},
		{Find, lonja.Refused, "FIND FAIL"},
		{GetFile, nil, "GET_FILE OK"},
		{GetFile, lonja.NoSuchFile, "GET_FILE FAIL, FILE DOES NOT EXIST"},
		{GetFile, lonja.NotConnected, "GET_FILE FAIL, USER NOT CONNECTED"},
		{GetFile, lonja.NoSuchOwner, "GET_FILE FAIL, USER luis NOT FOUND"},
		{GetFile, lonja.LocalFile, "GET_FILE FAIL"},
		{GetMultifile, nil, "GET_MULTIFILE OK"},
		{GetMultifile, lonja.NoHolder, "GET_MULTIFILE FAIL, NO USER CONNECTED HAVE FILE"},
		{GetMultifile, lonja.NotConnected, "GET_MULTIFILE FAIL, USER NOT CONNECTED"},
		{GetMultifile, lonja.Disagreement, "GET_MULTIFILE FAIL"},
		{Register, lonja.Forbidden, "REGISTER FAIL, NOT ALLOWED"},
		{Connect, lonja.OtherKey, "CONNECT FAIL, USER NAME BELONGS TO ANOTHER KEY"},
		{Disconnect, lonja.OtherKey, "DISCONNECT FAIL, USER NAME BELONGS TO ANOTHER KEY"},
		{GetFile, lonja.Untrusted, "GET_FILE FAIL, NOT TRUSTED"},
	} {
		got := Result(Command{Verb: c.verb, User: "luis"}, c.err)
		if want := "c> " + c.want; got != want {
			t.Errorf("%v %v: got %q, want %q", c.verb, c.err, got, want)
		}
	}
}

func TestBadArgumentsAreTold(t *testing.T) {
	err := lonja.E(lonja.Invalid, "publish", errors.New("there is no file /x"))
	if got, want := Result(Command{Verb: Publish}, fmt.Errorf("node: %w", err)), "Error: there is no file /x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func text(lines iter.Seq[string]) string { return strings.Join(slices.Collect(lines), "") }

func TestLists(t *testing.T) {
	at := func(s string) lonja.Endpoint {
		ap := netip.MustParseAddrPort(s)
		return lonja.EndpointFrom(ap.Addr(), ap.Port())
	}
	got := text(Users([]lonja.Peer{
		{User: "ñu", At: at("192.168.1.100:4445")}, {User: "evil\x1b[2J\n", At: at("10.0.0.1:80")},
	}))
	want := "\tUSER0: ñu       \t192.168.1.100\t4445\n\tUSER1: evil\ufffd[2J\ufffd\t10.0.0.1     \t80\n"
	if got != want {
		t.Errorf("users: got\n%q\nwant\n%q", got, want)
	}
	if got, want := text(Content([]lonja.Listing{{Name: "/a"}, {Name: "/\x07b"}})), "\tFILE0: /a\n\tFILE1: /\ufffdb\n"; got != want {
		t.Errorf("content: got %q, want %q", got, want)
	}
	if text(Users(nil)) != "" || text(Content(nil)) != "" {
		t.Error("an empty list has lines")
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	help := HelpText()
	for _, word := range Words() {
		if !strings.Contains(help, "  "+word) {
			t.Errorf("no %s in\n%s", word, help)
		}
	}
}
