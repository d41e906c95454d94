package downloads

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"
	"unicode/utf8"

	"lonja"
)

// A State is what is known of a download.
type State string

// The states. A record has one of the first five; the others are what is found
// where a record is not what it should be.
const (
	Queued  State = "queued"  // waits for somebody to fetch it
	Running State = "running" // is being fetched
	Paused  State = "paused"  // waits for a person
	Failed  State = "failed"  // likewise; Error says why
	Done    State = "done"    // the target is there

	Interrupted State = "interrupted" // who fetched it is gone without a word
	Damaged     State = "damaged"     // its record cannot be read; Error says why
)

// Open reports whether there is something left to be done.
func (s State) Open() bool { return s != Done && s != Damaged }

// A Download is an entry of the list.
type Download struct {
	ID        string         // short, for people to type
	State     State          //
	File      lonja.FileID   // the content
	Name      lonja.FileName // what it is published as; for messages
	Size      int64          // in bytes; of a folder, of the files that are wanted, once that is known
	Directory string         // where its holders are known: what --server takes
	Site      string         // tells directories apart: host and port
	User      lonja.UserName // who fetches it
	From      lonja.UserName // from this user only; or empty
	Target    string         // an absolute path of this machine
	Folder    bool           // it is a folder, and Target a directory
	Include   []string       // of a folder, patterns of the files that are wanted; none: all
	Force     bool           // also in the place of another file
	Priority  int            // higher ones come first
	Received  int64          // bytes that were here when it was last fetched
	Error     string         // why it was not finished; or empty
	Tries     int            // in a row, that brought nothing
	Again     time.Time      // if it is queued: not before
	Added     time.Time      //
	Changed   time.Time      // when the record was written last
	Process   int            // that fetches it, or did
}

// The form of a record on disk.
type record struct {
	Version   int       `json:"version"`
	ID        string    `json:"id"`
	State     State     `json:"state"`
	File      string    `json:"file"`
	Name      string    `json:"name"`
	Size      int64     `json:"size"`
	Directory string    `json:"directory"`
	Site      string    `json:"site"`
	User      string    `json:"user"`
	From      string    `json:"from,omitempty"`
	Target    string    `json:"target,omitempty"`
	Bytes     []byte    `json:"target_bytes,omitempty"` // in place of Target where that is not UTF-8
	Folder    bool      `json:"folder,omitempty"`
	Include   []string  `json:"include,omitempty"`
	Force     bool      `json:"force,omitempty"`
	Priority  int       `json:"priority,omitempty"`
	Received  int64     `json:"received,omitempty"`
	Error     string    `json:"error,omitempty"`
	Tries     int       `json:"tries,omitempty"`
	Again     time.Time `json:"again,omitzero"`
	Added     time.Time `json:"added"`
	Changed   time.Time `json:"changed"`
	Process   int       `json:"process,omitempty"`
}

const (
	recordVersion = 1
	maxRecord     = 64 << 10 // bytes
	maxError      = 8 << 10  // bytes
)

func (d *Download) marshal() ([]byte, error) {
	r := record{
		Version: recordVersion, ID: d.ID, State: d.State, File: d.File.String(), Name: string(d.Name), Size: d.Size,
		Directory: d.Directory, Site: d.Site, User: string(d.User), From: string(d.From), Target: d.Target, Folder: d.Folder, Include: d.Include, Force: d.Force,
		Priority: d.Priority, Received: d.Received, Error: cut(d.Error, maxError), Tries: d.Tries, Again: d.Again.UTC().Round(0),
		Added: d.Added.UTC().Round(0), Changed: d.Changed.UTC().Round(0), Process: d.Process,
	}
	if !utf8.ValidString(d.Target) {
		r.Target, r.Bytes = "", []byte(d.Target)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil && len(b) >= maxRecord {
		err = fmt.Errorf("%d bytes are too many for a record, at most %d", len(b), maxRecord)
	}
	return append(b, '\n'), err
}

// parse reads a record. The error says what is wrong with it.
func parse(b []byte) (d Download, err error) {
	if len(b) > maxRecord {
		return d, fmt.Errorf("it is longer than %d bytes", maxRecord)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return d, err
	}
	if len(r.Bytes) > 0 {
		r.Target = string(r.Bytes)
	}
	d = Download{
		ID: r.ID, State: r.State, Name: lonja.FileName(r.Name), Size: r.Size,
		Directory: r.Directory, Site: r.Site, User: lonja.UserName(r.User), From: lonja.UserName(r.From), Target: r.Target, Folder: r.Folder, Include: r.Include, Force: r.Force,
		Priority: r.Priority, Received: r.Received, Error: r.Error, Tries: r.Tries, Again: r.Again,
		Added: r.Added, Changed: r.Changed, Process: r.Process,
	}
	if d.File, err = lonja.ParseFileID(r.File); err != nil {
		return d, err
	}
	switch {
	case r.Version != recordVersion:
		return d, fmt.Errorf("it is of version %d, and known is %d", r.Version, recordVersion)
	case !isID(d.ID):
		return d, errors.New("it has no id")
	case d.Size < 0 || d.Received < 0 || d.Tries < 0:
		return d, errors.New("it has a number below zero")
	case !filepath.IsAbs(d.Target):
		return d, errors.New("its target is no absolute path")
	}
	switch d.State {
	case Queued, Running, Paused, Failed, Done:
		return d, nil
	}
	return d, fmt.Errorf("there is no state %q", lonja.Printable(string(d.State)))
}

// cut returns a text's first bytes, whole characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
