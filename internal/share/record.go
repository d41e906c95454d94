package share

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"lonja"
)

// A Key says whose publications a Set holds: those of a user at a directory,
// which is named by its address as the user gave it.
type Key struct {
	Directory string
	User      lonja.UserName
}

// fileName returns the name of the key's record in the state directory. Names
// of users may hold anything, so they are hashed rather than escaped.
func (k Key) fileName() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", len(k.Directory), k.Directory, k.User))
	return fmt.Sprintf("published-%x.json", sum[:16])
}

// ErrDamaged is the cause of the error for a record that is not understood.
var ErrDamaged = errors.New("the record of publications is damaged")

// recordVersion is raised when older programs could misread what newer ones
// write.
const recordVersion = 5

// A header begins the record of a Set on disk: a file of JSON objects, one on
// a line. Each further line is an entry, in the order in which they were made,
// so that a change costs one line. In version 1 the header was all there was,
// and held the files; before version 3 nothing was signed, and before version 5
// there were no folders, and before version 4 no keys were known and nothing was
// withdrawn: what is for some only is served to
// its owner's own key, until it is published again.
type header struct {
	Version   int     `json:"version"`
	Directory text    `json:"directory"`
	User      text    `json:"user"`
	Files     []entry `json:"files,omitempty"`
}

// An entry says that name stands for a place, or does not any more.
type entry struct {
	Name    text `json:"name"`
	Dir     text `json:"dir,omitempty"`
	Base    text `json:"base,omitempty"`
	Removed bool `json:"removed,omitempty"`
	// Withdrawn says that the name stands for nothing any more, and that the
	// directory is to be told so.
	Withdrawn bool `json:"withdrawn,omitempty"`

	Signed *signedEntry `json:"signed,omitempty"`
}

// edit returns what e changes, or false if no program of ours wrote it.
func (e entry) edit() (edit, bool) {
	if e.Withdrawn && !e.Removed {
		return edit{name: lonja.FileName(e.Name), item: item{withdrawn: true}}, e.Name != ""
	}
	where := place{dir: string(e.Dir), base: string(e.Base)}
	known := e.Name != "" && (e.Removed || where.valid())
	signed, ok := e.Signed.content(lonja.FileName(e.Name))
	return edit{lonja.FileName(e.Name), item{place: where, content: signed}, e.Removed}, known && ok
}

// encode returns the record of p in its form on disk.
func encode(key Key, p publications) ([]byte, error) {
	b, err := json.Marshal(header{Version: recordVersion, Directory: text(key.Directory), User: text(key.User)})
	if err != nil {
		return nil, err
	}
	edits := make([]edit, 0, len(p))
	for _, name := range sortedNames(p) {
		edits = append(edits, edit{name: name, item: p[name]})
	}
	return appendEdits(append(b, '\n'), edits)
}

// appendEdits appends the entries of edits to b.
func appendEdits(b []byte, edits []edit) ([]byte, error) {
	for _, e := range edits {
		line, err := json.Marshal(entry{
			text(e.name), text(e.item.dir), text(e.item.base), e.removed, e.item.withdrawn, e.item.content.entry(),
		})
		if err != nil {
			return nil, err
		}
		b = append(append(b, line...), '\n')
	}
	return b, nil
}

// A decoded record is what its entries add up to.
type decoded struct {
	files publications
	lines int   // entries, or far too many if the record is to be written anew
	end   int64 // where the last whole entry ends
}

// toBeRewritten are the lines of a record of an older version: nothing is put
// behind them that an older program could misread.
const toBeRewritten = math.MaxInt32 / 2

// decode is the way back. A last line without an end was never acknowledged:
// it does not count. The error is ErrDamaged, unless a newer program wrote the
// record.
func decode(key Key, b []byte) (decoded, error) {
	head, rest, err := decodeHeader(key, b)
	if err != nil {
		return decoded{}, err
	}
	r := decoded{files: make(publications), end: int64(len(b))}
	for i, e := range head.Files {
		if err := r.add(e); err != nil {
			return decoded{}, fmt.Errorf("%w: file %d", err, i)
		}
	}
	if head.Version == 1 {
		r.lines = toBeRewritten
		return r, nil
	}
	for line := range bytes.Lines(rest) {
		if line[len(line)-1] != '\n' {
			r.end -= int64(len(line))
			break
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return decoded{}, damaged(fmt.Errorf("entry %d: %w", r.lines, err))
		}
		if err := r.add(e); err != nil {
			return decoded{}, fmt.Errorf("%w: entry %d", err, r.lines)
		}
		r.lines++
	}
	if head.Version < recordVersion {
		r.lines = toBeRewritten
	}
	return r, nil
}

func (r *decoded) add(e entry) error {
	change, ok := e.edit()
	if !ok {
		return damaged(errors.New("it names no file"))
	}
	r.files.apply([]edit{change})
	return nil
}

// decodeHeader returns the header of a record, and what is behind it.
func decodeHeader(key Key, b []byte) (head header, rest []byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	var first json.RawMessage
	if err := dec.Decode(&first); err != nil {
		return head, nil, damaged(err)
	}
	rest = b[dec.InputOffset():]
	var version struct{ Version int }
	if err := json.Unmarshal(first, &version); err != nil {
		return head, nil, damaged(err)
	}
	if version.Version > recordVersion {
		return head, nil, fmt.Errorf("a newer program wrote it: its version is %d, this program knows %d",
			version.Version, recordVersion)
	}
	if err := json.Unmarshal(first, &head); err != nil {
		return head, nil, damaged(err)
	}
	if head.Version < 1 || string(head.Directory) != key.Directory || string(head.User) != string(key.User) {
		return head, nil, damaged(errors.New("it is the record of something else"))
	}
	rest, ended := bytes.CutPrefix(rest, []byte("\n"))
	if head.Version == 1 && len(rest) > 0 || head.Version > 1 && (!ended || head.Files != nil) {
		return head, nil, damaged(errors.New("something else follows its header"))
	}
	return head, rest, nil
}

func damaged(cause error) error { return fmt.Errorf("%w: %w", ErrDamaged, cause) }

// A text is any bytes. In JSON it is a string if it is UTF-8, and otherwise
// {"base64": ...}, because names of files and users need not be.
type text string

type textBytes struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(textBytes{[]byte(t)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var raw textBytes
		err := json.Unmarshal(b, &raw)
		*t = text(raw.Base64)
		return err
	}
	return json.Unmarshal(b, (*string)(t))
}
