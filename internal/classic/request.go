package classic

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"lonja"
)

// The ports that a client may announce.
const (
	MinPort = 1024
	MaxPort = 65535
)

// A Request is one request of a client to a directory. Which of the fields
// below User carry something depends on Op.
type Request struct {
	Op        lonja.Operation
	OpName    string // as sent, also of an operation that does not exist
	Timestamp string // any string; only shown and logged
	User      lonja.UserName

	Port        uint16            // CONNECT
	Name        lonja.FileName    // PUBLISH, DELETE, GET_MULTIFILE
	Description lonja.Description // PUBLISH
	Owner       lonja.UserName    // LIST_CONTENT
	Query       lonja.Query       // SEARCH
}

// ReadRequest reads one request. A request that is cut short, over a limit or
// otherwise unusable gives an error of kind Invalid together with the fields
// that could be read, so that it can be answered with OtherStatus(req.Op) and
// shown. Reading stops at the first field that does not fit in the buffer of
// r; other bad fields do not keep the rest from being read.
func ReadRequest(r *bufio.Reader) (Request, error) {
	var req Request
	var err error
	if req.OpName, err = readField(r, lonja.MaxOperation); err != nil {
		return req, invalid("operation", err)
	}
	req.Op = lonja.ParseOperation(req.OpName)
	if req.Op == lonja.NoOperation && !fieldBuffered(r) {
		return req, unknownOperation(req.OpName)
	}
	var bad error // the first field that was read whole but is not usable
	if req.Timestamp, err = readField(r, lonja.MaxTimestamp); errors.Is(err, errTooLong) {
		bad = invalid("timestamp", err)
	} else if err != nil {
		return req, invalid("timestamp", err)
	}
	for _, field := range fieldsOf(req.Op) {
		s, err := readField(r, field.limit())
		if err == nil {
			err = field.set(&req, s)
		} else if !errors.Is(err, errTooLong) {
			return req, invalid(field.name, err)
		}
		if err != nil && bad == nil {
			bad = invalid(field.name, err)
		}
	}
	switch {
	case req.Op == lonja.NoOperation:
		return req, unknownOperation(req.OpName)
	case bad == nil && req.Op == lonja.OpSearch:
		bad = req.Query.Check() // what no field says alone
	}
	return req, bad
}

func unknownOperation(name string) error {
	return invalid("operation", fmt.Errorf("no operation is called %q", lonja.Printable(name)))
}

// fieldBuffered reports whether r holds a whole field already. Nobody knows
// what follows an unknown operation, so it is not waited for.
func fieldBuffered(r *bufio.Reader) bool {
	b, _ := r.Peek(r.Buffered())
	return bytes.IndexByte(b, 0) >= 0
}

// maxField is the limit that names, paths and descriptions share.
const maxField = 255

// A field knows how one string of a request is checked and taken over, and how
// it is written.
type field struct {
	name string
	set  func(*Request, string) error
	get  func(*Request) string
	most int // bytes; 0 stands for maxField
}

func (f *field) limit() int {
	if f.most == 0 {
		return maxField
	}
	return f.most
}

var (
	userField = field{
		name: "user",
		set:  func(q *Request, s string) (err error) { q.User, err = lonja.ParseUserName(s); return err },
		get:  func(q *Request) string { return string(q.User) },
	}
	portField = field{
		name: "port", set: setPort,
		get: func(q *Request) string { return strconv.Itoa(int(q.Port)) },
	}
	nameField = field{
		name: "file name",
		set:  func(q *Request, s string) (err error) { q.Name, err = lonja.ParseFileName(s); return err },
		get:  func(q *Request) string { return string(q.Name) },
	}
	descriptionField = field{
		name: "description",
		set:  func(q *Request, s string) (err error) { q.Description, err = lonja.ParseDescription(s); return err },
		get:  func(q *Request) string { return string(q.Description) },
	}
	ownerField = field{
		name: "owner",
		set:  func(q *Request, s string) (err error) { q.Owner, err = lonja.ParseUserName(s); return err },
		get:  func(q *Request) string { return string(q.Owner) },
	}
)

var (
	userOnly      = []field{userField}
	connectFields = []field{userField, portField}
	publishFields = []field{userField, nameField, descriptionField}
	nameFields    = []field{userField, nameField}
	contentFields = []field{userField, ownerField}
)

// fieldsOf returns what follows the timestamp in a request. After an unknown
// operation nothing can be said of what follows.
func fieldsOf(op lonja.Operation) []field {
	switch op {
	case lonja.OpRegister, lonja.OpUnregister, lonja.OpDisconnect, lonja.OpListUsers:
		return userOnly
	case lonja.OpConnect:
		return connectFields
	case lonja.OpPublish:
		return publishFields
	case lonja.OpDelete, lonja.OpHolders:
		return nameFields
	case lonja.OpListContent:
		return contentFields
	case lonja.OpSearch:
		return searchFields
	}
	return nil
}

func setPort(q *Request, s string) error {
	n, err := parseNumber("port", s, MaxPort)
	if err == nil && n < MinPort {
		err = fmt.Errorf("port %d is below %d", n, MinPort)
	}
	if err != nil {
		return err
	}
	q.Port = uint16(n)
	return nil
}

// AppendRequest appends the request in its wire form. The caller has checked
// the fields: they come from the Parse functions of package lonja.
func AppendRequest(b []byte, req Request) []byte {
	b = appendField(b, req.Op.String())
	b = appendField(b, req.Timestamp)
	for _, f := range fieldsOf(req.Op) {
		b = appendField(b, f.get(&req))
	}
	return b
}

// Record returns the entry that the operation log gets for the request.
func (q *Request) Record() lonja.OperationRecord {
	file := string(q.Name)
	switch q.Op {
	case lonja.OpListContent:
		file = string(q.Owner)
	case lonja.OpSearch:
		file = q.Query.Words
	}
	return lonja.OperationRecord{
		User: string(q.User), Operation: q.OpName, File: file, Timestamp: q.Timestamp,
	}
}
