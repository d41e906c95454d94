package folder

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Rules are what a file system, and the people who look at it, can take of names.
type Rules struct {
	// Folds says that names which differ only in case, or in their Unicode normal
	// form, are one name.
	Folds bool
	// MaxName bounds the bytes of a name; 0 stands for the MaxName of lists.
	MaxName int
	// Reserved are names that mean something else at the top of the folder.
	Reserved []string
}

// Names says under which paths the files of a folder can be had on a machine. A
// name that is unsafe there gets another one, always the same in the same folder:
// one with characters in it that control a terminal or hide what it says, one
// that is too long, or reserved, or that of something on its way, and one that the
// file system takes for another of the same directory.
type Names struct {
	rules Rules
	fold  cases.Caser
	open  []directory // those that the last path is in, the topmost first
}

// A directory is one whose entries are being named.
type directory struct {
	name, local string
	taken       map[string]bool // the names that another one could be taken for
}

// NewNames returns Names for one folder.
func NewNames(rules Rules) *Names {
	if rules.MaxName == 0 {
		rules.MaxName = MaxName
	}
	return &Names{rules: rules, fold: cases.Fold(), open: []directory{{}}}
}

// Local returns the path under which to have what is called path in the folder.
// It is asked for all paths of a list, in their order.
func (n *Names) Local(path string) string {
	parts := strings.Split(path, "/")
	depth := 1
	for depth < len(parts) && depth < len(n.open) && n.open[depth].name == parts[depth-1] {
		depth++
	}
	n.open = n.open[:depth]
	for _, part := range parts[depth-1:] {
		local := n.name(len(n.open)-1, part)
		n.open = append(n.open, directory{name: part, local: local})
	}
	var b strings.Builder
	for i, d := range n.open[1:] {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(d.local)
	}
	n.open = n.open[:len(parts)] // the last is no directory
	return b.String()
}

// name returns the name of an entry of the directory that is depth deep.
func (n *Names) name(depth int, original string) string {
	local := n.safe(original, depth == 0)
	for digits := 8; n.isTaken(depth, local, original); digits += 2 {
		local = n.marked(original, digits)
	}
	return local
}

// isTaken reports whether local is the name of another entry, and takes it.
func (n *Names) isTaken(depth int, local, original string) bool {
	if !n.rules.Folds && local == original && !strings.Contains(local, mark) {
		return false // it is nobody else's: a list has each path once
	}
	d := &n.open[depth]
	key := n.key(local)
	if d.taken[key] {
		return true
	}
	if d.taken == nil {
		d.taken = make(map[string]bool)
	}
	d.taken[key] = true
	return false
}

func (n *Names) key(name string) string {
	if !n.rules.Folds {
		return name
	}
	return norm.NFC.String(n.fold.String(norm.NFD.String(name)))
}

// mark stands before what tells a changed name from others.
const mark = "~"

// safe returns a name that does no harm here: name itself if it does none.
func (n *Names) safe(name string, top bool) string {
	reserved := false
	if top {
		for _, r := range n.rules.Reserved {
			reserved = reserved || n.key(strings.ToLower(r)) == n.key(strings.ToLower(name))
		}
	}
	if reserved || onItsWay.MatchString(strings.ToLower(name)) || len(name) > n.rules.MaxName || strings.ContainsFunc(name, unsafe) {
		return n.marked(name, 8)
	}
	return name
}

// onItsWay matches the names that packages unfinished and partial give to what has
// not come yet, beside what it will be. With one a folder could bring parts of one of
// its own files along, which would then be taken for checked.
var onItsWay = regexp.MustCompile(`\.lonja-(part|[a-z2-7]{8})$`)

// unsafe reports whether a character moves, hides or turns what is shown of a
// name, or cannot be in one everywhere.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\\' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

// marked returns a name that is made of another one, with so many digits of its
// hash to tell it from others that look the same. What follows the last dot stays
// at the end, unless that is what is unsafe.
func (n *Names) marked(name string, digits int) string {
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:])
	suffix := mark + hash[:min(digits, len(hash))]
	clean := strings.Map(func(r rune) rune {
		if unsafe(r) {
			return '_'
		}
		return r
	}, name)
	base, ext := clean, ""
	if dot := strings.LastIndexByte(clean, '.'); dot > 0 && len(clean)-dot <= 16 && !onItsWay.MatchString(strings.ToLower(clean)) {
		base, ext = clean[:dot], clean[dot:]
	}
	room := max(0, n.rules.MaxName-len(suffix)-len(ext))
	if len(base) > room {
		base = base[:room]
		for !utf8.ValidString(base) {
			base = base[:len(base)-1]
		}
	}
	return base + suffix + ext
}
