package lonja

// An Operation is one of the things that a user asks of a directory.
type Operation uint8

// The operations, in the order of docs/protocol.md. NoOperation
// stands for a request that named none of them.
const (
	NoOperation Operation = iota
	OpRegister
	OpUnregister
	OpConnect
	OpDisconnect
	OpPublish
	OpDelete
	OpListUsers
	OpListContent
	OpHolders
	OpSearch // lonja's own: docs/protocol.md
	operationCount
)

var operationNames = [operationCount]string{
	NoOperation:   "",
	OpRegister:    "REGISTER",
	OpUnregister:  "UNREGISTER",
	OpConnect:     "CONNECT",
	OpDisconnect:  "DISCONNECT",
	OpPublish:     "PUBLISH",
	OpDelete:      "DELETE",
	OpListUsers:   "LIST_USERS",
	OpListContent: "LIST_CONTENT",
	OpHolders:     "GET_MULTIFILE",
	OpSearch:      "SEARCH",
}

// Operations returns every operation but NoOperation.
func Operations() []Operation {
	ops := make([]Operation, 0, operationCount-1)
	for op := OpRegister; op < operationCount; op++ {
		ops = append(ops, op)
	}
	return ops
}

// String returns the operation's name on the classic wire.
func (o Operation) String() string {
	if o < operationCount {
		return operationNames[o]
	}
	return ""
}

// ParseOperation returns the operation with that name on the classic wire, or
// NoOperation.
func ParseOperation(s string) Operation {
	for op := OpRegister; op < operationCount; op++ {
		if operationNames[op] == s {
			return op
		}
	}
	return NoOperation
}

// NoTimestamp is what a client sends when it cannot learn the time.
const NoTimestamp = "00/00/0000 00:00:00"

// TimestampLayout is the form of a timestamp, for time.Format.
const TimestampLayout = "02/01/2006 15:04:05"

// An OperationRecord is one entry of the operation log: who asked what, on
// which file (or, for LIST_CONTENT, of whom), and when by the client's word.
type OperationRecord struct {
	User      string
	Operation string
	File      string
	Timestamp string
}
