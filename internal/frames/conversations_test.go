package frames

import (
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// A line of a conversation: what one side sends, at once.
type line struct {
	fromClient bool
	bytes      []byte
}

// readConversation reads a file of lines: ">" and what the client sends in
// hexadecimal, "<" and what the server does, "#" and a comment.
func readConversation(t *testing.T, name string) (lines []line) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for s := range strings.Lines(string(text)) {
		if strings.HasPrefix(s, "#") {
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(s[1:]), ""))
		if err != nil || !strings.ContainsAny(s[:1], "<>") {
			t.Fatalf("%s: %q: %v", name, s, err)
		}
		if last := len(lines) - 1; last >= 0 && lines[last].fromClient == (s[0] == '>') {
			lines[last].bytes = append(lines[last].bytes, b...) // in one write
			continue
		}
		lines = append(lines, line{s[0] == '>', b})
	}
	return lines
}

func conversations(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	return names
}

// TestConversations: the server says, byte for byte, what the files say.
func TestConversations(t *testing.T) {
	for _, name := range conversations(t) {
		lines := readConversation(t, name)
		t.Run(filepath.Base(name), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := mute(t, ServerOptions{})
				for _, l := range lines {
					if l.fromClient {
						p.write(l.bytes)
						continue
					}
					got := make([]byte, len(l.bytes))
					if _, err := io.ReadFull(p.conn, got); err != nil || string(got) != string(l.bytes) {
						t.Fatalf("got  %x, %v\nwant %x", got, err, l.bytes)
					}
				}
				_ = p.conn.Close()
				<-p.served
				p.stop()
			})
		})
	}
}
