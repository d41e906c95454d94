package oncrpc

// The numbers of RFC 5531 §9 that both directions use.
const (
	rpcVersion = 2

	typeCall  = 0
	typeReply = 1

	// authNone is the flavor of a credential that says nothing (§10.1). It is
	// the only one sent here. Whatever else comes is skipped: the operation log
	// believes what a call says, as every logger of this protocol does.
	authNone = 0

	// maxAuth bounds the body of a credential or verifier, in bytes (§8.2).
	maxAuth = 400
)

// NullProcedure does nothing, in every program (RFC 5531 §12.1).
const NullProcedure = 0

// A Call asks for one procedure.
//
//	message = xid  0 (call)  2 (RPC version)  program  version  procedure
//	          credential  verifier  arguments...
//	credential, verifier = flavor  length  bytes, up to 400
type Call struct {
	XID       uint32 // chosen by the caller, returned in the reply
	Program   uint32
	Version   uint32
	Procedure uint32
	Args      []byte // XDR of the procedure's argument
}

// AppendCall adds the message, with no credential and no verifier.
func AppendCall(b []byte, c Call) []byte {
	for _, v := range [...]uint32{
		c.XID, typeCall, rpcVersion, c.Program, c.Version, c.Procedure,
		authNone, 0, authNone, 0,
	} {
		b = appendUint32(b, v)
	}
	return append(b, c.Args...)
}

// DecodeCall reads a message. Args aliases it.
//
// A *StatusError is a call that must not be performed: its Reply is what to
// answer. Any other error, of kind lonja.Malformed, means that this is no call
// and there is nothing to answer.
func DecodeCall(message []byte) (Call, error) {
	c := cursor{rest: message}
	call := Call{XID: c.uint32()}
	if c.uint32() != typeCall {
		c.fail()
	}
	version := c.uint32()
	if err := c.err("call"); err != nil {
		return Call{}, err
	}
	if version != rpcVersion {
		return call, &StatusError{Reply{XID: call.XID, Status: RPCMismatch, Low: rpcVersion, High: rpcVersion}}
	}
	call.Program, call.Version, call.Procedure = c.uint32(), c.uint32(), c.uint32()
	if err := c.err("call"); err != nil {
		return Call{}, err
	}
	if !c.skipAuth() {
		return call, &StatusError{Reply{XID: call.XID, Status: AuthError, Auth: AuthBadCredential}}
	}
	if !c.skipAuth() {
		return call, &StatusError{Reply{XID: call.XID, Status: AuthError, Auth: AuthBadVerifier}}
	}
	call.Args = c.rest
	return call, nil
}

// skipAuth passes over a credential or verifier of any flavor, and reports
// whether there was one.
func (c *cursor) skipAuth() bool {
	c.uint32() // flavor
	c.bytes(maxAuth)
	return !c.failed
}
