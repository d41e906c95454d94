package dirclient_test

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirclient"
)

// answerOnce starts a directory that gives this answer to one request of so
// many strings, and returns where it listens.
func answerOnce(t *testing.T, strings int, answer string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = ln.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		conn, err := ln.Accept()
		if err != nil {
			return // nobody asked
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		request := bufio.NewReader(conn)
		for range strings {
			_, _ = request.ReadString(0)
		}
		_, _ = conn.Write([]byte(answer))
	}()
	return ln.Addr().String()
}

// Directories that are not ours may answer status 0 and no holder.
func TestNoHolderInOtherWords(t *testing.T) {
	for name, answer := range map[string]string{"its status": "\x01", "an empty list": "\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			c := dirclient.New(dirclient.Options{Address: answerOnce(t, 4, answer)})
			holders, err := c.Holders(t.Context(), "ana", "/a/poem.txt")
			if len(holders) != 0 || !errors.Is(err, lonja.NoHolder) {
				t.Errorf("got %v, %v; want none and kind NoHolder", holders, err)
			}
		})
	}
}

// searchStrings is how many strings a SEARCH has.
const searchStrings = 12

// Directories older than SEARCH answer it as any operation that they do not
// know.
func TestDirectoryThatCannotSearch(t *testing.T) {
	c := dirclient.New(dirclient.Options{Address: answerOnce(t, searchStrings, "\x02")})
	page, err := c.Search(t.Context(), "ana", lonja.Query{Words: "poem"})
	if len(page.Found) != 0 || !errors.Is(err, lonja.Refused) || !strings.Contains(err.Error(), "cannot search") {
		t.Errorf("got %v, %v; want nothing, kind Refused, and that it cannot search", page, err)
	}
}

// Others close without a word: that is no empty answer.
func TestDirectoryThatIsSilent(t *testing.T) {
	c := dirclient.New(dirclient.Options{Address: answerOnce(t, searchStrings, "")})
	if _, err := c.Search(t.Context(), "ana", lonja.Query{Words: "poem"}); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got %v, want kind Unavailable", err)
	}
}

// What cannot be asked is told before anything is sent: nobody listens there.
func TestQueryIsCheckedFirst(t *testing.T) {
	c := dirclient.New(dirclient.Options{Address: "127.0.0.1:0"})
	if _, err := c.Search(t.Context(), "ana", lonja.Query{Words: "a\x00b"}); !errors.Is(err, lonja.Invalid) {
		t.Errorf("got %v, want kind Invalid", err)
	}
}
