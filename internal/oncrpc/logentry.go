package oncrpc

import "lonja"

// The operation log's program (docs/protocol.md §4): one version, and one procedure
// besides the null one, which takes a log_entry and returns nothing.
const (
	LoggerProgram = 0x20000001
	LoggerVersion = 1
	LogOperation  = 1
)

// Limits of a log_entry, in bytes. A service answers GarbageArgs past them.
const (
	maxLogUser      = 255
	maxLogOperation = 64
	maxLogFile      = 255
	maxLogTimestamp = 64
)

// FitsLogEntry reports whether each field is within its limit.
func FitsLogEntry(r lonja.OperationRecord) bool {
	return len(r.User) <= maxLogUser && len(r.Operation) <= maxLogOperation &&
		len(r.File) <= maxLogFile && len(r.Timestamp) <= maxLogTimestamp
}

// AppendLogEntry adds the argument of LogOperation:
//
//	log_entry = username  operation  filename  timestamp, each a string
func AppendLogEntry(b []byte, r lonja.OperationRecord) []byte {
	b = appendString(b, r.User)
	b = appendString(b, r.Operation)
	b = appendString(b, r.File)
	return appendString(b, r.Timestamp)
}

// DecodeLogEntry reads the argument of LogOperation. The record does not alias
// it. Bytes after the entry are let pass, as rpcgen's decoders do. The error is
// of kind lonja.Malformed.
func DecodeLogEntry(args []byte) (lonja.OperationRecord, error) {
	c := cursor{rest: args}
	r := lonja.OperationRecord{
		User:      c.string(maxLogUser),
		Operation: c.string(maxLogOperation),
		File:      c.string(maxLogFile),
		Timestamp: c.string(maxLogTimestamp),
	}
	if err := c.err("log entry"); err != nil {
		return lonja.OperationRecord{}, err
	}
	return r, nil
}
