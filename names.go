package lonja

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the classic protocol, in bytes. Longer values are refused, never cut.
const (
	MaxUserName    = 255
	MaxFileName    = 255
	MaxDescription = 255
	MaxOperation   = 63
	MaxTimestamp   = 63
)

// A UserName names an account: 1 to MaxUserName bytes, none of them NUL.
// Any other byte may stand in it, also one that is not UTF-8: show it with
// Printable.
type UserName string

// ParseUserName checks what came from outside. The error is of kind Invalid.
func ParseUserName(s string) (UserName, error) {
	if err := checkLength("user name", s, 1, MaxUserName); err != nil {
		return "", err
	}
	return UserName(s), nil
}

// ParseMemberName checks a user name that is to be bound to a key: 1 to
// MaxUserName bytes of text that Printable leaves as it is, with no '/' and no
// blank at its ends. Nothing is changed, so that names which differ only in
// their Unicode normal form are two names. The error is of kind Invalid.
func ParseMemberName(s string) (UserName, error) {
	if _, err := ParseUserName(s); err != nil {
		return "", err
	}
	err := checkShown(s)
	if err == nil && strings.Contains(s, "/") {
		err = errors.New("it has a / in it")
	}
	if err != nil {
		return "", E(Invalid, "parse", fmt.Errorf("user name %q: %w", s, err))
	}
	return UserName(s), nil
}

// LogValue makes a name safe to log.
func (u UserName) LogValue() slog.Value { return slog.StringValue(Printable(string(u))) }

// A FileName is the name under which a file is published. In the classic
// dialect that is the owner's absolute path, with '/' or '\' between its
// parts. It has 1 to MaxFileName bytes and no blank.
type FileName string

// ParseFileName checks what came from outside. The error is of kind Invalid.
func ParseFileName(s string) (FileName, error) {
	if err := checkLength("file name", s, 1, MaxFileName); err != nil {
		return "", err
	}
	if strings.ContainsAny(s, " \t\n\v\f\r") {
		return "", E(Invalid, "parse", fmt.Errorf("file name %q has a blank in it", s))
	}
	return FileName(s), nil
}

// ParsePublishedName checks a name of the secure dialect: 1 to MaxFileName bytes
// of text that Printable leaves as it is, in parts between '/'. No part is
// empty, "." or "..", or has a blank at its ends; there is no backslash. So it
// is neither absolute nor climbs, whatever system it ends up on. Nothing is
// changed, as in ParseMemberName. The error is of kind Invalid.
func ParsePublishedName(s string) (FileName, error) {
	if err := checkLength("file name", s, 1, MaxFileName); err != nil {
		return "", err
	}
	if err := checkPublished(s); err != nil {
		return "", E(Invalid, "parse", fmt.Errorf("file name %q: %w", s, err))
	}
	return FileName(s), nil
}

func checkPublished(s string) error {
	switch {
	case strings.HasPrefix(s, "/"):
		return errors.New("it begins with /, but is to be a name, not a path of one machine")
	case strings.Contains(s, `\`):
		return errors.New(`it has a \ in it`)
	}
	for part := range strings.SplitSeq(s, "/") {
		switch part {
		case "":
			return errors.New("a part between / and / is empty")
		case ".", "..":
			return fmt.Errorf("%q is no part of a name", part)
		}
		if err := checkShown(part); err != nil {
			return err
		}
	}
	return nil
}

// checkShown returns why s cannot be shown as it is.
func checkShown(s string) error {
	switch {
	case !utf8.ValidString(s):
		return errors.New("it is not UTF-8")
	case Printable(s) != s, strings.ContainsRune(s, unicode.ReplacementChar): // it stands for what could not be shown
		return errors.New("it has something in it that cannot be shown, like a control character or a change of direction")
	case strings.TrimSpace(s) != s:
		return errors.New("it has a blank at an end")
	}
	return nil
}

// String returns the name as it is; Printable makes it fit to be shown.
func (n FileName) String() string { return string(n) }

// Base returns what follows the last '/' or '\': the part that makes two
// published files "the same" for Holders. It is empty for a name that ends in
// one of them.
func (n FileName) Base() string {
	return string(n[strings.LastIndexAny(string(n), `/\`)+1:])
}

// LogValue makes a name safe to log.
func (n FileName) LogValue() slog.Value { return slog.StringValue(Printable(string(n))) }

// A Description is what an owner says of a file: up to MaxDescription bytes.
type Description string

// ParseDescription checks what came from outside. The error is of kind Invalid.
func ParseDescription(s string) (Description, error) {
	if err := checkLength("description", s, 0, MaxDescription); err != nil {
		return "", err
	}
	return Description(s), nil
}

func checkLength(what, s string, least, most int) error {
	switch {
	case len(s) < least:
		return E(Invalid, "parse", fmt.Errorf("%s is empty", what))
	case len(s) > most:
		return E(Invalid, "parse", fmt.Errorf("%s is too long: %d bytes, at most %d", what, len(s), most))
	case strings.IndexByte(s, 0) >= 0:
		return E(Invalid, "parse", fmt.Errorf("%s has a NUL in it", what))
	}
	return nil
}

// Printable returns s with everything that a terminal or a line-based log
// could take for a command (control characters, direction overrides, bytes
// that are not UTF-8) replaced by U+FFFD. Text from others passes through here
// before a person sees it.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if !printable(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	return strings.Map(func(r rune) rune {
		if printable(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// printable keeps blanks of every width, which unicode.IsPrint does not.
func printable(r rune) bool {
	return r != unicode.ReplacementChar && (unicode.IsPrint(r) || unicode.Is(unicode.Zs, r))
}
