package oncrpc

import "fmt"

// A Status is how a call ended. The values are ours; RFC 5531 §9 spreads them
// over three enums.
type Status uint8

// The ways for a call to end.
const (
	Success         Status = iota
	ProgUnavailable        // the service does not have that program
	ProgMismatch           // it has, in versions Low to High
	ProcUnavailable        // the program does not have that procedure
	GarbageArgs            // the procedure cannot read its arguments
	SystemError            // the service is in trouble itself
	RPCMismatch            // the service speaks RPC versions Low to High
	AuthError              // the caller's credential will not do
	statusCount
)

// acceptedCount is how many statuses accept_stat holds: those before
// RPCMismatch, which have the same numbers there.
const acceptedCount = uint32(RPCMismatch)

// The numbers of the outer enums of RFC 5531 §9.
const (
	messageAccepted = 0
	messageDenied   = 1

	rejectMismatch = 0
	rejectAuth     = 1
)

// The values of auth_stat that are sent here.
const (
	AuthBadCredential = 1
	AuthBadVerifier   = 3
)

var statusTexts = [statusCount]string{
	Success:         "success",
	ProgUnavailable: "program unavailable",
	ProgMismatch:    "program version not supported",
	ProcUnavailable: "procedure unavailable",
	GarbageArgs:     "arguments cannot be decoded",
	SystemError:     "system error at the service",
	RPCMismatch:     "RPC version not supported",
	AuthError:       "authentication refused",
}

// String gives the status in words.
func (s Status) String() string {
	if s < statusCount {
		return statusTexts[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// A Reply answers the call with the same XID.
//
//	message  = xid  1 (reply)  0 (accepted)  verifier  accept_stat  results... | low high
//	         | xid  1 (reply)  1 (denied)    0 (mismatch)  low  high
//	         | xid  1 (reply)  1 (denied)    1 (auth)  auth_stat
type Reply struct {
	XID       uint32
	Status    Status
	Low, High uint32 // with ProgMismatch and RPCMismatch only
	Auth      uint32 // with AuthError only: auth_stat
	Results   []byte // with Success only: XDR of the procedure's result
}

// Err is nil for Success, else a *StatusError that holds the reply.
func (r Reply) Err() error {
	if r.Status == Success {
		return nil
	}
	return &StatusError{r}
}

// A StatusError is a reply other than Success.
type StatusError struct{ Reply Reply }

// Error gives the status, and the numbers that belong to it.
func (e *StatusError) Error() string {
	r := e.Reply
	switch r.Status {
	case ProgMismatch, RPCMismatch:
		return fmt.Sprintf("%s (it has %d to %d)", r.Status, r.Low, r.High)
	case AuthError:
		return fmt.Sprintf("%s (auth_stat %d)", r.Status, r.Auth)
	default:
		return r.Status.String()
	}
}

// AppendReply adds the message, with no verifier.
func AppendReply(b []byte, r Reply) []byte {
	b = appendUint32(b, r.XID)
	b = appendUint32(b, typeReply)
	switch r.Status {
	case RPCMismatch:
		b = appendUint32(appendUint32(b, messageDenied), rejectMismatch)
	case AuthError:
		b = appendUint32(appendUint32(b, messageDenied), rejectAuth)
		return appendUint32(b, r.Auth)
	default:
		b = appendUint32(b, messageAccepted)
		b = appendUint32(appendUint32(b, authNone), 0)
		b = appendUint32(b, uint32(r.Status))
	}
	switch r.Status {
	case ProgMismatch, RPCMismatch:
		return appendUint32(appendUint32(b, r.Low), r.High)
	case Success:
		return append(b, r.Results...)
	default:
		return b
	}
}

// DecodeReply reads a message. Results aliases it. The error, of kind
// lonja.Malformed, means that this is no reply: a reply with another status
// than Success is not an error here.
func DecodeReply(message []byte) (Reply, error) {
	c := cursor{rest: message}
	r := Reply{XID: c.uint32()}
	if c.uint32() != typeReply {
		c.fail()
	}
	switch c.uint32() {
	case messageAccepted:
		c.skipAuth()
		c.accepted(&r)
	case messageDenied:
		c.denied(&r)
	default:
		c.fail()
	}
	if err := c.err("reply"); err != nil {
		return Reply{}, err
	}
	return r, nil
}

func (c *cursor) accepted(r *Reply) {
	status := c.uint32()
	if status >= acceptedCount {
		c.fail()
		return
	}
	r.Status = Status(status)
	switch r.Status {
	case Success:
		r.Results = c.rest
	case ProgMismatch:
		r.Low, r.High = c.uint32(), c.uint32()
	}
}

func (c *cursor) denied(r *Reply) {
	switch c.uint32() {
	case rejectMismatch:
		r.Status = RPCMismatch
		r.Low, r.High = c.uint32(), c.uint32()
	case rejectAuth:
		r.Status = AuthError
		r.Auth = c.uint32()
	default:
		c.fail()
	}
}
