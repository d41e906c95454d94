package node

import (
	"errors"

	"lonja"
)

// mostPages bounds the pages of one list that a directory is asked for: a hundred
// million entries.
const mostPages = 100_000

// eachPage asks for a list page by page until there are no more, or ask, which
// gets the cursor of the page, says that it is enough. A directory whose pages
// lead nowhere gives an error of kind Malformed.
func eachPage(ask func(after lonja.Cursor) (next lonja.Cursor, enough bool, err error)) error {
	after := lonja.Cursor("")
	for range mostPages {
		next, enough, err := ask(after)
		if err != nil || enough || next == "" {
			return err
		}
		if next == after {
			break
		}
		after = next
	}
	return lonja.E(lonja.Malformed, "read pages", errors.New("the directory's pages do not end"))
}
