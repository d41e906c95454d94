package shell

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"lonja"
)

// A texts table gives the result lines of one verb.
type texts struct {
	ok       string
	failed   string
	failures map[lonja.Kind]string
}

const (
	noSuchUser   = "USER DOES NOT EXIST"
	notConnected = "USER NOT CONNECTED"
)

var results = map[Verb]texts{
	Register: {"REGISTER OK", "REGISTER FAIL", map[lonja.Kind]string{
		lonja.NameInUse: "USERNAME IN USE",
	}},
	Unregister: {"UNREGISTER OK", "UNREGISTER FAIL", map[lonja.Kind]string{
		lonja.NoSuchUser: noSuchUser,
	}},
	Connect: {"CONNECT OK", "CONNECT FAIL", map[lonja.Kind]string{
		lonja.NoSuchUser:       "CONNECT FAIL, " + noSuchUser,
		lonja.AlreadyConnected: "USER ALREADY CONNECTED",
		lonja.NodeInUse:        "CONNECT FAIL, USER ALREADY CONNECTED",
	}},
	Disconnect: {"DISCONNECT OK", "DISCONNECT FAIL", map[lonja.Kind]string{
		// The blank before the comma is in the original.
		lonja.NoSuchUser:   "DISCONNECT FAIL , " + noSuchUser,
		lonja.NotConnected: "DISCONNECT FAIL , " + notConnected,
	}},
	Publish: {"PUBLISH OK", "PUBLISH FAIL", map[lonja.Kind]string{
		lonja.NoSuchUser:       "PUBLISH FAIL, " + noSuchUser,
		lonja.NotConnected:     "PUBLISH FAIL, " + notConnected,
		lonja.AlreadyPublished: "PUBLISH FAIL, CONTENT ALREADY PUBLISHED",
	}},
	Delete: {"DELETE OK", "DELETE FAIL", map[lonja.Kind]string{
		lonja.NoSuchUser:   "DELETE FAIL, " + noSuchUser,
		lonja.NotConnected: "DELETE FAIL, " + notConnected,
		lonja.NotPublished: "DELETE FAIL, CONTENT NOT PUBLISHED",
	}},
	ListUsers: {"LIST_USERS OK", "LIST_USERS FAIL", map[lonja.Kind]string{
		lonja.NoSuchUser:   "LIST_USERS FAIL, " + noSuchUser,
		lonja.NotConnected: "LIST_USERS FAIL, " + notConnected,
	}},
	ListContent: {"LIST_CONTENT OK", "LIST_CONTENT FAIL", map[lonja.Kind]string{
		lonja.NoSuchUser:   "LIST_CONTENT FAIL, " + noSuchUser,
		lonja.NotConnected: "LIST_CONTENT FAIL, " + notConnected,
		lonja.NoSuchOwner:  "LIST_CONTENT FAIL, REMOTE USER DOES NOT EXIST",
	}},
	Find: {"FIND OK", "FIND FAIL", map[lonja.Kind]string{
		lonja.NoSuchUser:   "FIND FAIL, " + noSuchUser,
		lonja.NotConnected: "FIND FAIL, " + notConnected,
	}},
	GetFile: {"GET_FILE OK", "GET_FILE FAIL", map[lonja.Kind]string{
		lonja.NoSuchFile:   "GET_FILE FAIL, FILE DOES NOT EXIST",
		lonja.NotConnected: "GET_FILE FAIL, " + notConnected,
	}},
	GetMultifile: {"GET_MULTIFILE OK", "GET_MULTIFILE FAIL", map[lonja.Kind]string{
		lonja.NoHolder:     "GET_MULTIFILE FAIL, NO USER CONNECTED HAVE FILE",
		lonja.NotConnected: "GET_MULTIFILE FAIL, " + notConnected,
	}},
}

// mistrust is told in the same words by each verb. It comes up in the secure
// dialect only: in the classic one nothing is proved.
var mistrust = map[lonja.Kind]string{
	lonja.OtherKey:  "USER NAME BELONGS TO ANOTHER KEY",
	lonja.Forbidden: "NOT ALLOWED",
	lonja.Untrusted: "NOT TRUSTED",
}

// Result returns what is shown of the outcome of a command, without a line
// end. An error of kind Invalid is a bad argument, told before anything was
// sent; any other is told in the protocol's words.
func Result(cmd Command, err error) string {
	t := results[cmd.Verb]
	kind := lonja.KindOf(err)
	switch {
	case err == nil:
		return Prompt + t.ok
	case kind == lonja.Invalid:
		return badArgument(err).Error()
	case cmd.Verb == GetFile && kind == lonja.NoSuchOwner:
		return Prompt + "GET_FILE FAIL, USER " + lonja.Printable(string(cmd.User)) + " NOT FOUND"
	}
	if text, ok := t.failures[kind]; ok {
		return Prompt + text
	}
	if why, ok := mistrust[kind]; ok {
		return Prompt + t.failed + ", " + why
	}
	return Prompt + t.failed
}

