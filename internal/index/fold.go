package index

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxWord bounds words, in bytes: what comes after it distinguishes nothing.
const maxWord = 120

// words returns the words of s: its runs of letters and digits, without their
// case and without accents, so that "canción" is found by "CANCION" and
// "Straße" by "STRASSE".
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
				if !yield(cut(s[start:i])) {
					return
				}
				start = -1
			}
		}
		if start >= 0 {
			yield(cut(s[start:]))
		}
	}
}

// cut shortens a word to maxWord, between two letters.
func cut(word string) string {
	if len(word) <= maxWord {
		return word
	}
	end := maxWord
	for !utf8.RuneStart(word[end]) {
		end--
	}
	return word[:end]
}

// fold makes texts alike that people take for alike: it takes case and accents
// away, and what else compatibility decomposition makes equal (Unicode Standard
// Annex 15, form KD; Unicode 3.13, full case folding).
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			bare := strings.Map(withoutAccent, norm.NFKD.String(cases.Fold().String(s)))
			return norm.NFC.String(cases.Fold().String(bare))
		}
	}
	return strings.ToLower(s)
}

func withoutAccent(r rune) rune {
	if unicode.Is(unicode.Mn, r) {
		return -1 // apart from its letter
	}
	return r
}

// extension returns what follows the last dot of a base name, folded, or "".
// A name that begins with its only dot has none.
func extension(base string) string {
	dot := strings.LastIndexByte(base, '.')
	if dot <= 0 {
		return ""
	}
	return cut(fold(base[dot+1:]))
}
