package lonja

import (
	"context"
	"fmt"
)

// UnknownSize is the size of a listing whose owner did not tell it: the
// classic protocol has no place for it.
const UnknownSize = -1

// A Query says what to look for among all publications. What is set must all
// hold; the zero Query finds everything.
type Query struct {
	// Words must all be among the words of a publication's name and
	// description; the last one may be only the beginning of one. Upper and
	// lower case are the same. At most MaxQueryWords bytes.
	Words string
	// Base is what the publication's name must have as its base name.
	Base FileName
	// Extension is what must follow the last dot of the name, without that
	// dot; upper and lower case are the same.
	Extension string
	// MinSize and MaxSize bound the size in bytes, both included. 0 does not
	// bound. A publication of unknown size fits no bound.
	MinSize, MaxSize int64
	// Owner is whose publications to look at; empty: everybody's.
	Owner UserName
	// OnlineOnly leaves out what nobody connected has.
	OnlineOnly bool

	// Limit is how many results to return, at most MaxFound; 0 stands for
	// DefaultFound.
	Limit int
	// After is the Next of the page before, or empty for the first page.
	After Cursor
}

// The bounds of a Query.
const (
	MaxQueryWords = 255 // bytes
	DefaultFound  = 50
	MaxFound      = 1000
)

// Check reports, as an error of kind Invalid, what cannot be asked.
func (q *Query) Check() error {
	var err error
	switch {
	case q.Limit < 0 || q.Limit > MaxFound:
		err = fmt.Errorf("a page of %d results, not 1 to %d", q.Limit, MaxFound)
	case q.MinSize < 0 || q.MaxSize < 0:
		err = fmt.Errorf("a size below zero")
	case q.MaxSize > 0 && q.MaxSize < q.MinSize:
		err = fmt.Errorf("the largest size %d is below the smallest, %d", q.MaxSize, q.MinSize)
	default:
		if err := checkLength("search", q.Words, 0, MaxQueryWords); err != nil {
			return err
		}
		return checkLength("extension", q.Extension, 0, MaxFileName)
	}
	return E(Invalid, OpSearch.String(), err)
}

// A Cursor is where a page of results ended. It stays good while publications
// and holders come and go: the next page holds what ranks after it then.
// It is opaque text of at most MaxCursor bytes.
type Cursor string

// MaxCursor bounds a Cursor, in bytes.
const MaxCursor = 1024

// A Found is one result: the publications of one base name, of which at least
// one matches the query.
type Found struct {
	// Owner and Listing are one publication that matches, of a connected
	// owner if there is one.
	Owner   UserName
	Listing Listing
	// Online and Holders count the publications with that base name: those of
	// connected owners, and all.
	Online, Holders int
}

// A FoundPage is a part of a query's results.
type FoundPage struct {
	Found []Found
	Next  Cursor // empty after the last page
}

// A Searcher looks for publications.
type Searcher interface {
	// Search returns a page of what matches: most connected holders first,
	// then most holders, then by base name. Nothing found is a valid answer. A
	// page may be shorter than asked for, even empty, while its Next is not: no
	// answer takes long.
	// NoSuchUser, NotConnected.
	Search(ctx context.Context, user UserName, query Query) (FoundPage, error)
}
