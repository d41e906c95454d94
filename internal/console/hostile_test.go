package console

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/directory/directorytest"
	"lonja/internal/node"
)

// Letters that are equal to some of ASCII but for their case, and longer.
func TestCompletionOfOddLetters(t *testing.T) {
	w := &wordCompleter{CompleteFor(t.Context(), newNode(t))}
	for _, line := range []string{"quıt", "list_userſ", "list_uſ", "Kelvin", "\xff"} {
		if rest, _ := w.Do([]rune(line), len([]rune(line))); len(rest) != 0 {
			t.Errorf("%q: got %q, want nothing", line, rest)
		}
	}
	shorter := &wordCompleter{func([]string) []string { return []string{"a"} }}
	if rest, _ := shorter.Do([]rune("abc"), 3); len(rest) != 0 {
		t.Errorf("got %q of a candidate that is shorter than what was typed", rest)
	}
}

// A crowd is a directory of many users with a file each. It counts questions.
type crowd struct {
	lonja.Directory
	users int
	asked atomic.Int64
}

func (c *crowd) ListUsers(context.Context, lonja.UserName) (lonja.PeerList, error) {
	c.asked.Add(1)
	return lonja.PeerList{make([]lonja.Peer, c.users)}, nil
}

func (c *crowd) ListContent(context.Context, lonja.UserName, lonja.UserName) ([]lonja.Listing, error) {
	n := c.asked.Add(1)
	return []lonja.Listing{{Name: lonja.FileName(fmt.Sprintf("/dir/song%d", n))}}, nil
}

// One Tab asks a directory a bounded number of questions, and the next, for a
// while, none.
func TestCompletionAsksLittle(t *testing.T) {
	dir := &crowd{Directory: directorytest.New(t), users: 500}
	n := node.New(node.Options{Directory: dir, Listen: "127.0.0.1:0"})
	defer n.Close()
	if err := dir.Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	if err := n.Connect(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	complete := CompleteFor(t.Context(), n)
	for _, word := range []string{"", "so", "song1", "zzz"} {
		_ = complete([]string{"get_multifile", word})
		if asked := dir.asked.Load(); asked != completionUsers+1 {
			t.Fatalf("after %q: asked %d times, want %d", word, asked, completionUsers+1)
		}
	}
	if got := complete([]string{"get_multifile", "song21"}); !slices.Equal(got, []string{"song21"}) {
		t.Errorf("got %q from memory", got)
	}
}

func TestMemoryFades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, answer := 0, []string{"one"}
		ask := remember(func(context.Context) []string { asked++; return answer })
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{0, 1}, {completionMemory, 1}, {time.Second, 2}} {
			<-time.After(c.after) // simulated
			if ask(t.Context()); asked != c.want {
				t.Errorf("asked %d times, want %d", asked, c.want)
			}
		}
		<-time.After(time.Hour) // simulated
		answer = nil
		ask(t.Context())
		if ask(t.Context()); asked != 4 {
			t.Errorf("asked %d times, want 4: nothing is not worth remembering", asked)
		}
	})
}

// An explanation holds what others sent.
func TestExplanationsAreHarmless(t *testing.T) {
	var explained strings.Builder
	c := &console{Options: Options{Explain: &explained}}
	c.explain(fmt.Errorf("dial fe80::1%%\x1b]0;title\x07:\nsecond"))
	if got, want := explained.String(), "lonja: dial fe80::1%\ufffd]0;title\ufffd:\nlonja: second\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A list goes to the output as it is made.
func TestListsAreNotHeld(t *testing.T) {
	pieces := 0
	c := &console{Options: Options{Out: writerFunc(func(p []byte) (int, error) {
		pieces++
		return len(p), nil
	})}}
	c.printLines(func(yield func(string) bool) {
		for yield(strings.Repeat("x", 1000)) {
			if pieces > 2 {
				return
			}
		}
	})
	if pieces < 2 || c.writeErr != nil {
		t.Errorf("got %d pieces, %v", pieces, c.writeErr)
	}
	c.Out = writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe })
	c.printLines(slices.Values([]string{"x"}))
	if c.writeErr != io.ErrClosedPipe {
		t.Errorf("got %v, want %v", c.writeErr, io.ErrClosedPipe)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
