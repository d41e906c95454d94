package console

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/directory/directorytest"
	"lonja/internal/node"
)

// A catalogue is a directory whose searches find what the test says.
type catalogue struct {
	lonja.Directory
	search func(lonja.Query) (lonja.FoundPage, error)
	asked  []lonja.Query
}

func (c *catalogue) Search(_ context.Context, _ lonja.UserName, q lonja.Query) (lonja.FoundPage, error) {
	c.asked = append(c.asked, q)
	return c.search(q)
}

func found(base string) lonja.Found {
	return lonja.Found{
		Owner: "ana", Online: 1, Holders: 2,
		Listing: lonja.Listing{Name: lonja.FileName("/" + base), Size: lonja.UnknownSize},
	}
}

// search plays a console whose directory finds what search says.
func playSearch(t *testing.T, dir *catalogue, in string, explain *strings.Builder) string {
	t.Helper()
	dir.Directory = directorytest.New(t)
	return play(t, in, func(o *Options) {
		o.Node = node.New(node.Options{Directory: dir, Listen: "127.0.0.1:0"})
		o.Explain = explain
	})
}

const arrive = "register zoe\nconnect zoe\n"

// arrived is the transcript of arrive, up to the next prompt.
const arrived = "c> c> REGISTER OK\nc> c> CONNECT OK\nc> "

func TestFindGoesOnPageByPage(t *testing.T) {
	away := true
	dir := &catalogue{search: func(q lonja.Query) (lonja.FoundPage, error) {
		switch {
		case q.Words != "poem":
			return lonja.FoundPage{}, nil
		case q.After == "":
			return lonja.FoundPage{Found: []lonja.Found{found("a"), found("b")}, Next: "after b"}, nil
		case away: // the second page, the first time
			away = false
			return lonja.FoundPage{}, lonja.E(lonja.Unavailable, "SEARCH", errors.New("it is away"))
		}
		return lonja.FoundPage{Found: []lonja.Found{found("c")}}, nil
	}}
	var explained strings.Builder
	got := playSearch(t, dir, arrive+"find poem limit:2\nfind\nfind\nfind\nfind prose\nfind\n", &explained)
	want := arrived +
		"c> FIND OK\n\tFOUND0: a\t1 of 2 online\tana\t/a\n\tFOUND1: b\t1 of 2 online\tana\t/b\n\tMORE WITH: FIND\nc> " +
		"c> FIND FAIL\nc> " +
		"c> FIND OK\n\tFOUND2: c\t1 of 2 online\tana\t/c\nc> " +
		"c> FIND OK\n\tNOTHING MORE FOUND\nc> " +
		"c> FIND OK\n\tNOTHING FOUND\nc> " +
		"c> FIND OK\n\tNOTHING FOUND\nc> \n+++ FINISHED +++\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if want := "lonja: SEARCH: it is away\n"; explained.String() != want {
		t.Errorf("explained: got %q, want %q", explained.String(), want)
	}
	poem := lonja.Query{Words: "poem", Limit: 2}
	next := poem
	next.After = "after b"
	if want := []lonja.Query{poem, next, next, {Words: "prose"}}; !slices.Equal(dir.asked, want) {
		t.Errorf("asked for %v, want %v", dir.asked, want)
	}
}

func TestFindWithNothingToGoOnWith(t *testing.T) {
	dir := &catalogue{}
	got := playSearch(t, dir, "find poem\n"+arrive+"quit\n", &strings.Builder{})
	if want := "c> c> FIND FAIL, USER NOT CONNECTED\n" + arrived + "\n+++ FINISHED +++\n"; got != want {
		t.Errorf("not connected: got\n%q\nwant\n%q", got, want)
	}
	got = playSearch(t, dir, arrive+"find\nquit\n", &strings.Builder{})
	if want := arrived + "Error: FIND alone shows more of what was found; look for something first\nc> \n+++ FINISHED +++\n"; got != want {
		t.Errorf("nothing before: got\n%q\nwant\n%q", got, want)
	}
	if len(dir.asked) != 0 {
		t.Errorf("the directory was asked for %v", dir.asked)
	}
}
