package node

import (
	"errors"
	"testing"

	"lonja"
)

// TestPagesEnd whatever a directory answers.
func TestPagesEnd(t *testing.T) {
	for name, c := range map[string]struct {
		next  func(after lonja.Cursor) lonja.Cursor
		calls int
		want  error
	}{
		"three": {func(after lonja.Cursor) lonja.Cursor {
			if after == "xx" {
				return ""
			}
			return after + "x"
		}, 3, nil},
		"the same again": {func(lonja.Cursor) lonja.Cursor { return "x" }, 2, lonja.Malformed},
		"a circle": {func(after lonja.Cursor) lonja.Cursor {
			if after == "x" {
				return "y"
			}
			return "x"
		}, mostPages, lonja.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			err := eachPage(func(after lonja.Cursor) (lonja.Cursor, bool, error) {
				calls++
				return c.next(after), false, nil
			})
			if !errors.Is(err, c.want) || calls != c.calls {
				t.Errorf("got %v after %d pages, want %v after %d", err, calls, c.want, c.calls)
			}
		})
	}
}
