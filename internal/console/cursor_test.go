package console

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func readKeys(t *testing.T, c *cursor, want string) {
	t.Helper()
	got := make([]byte, 100)
	n, err := c.Read(got)
	if err != nil || string(got[:n]) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

// A terminal that does not tell its cursor's position is waited for once.
func TestMuteTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyboard, keys := io.Pipe()
		defer keys.Close()
		var screen strings.Builder
		c := newCursor(keyboard, &screen)
		defer c.stop()
		for _, patience := range []time.Duration{cursorPatience, 0, 0} {
			asked := time.Now()
			if _, err := io.WriteString(c, "c> "+cursorQuestion); err != nil {
				t.Fatal(err)
			}
			readKeys(t, c, cursorAnswer)
			if waited := time.Since(asked); waited != patience {
				t.Errorf("waited %v, want %v", waited, patience)
			}
			go func() { _, _ = io.WriteString(keys, "help\r") }()
			readKeys(t, c, "help\r")
		}
		if want := strings.Repeat("c> "+cursorQuestion, 3); screen.String() != want {
			t.Errorf("the screen got %q, want %q", screen.String(), want)
		}
	})
}

// One that does is asked each time and answers for itself.
func TestAnsweringTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyboard, keys := io.Pipe()
		defer keys.Close()
		c := newCursor(keyboard, io.Discard)
		defer c.stop()
		for range 3 {
			_, _ = io.WriteString(c, cursorQuestion)
			go func() {
				<-time.After(cursorPatience / 2) // simulated
				_, _ = io.WriteString(keys, "\x1b[7;4R")
				<-time.After(time.Hour) // simulated
				_, _ = io.WriteString(keys, "x")
			}()
			readKeys(t, c, "\x1b[7;4R")
			readKeys(t, c, "x")
		}
	})
}

func TestCursorEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(*cursor, *io.PipeWriter){
			"input": func(_ *cursor, keys *io.PipeWriter) { _ = keys.Close() },
			"stop":  func(c *cursor, _ *io.PipeWriter) { c.stop(); c.stop() },
		} {
			keyboard, keys := io.Pipe()
			c := newCursor(keyboard, io.Discard)
			go end(c, keys)
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%s: got %d bytes, %v; want the end", name, n, err)
			}
			c.stop()
			_ = keys.Close()
		}
	})
}
