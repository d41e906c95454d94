package download

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lonja"
)

// fetching is what errors say was attempted.
const fetching = "fetch in slices"

// maxNamed bounds how many holders an error names one by one.
const maxNamed = 8

// exhausted is the error when nobody is left to ask for slice i. It tells
// what happened at each holder. Its kind is theirs, if they all failed alike.
func (p *plan) exhausted(i int) error {
	var told []string
	kinds := make(map[lonja.Kind]bool)
	for _, h := range p.holders {
		if h.cause != nil {
			told = append(told, h.name+" "+say(h.cause))
			kinds[lonja.KindOf(h.cause)] = true
		}
	}
	kind := lonja.Unavailable
	if len(kinds) == 1 {
		for kind = range kinds {
		}
	}
	return lonja.E(kind, fetching,
		fmt.Errorf("nobody is left to ask for slice %d of %d: %s", i, len(p.slices), list(told, "; ")))
}

// say puts the cause of a failure behind the name of a holder.
func say(cause error) string {
	if errors.Is(cause, lonja.NoSuchFile) {
		return "does not offer the file"
	}
	return cause.Error()
}

// disagreement is the error when holders that are consistent with themselves
// have files of different sizes. It tells who has which.
func (p *plan) disagreement() error {
	bySize := make(map[int64][]string)
	for _, h := range p.holders {
		if h.vouched && h.standing != faulty {
			bySize[h.size] = append(bySize[h.size], h.name)
		}
	}
	var told []string
	for _, size := range slices.Sorted(maps.Keys(bySize)) {
		told = append(told, fmt.Sprintf("%d bytes at %s", size, list(bySize[size], ", ")))
	}
	return lonja.E(lonja.Disagreement, fetching, errors.New(list(told, "; ")))
}

func list(told []string, separator string) string {
	more := len(told) - maxNamed
	if more > 0 {
		told = append(told[:maxNamed:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(told, separator)
}
