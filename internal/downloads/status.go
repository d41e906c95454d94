package downloads

import "time"

// A Status is how a download goes that is being fetched.
type Status struct {
	Received int64    `json:"received"`        // bytes that are here
	Size     int64    `json:"size"`            // bytes that there will be
	Speed    int64    `json:"speed"`           // bytes per second, in the last seconds
	Pieces   int64    `json:"pieces"`          // of 1 MiB, that are here and right
	Of       int64    `json:"of"`              // pieces that there will be
	Files    int64    `json:"files,omitempty"` // of a folder, in place of pieces: that are here
	OfFiles  int64    `json:"of_files,omitempty"`
	Waits    string   `json:"waits,omitempty"` // why nothing is fetched just now
	Holders  []Holder `json:"holders"`
}

// Left returns how long the rest takes at the speed that it has, and false where it
// stands still.
func (s Status) Left() (time.Duration, bool) {
	if s.Speed <= 0 {
		return 0, s.Received >= s.Size
	}
	seconds := float64(max(0, s.Size-s.Received)) / float64(s.Speed)
	return time.Duration(min(seconds, maxLeft.Seconds()) * float64(time.Second)), true
}

// maxLeft is the longest that is told.
const maxLeft = 1000 * time.Hour

// Connected returns how many holders there are connections to.
func (s Status) Connected() (n int) {
	for _, h := range s.Holders {
		if h.Conns > 0 {
			n++
		}
	}
	return n
}

// A Holder is how it goes with one of those who have the content.
type Holder struct {
	User   string    `json:"user"`
	Key    string    `json:"key"`               // the fingerprint of its node's key
	At     string    `json:"at,omitempty"`      // the address at which it was reached
	Way    string    `json:"way,omitempty"`     // what kind of address that is
	IP     string    `json:"ip,omitempty"`      // IPv4 or IPv6
	Route  string    `json:"route,omitempty"`   // "direct", to an address of its own; "mapped" by its router; as its directory has "seen" it
	Conns  int       `json:"connections"`       // on which it has answered
	Trip   float64   `json:"trip_ms,omitempty"` // from a question to the beginning of its answer
	Speed  int64     `json:"speed"`             // bytes per second, in the last seconds
	Bytes  int64     `json:"bytes"`             // that came from it and count
	Pieces int64     `json:"pieces"`            // likewise
	Part   bool      `json:"partial,omitempty"` // it has a part only: it is downloading too
	Place  int       `json:"place,omitempty"`   // in its queue, from 1 on; 0 if it does not wait
	Error  string    `json:"error,omitempty"`   // the last
	Again  time.Time `json:"again,omitzero"`    // when it is tried again
	Lied   bool      `json:"lied,omitempty"`    // it sent something else and is asked no more
}
