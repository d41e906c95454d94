package console

import (
	"context"
	"errors"
	"strings"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/shell"
)

// A search is what FIND looked for last, so that FIND alone goes on with it.
type search struct {
	query lonja.Query // its After is the end of what was shown
	shown int         // results of it, so far
	begun bool        // there was one
	ended bool        // its last page was shown
}

// find returns the lines of a page of results. A page that cannot be had can
// be asked for again by FIND alone.
func (c *console) find(ctx context.Context, cmd shell.Command) (string, error) {
	s := &c.last
	if !cmd.More {
		*s = search{query: cmd.Query, begun: true}
	}
	if !s.begun {
		return "", shell.ErrNothingToContinue
	}
	var page lonja.FoundPage
	for !s.ended && len(page.Found) == 0 { // a page that ended early may have nothing on it
		var err error
		if page, err = c.Node.Search(ctx, s.query); err != nil {
			return "", err
		}
		if s.ended = page.Next == ""; !s.ended && page.Next == s.query.After {
			return "", lonja.E(lonja.Malformed, lonja.OpSearch.String(), errors.New("the directory's pages do not end"))
		}
		s.query.After = page.Next
	}
	list := shell.Found(page, s.shown)
	s.shown += len(page.Found)
	return list, nil
}

// filtersLike returns the filters of FIND that begin like word, or the values
// that the one it names could have.
func filtersLike(ctx context.Context, n *node.Node, word string) []string {
	name, _, named := strings.Cut(word, ":")
	var all []string
	switch {
	case !named:
		for _, filter := range shell.Filters() {
			all = append(all, filter+":")
		}
	case strings.EqualFold(name, "owner"):
		for _, user := range connectedUsers(ctx, n) {
			all = append(all, name+":"+user)
		}
	case strings.EqualFold(name, "online"):
		all = []string{name + ":yes"}
	}
	return withPrefix(all, word)
}
