package index

import (
	"strings"

	"lonja"
)

// A Matcher tells of one publication whether a query would find it.
type Matcher struct {
	query lonja.Query
	exact []string // words, folded
	last  string   // may be only the beginning of one
	none  bool     // nothing can match
}

// NewMatcher returns a Matcher of a query that was checked.
func NewMatcher(q *lonja.Query) *Matcher {
	m := &Matcher{query: *q}
	for w := range words(q.Words) {
		if m.last != "" {
			m.exact = append(m.exact, m.last)
		}
		m.last = w
	}
	m.none = m.last == "" && strings.TrimSpace(q.Words) != ""
	if q.Extension != "" {
		m.exact = append(m.exact, "."+cut(fold(q.Extension)))
	}
	return m
}

// Matches reports whether the query finds a publication, whose owner is
// connected or not.
func (m *Matcher) Matches(p *lonja.Publication, online bool) bool {
	q := &m.query
	switch {
	case m.none,
		q.Owner != "" && q.Owner != p.Owner,
		q.OnlineOnly && !online,
		q.Base != "" && string(q.Base) != p.Name.Base(),
		q.MinSize > 0 && p.Size < q.MinSize,
		q.MaxSize > 0 && (p.Size > q.MaxSize || p.Size == lonja.UnknownSize):
		return false
	case m.last == "" && len(m.exact) == 0:
		return true
	}
	return m.matchesWords(documentWords(p.Listing))
}

func (m *Matcher) matchesWords(have []string) bool {
	found, begun := 0, m.last == ""
	for _, w := range have {
		for _, e := range m.exact {
			if w == e {
				found++
			}
		}
		begun = begun || strings.HasPrefix(w, m.last)
	}
	return found == len(m.exact) && begun
}
