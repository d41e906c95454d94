package share

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
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
const recordVersion = 1

// A record is the form of a Set on disk: one JSON object.
type record struct {
	Version   int           `json:"version"`
	Directory text          `json:"directory"`
	User      text          `json:"user"`
	Files     []recordEntry `json:"files"`
}

type recordEntry struct {
	Name text `json:"name"`
	Dir  text `json:"dir"`
	Base text `json:"base"`
}

// encode returns the record of p in its form on disk.
func encode(key Key, p publications) ([]byte, error) {
	r := record{
		Version: recordVersion, Directory: text(key.Directory), User: text(key.User),
		Files: make([]recordEntry, 0, len(p)),
	}
	for _, name := range sortedNames(p) {
		where := p[name]
		r.Files = append(r.Files, recordEntry{text(name), text(where.dir), text(where.base)})
	}
	b, err := json.MarshalIndent(r, "", "\t")
	return append(b, '\n'), err
}

// decode is the way back. The error is ErrDamaged, unless a newer program
// wrote the record.
func decode(key Key, b []byte) (publications, error) {
	var version struct{ Version int }
	if err := json.Unmarshal(b, &version); err != nil {
		return nil, damaged(err)
	}
	if version.Version > recordVersion {
		return nil, fmt.Errorf("a newer program wrote it: its version is %d, this program knows %d",
			version.Version, recordVersion)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, damaged(err)
	}
	if r.Version < 1 || string(r.Directory) != key.Directory || string(r.User) != string(key.User) {
		return nil, damaged(errors.New("it is the record of something else"))
	}
	p := make(publications, len(r.Files))
	for i, e := range r.Files {
		where := place{dir: string(e.Dir), base: string(e.Base)}
		if e.Name == "" || !where.valid() {
			return nil, damaged(fmt.Errorf("entry %d names no file", i))
		}
		p[lonja.FileName(e.Name)] = where
	}
	return p, nil
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
