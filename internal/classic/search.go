package classic

import (
	"bufio"
	"fmt"
	"math"
	"strconv"

	"lonja"
)

// searchFields are the fields of a SEARCH. An empty one says nothing of what
// to look for.
var searchFields = []field{
	userField,
	{
		name: "words", most: lonja.MaxQueryWords,
		set: func(q *Request, s string) error { q.Query.Words = s; return nil },
		get: func(q *Request) string { return q.Query.Words },
	},
	{
		name: "base name",
		set:  unlessEmpty(func(q *Request, s string) (err error) { q.Query.Base, err = lonja.ParseFileName(s); return err }),
		get:  func(q *Request) string { return string(q.Query.Base) },
	},
	{
		name: "extension",
		set:  func(q *Request, s string) error { q.Query.Extension = s; return nil },
		get:  func(q *Request) string { return q.Query.Extension },
	},
	{
		name: "least size",
		set:  unlessEmpty(func(q *Request, s string) (err error) { q.Query.MinSize, err = parseSize(s); return err }),
		get:  func(q *Request) string { return numberOrEmpty(q.Query.MinSize) },
	},
	{
		name: "largest size",
		set:  unlessEmpty(func(q *Request, s string) (err error) { q.Query.MaxSize, err = parseSize(s); return err }),
		get:  func(q *Request) string { return numberOrEmpty(q.Query.MaxSize) },
	},
	{
		name: "owner",
		set:  unlessEmpty(func(q *Request, s string) (err error) { q.Query.Owner, err = lonja.ParseUserName(s); return err }),
		get:  func(q *Request) string { return string(q.Query.Owner) },
	},
	{name: "online only", set: unlessEmpty(setOnlineOnly), get: onlineOnly},
	{
		name: "limit", set: unlessEmpty(setLimit),
		get: func(q *Request) string { return numberOrEmpty(int64(q.Query.Limit)) },
	},
	{
		name: "cursor", most: lonja.MaxCursor,
		set: func(q *Request, s string) error { q.Query.After = lonja.Cursor(s); return nil },
		get: func(q *Request) string { return string(q.Query.After) },
	},
}

func unlessEmpty(set func(*Request, string) error) func(*Request, string) error {
	return func(q *Request, s string) error {
		if s == "" {
			return nil
		}
		return set(q, s)
	}
}

func setOnlineOnly(q *Request, s string) error {
	if s != "0" && s != "1" {
		return fmt.Errorf("%q is neither 0 nor 1", lonja.Printable(s))
	}
	q.Query.OnlineOnly = s == "1"
	return nil
}

func onlineOnly(q *Request) string {
	if q.Query.OnlineOnly {
		return "1"
	}
	return "0"
}

func setLimit(q *Request, s string) error {
	n, err := parseNumber("limit", s, lonja.MaxFound)
	q.Query.Limit = int(n)
	return err
}

func parseSize(s string) (int64, error) {
	n, err := parseNumber("size", s, math.MaxInt64)
	return int64(n), err
}

func numberOrEmpty(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// AppendFound appends what follows status 0 of SEARCH.
func AppendFound(b []byte, page lonja.FoundPage) []byte {
	b = appendNumber(b, uint64(len(page.Found)))
	for _, f := range page.Found {
		b = appendField(b, string(f.Owner))
		b = appendField(b, string(f.Listing.Name))
		b = appendField(b, string(f.Listing.Description))
		if f.Listing.Size < 0 {
			b = appendField(b, "")
		} else {
			b = appendNumber(b, uint64(f.Listing.Size))
		}
		b = appendNumber(b, uint64(f.Online))
		b = appendNumber(b, uint64(f.Holders))
	}
	return appendField(b, string(page.Next))
}

// ReadFound reads what AppendFound wrote.
func ReadFound(r *bufio.Reader) (lonja.FoundPage, error) {
	const what = "SEARCH"
	found, err := readList(r, what, lonja.MaxFound, func() (lonja.Found, error) { return readOneFound(r) })
	if err != nil {
		return lonja.FoundPage{}, err
	}
	next, err := readField(r, lonja.MaxCursor)
	if err != nil {
		return lonja.FoundPage{}, malformed(what, err)
	}
	return lonja.FoundPage{Found: found, Next: lonja.Cursor(next)}, nil
}

func readOneFound(r *bufio.Reader) (f lonja.Found, err error) {
	var texts [4]string // owner, name, description, size
	for i := range texts {
		if texts[i], err = readField(r, maxAnswerField); err != nil {
			return f, err
		}
	}
	f.Owner = lonja.UserName(texts[0])
	f.Listing = lonja.Listing{
		Name: lonja.FileName(texts[1]), Description: lonja.Description(texts[2]), Size: lonja.UnknownSize,
	}
	if texts[3] != "" {
		if f.Listing.Size, err = parseSize(texts[3]); err != nil {
			return f, err
		}
	}
	for _, count := range []*int{&f.Online, &f.Holders} {
		n, err := readNumber(r, "number of holders", math.MaxInt32)
		if err != nil {
			return f, err
		}
		*count = int(n)
	}
	return f, nil
}