// NeedsExplanation reports whether the text of Result for err says no more
// than that it failed, or whom not to trust, so that the error itself is worth
// showing beside it.
func NeedsExplanation(cmd Command, err error) bool {
	if err == nil {
		return false
	}
	_, mistrusted := mistrust[lonja.KindOf(err)]
	return mistrusted || Result(cmd, err) == Prompt+results[cmd.Verb].failed
}

// badArgument is the line for an argument that cannot be used: what is wrong
// with which file, and not which parts of the program found that.
func badArgument(err error) error {
	return complaint("Error: " + lonja.Printable(reason(err)))
}

func reason(err error) string {
	text := err.Error()
	for {
		e, ok := errors.AsType[*lonja.Error](err)
		if !ok || e.Err == nil {
			break
		}
		err, text = e.Err, e.Err.Error()
		if e.File != "" {
			text = string(e.File) + ": " + text
		}
	}
	return text
}

// Users returns the lines below LIST_USERS OK, each with its line end.
func Users(peers []lonja.Peer) iter.Seq[string] {
	return func(yield func(string) bool) {
		wideName, wideAddr := 0, 0
		for _, p := range peers {
			name, addr := userCells(p)
			wideName = max(wideName, utf8.RuneCountInString(name))
			wideAddr = max(wideAddr, utf8.RuneCountInString(addr))
		}
		for i, p := range peers {
			name, addr := userCells(p)
			if !yield(fmt.Sprintf("\tUSER%d: %-*s\t%-*s\t%d\n", i, wideName, name, wideAddr, addr, p.At.Port())) {
				return
			}
		}
	}
}

func userCells(p lonja.Peer) (name, addr string) {
	return lonja.Printable(string(p.User)), lonja.Printable(p.At.Addr().String())
}

// Content returns the lines below LIST_CONTENT OK, each with its line end.
func Content(listings []lonja.Listing) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, l := range listings {
			if !yield(fmt.Sprintf("\tFILE%d: %s\n", i, lonja.Printable(string(l.Name)))) {
				return
			}
		}
	}
}

// ErrNothingToContinue is the outcome of a FIND alone when nothing was looked
// for before.
var ErrNothingToContinue error = lonja.E(lonja.Invalid, "FIND", errors.New("FIND alone shows more of what was found; look for something first"))

// Found returns the lines below FIND OK, each with its line end. before is how
// many results of the same search were shown already.
func Found(page lonja.FoundPage, before int) string {
	rows := make([][]string, len(page.Found))
	for i, f := range page.Found {
		rows[i] = FoundCells(f)
	}
	var b strings.Builder
	for i, row := range rows {
		line := strings.TrimRight(strings.Join(padded(row, rows), "\t"), " ")
		fmt.Fprintf(&b, "\tFOUND%d: %s\n", before+i, line)
	}
	switch {
	case page.Next != "":
		b.WriteString("\tMORE WITH: FIND\n")
	case len(rows) == 0 && before == 0:
		b.WriteString("\tNOTHING FOUND\n")
	case len(rows) == 0:
		b.WriteString("\tNOTHING MORE FOUND\n")
	}
	return b.String()
}

// FoundCells returns what is shown of a result: base name, who is online, the
// size or nothing, owner, name and description.
func FoundCells(f lonja.Found) []string {
	return []string{
		lonja.Printable(f.Listing.Name.Base()),
		fmt.Sprintf("%d of %d online", f.Online, f.Holders),
		FormatListed(f.Listing),
		lonja.Printable(string(f.Owner)),
		lonja.Printable(string(f.Listing.Name)),
		lonja.Printable(string(f.Listing.Description)),
	}
}

// padded returns the row with each cell but the last as wide as the widest of
// its column. Columns with nothing in them are left out.
func padded(row []string, rows [][]string) []string {
	var cells []string
	for i, cell := range row {
		wide := 0
		for _, r := range rows {
			wide = max(wide, utf8.RuneCountInString(r[i]))
		}
		switch {
		case i == len(row)-1 && cell != "":
			cells = append(cells, cell)
		case i < len(row)-1 && wide > 0:
			cells = append(cells, fmt.Sprintf("%-*s", wide, cell))
		}
	}
	return cells
}

// HelpText returns the lines of HELP.
func HelpText() string {
	var b strings.Builder
	b.WriteString("Commands:\n")
	for _, g := range grammar {
		b.WriteString("  " + strings.TrimSpace(g.word+" "+g.show) + "\n")
	}
	return b.String()
}
