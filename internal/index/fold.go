package index

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// words returns the words of s: its runs of letters and digits, in lower case
// and without accents, so that "canción" is found by "CANCION". Texts that are
// not ASCII are decomposed first (Unicode Standard Annex 15, form KD).
func words(s string) iter.Seq[string] {
	s = fold(s)
	return func(yield func(string) bool) {
		start := -1
		for i, r := range s {
			inside := unicode.IsLetter(r) || unicode.IsDigit(r)
			switch {
			case inside && start < 0:
				start = i
			case !inside && start >= 0:
				if !yield(s[start:i]) {
					return
				}
				start = -1
			}
		}
		if start >= 0 {
			yield(s[start:])
		}
	}
}

// fold makes texts alike that people take for alike.
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, norm.NFKD.String(s))
		}
	}
	return strings.ToLower(s)
}

func foldRune(r rune) rune {
	if unicode.Is(unicode.Mn, r) {
		return -1 // an accent, apart from its letter
	}
	return unicode.ToLower(r)
}

// extension returns what follows the last dot of a base name, folded, or "".
// A name that begins with its only dot has none.
func extension(base string) string {
	dot := strings.LastIndexByte(base, '.')
	if dot <= 0 {
		return ""
	}
	return fold(base[dot+1:])
}
