package api

import (
	"strings"
	"unicode/utf8"
)

// What stands for bytes that are not UTF-8: the code points from escapeFirst to
// escapeLast, for 0x80 to 0xFF. In UTF-8 they begin with escapeLead.
const (
	escapeFirst = 0x10FE80
	escapeLast  = 0x10FEFF
	escapeBase  = 0x10FE00
	escapeLead  = "\xf4\x8f"
)

// Text returns the bytes of a name as these messages carry them. It is s itself
// for nearly all that people write.
func Text[S ~string](s S) string {
	if utf8.ValidString(string(s)) && !strings.Contains(string(s), escapeLead) {
		return string(s)
	}
	b := make([]byte, 0, 4*len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(string(s[i:]))
		if r == utf8.RuneError && size == 1 || r >= escapeFirst && r <= escapeLast {
			for range size {
				b = utf8.AppendRune(b, escapeBase+rune(s[i]))
				i++
			}
			continue
		}
		b = append(b, s[i:i+size]...)
		i += size
	}
	return string(b)
}

// Bytes is the way back.
func Bytes(s string) string {
	if !strings.Contains(s, escapeLead) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= escapeFirst && r <= escapeLast {
			b = append(b, byte(r-escapeBase))
		} else {
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return string(b)
}
