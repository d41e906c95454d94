package oplog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"lonja"
	"lonja/internal/oncrpc"
)

const (
	// rpcbindTime bounds a conversation with rpcbind, which answers from memory.
	rpcbindTime = 3 * time.Second

	// maxRpcbindRecord bounds an answer of rpcbind, in bytes: a thousand
	// registrations.
	maxRpcbindRecord = 64 << 10
)

// A rpcbind is a conversation with one: some calls, one after the other, over
// one connection. It ends with Close, with the context that dialed it, or after
// rpcbindTime.
type rpcbind struct {
	conn    net.Conn
	records *oncrpc.RecordReader
	xid     uint32
	release func() bool // lets go of the context
}

// newRpcbind takes over a connection to an rpcbind.
func newRpcbind(ctx context.Context, conn net.Conn) (*rpcbind, error) {
	if err := conn.SetDeadline(time.Now().Add(rpcbindTime)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &rpcbind{
		conn:    conn,
		records: oncrpc.NewRecordReader(conn, maxRpcbindRecord),
		xid:     rand.Uint32(),
		release: context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }),
	}, nil
}

// Close ends the conversation.
func (r *rpcbind) Close() error {
	r.release()
	return r.conn.Close()
}

// call performs one procedure and returns its results, valid until the next.
func (r *rpcbind) call(version, procedure uint32, args []byte) ([]byte, error) {
	r.xid++
	message := oncrpc.AppendCall(nil, oncrpc.Call{
		XID: r.xid, Program: oncrpc.RpcbindProgram, Version: version, Procedure: procedure, Args: args,
	})
	if _, err := r.conn.Write(oncrpc.AppendRecord(nil, message)); err != nil {
		return nil, err
	}
	record, err := r.records.Next()
	if err != nil {
		return nil, err
	}
	reply, err := oncrpc.DecodeReply(record)
	switch {
	case err != nil:
		return nil, err
	case reply.XID != r.xid:
		return nil, lonja.E(lonja.Malformed, "rpcbind", fmt.Errorf("answer to call %d, not %d", reply.XID, r.xid))
	}
	return reply.Results, reply.Err()
}

// port asks where the operation log listens over IPv4: 0 for nowhere.
func (r *rpcbind) port(protocol uint32) (uint16, error) {
	results, err := r.call(oncrpc.PortmapVersion, oncrpc.PortmapGetPort, oncrpc.AppendMapping(nil, oncrpc.Mapping{
		Program: oncrpc.LoggerProgram, Version: oncrpc.LoggerVersion, Protocol: protocol,
	}))
	if err != nil {
		return 0, err
	}
	return oncrpc.DecodePort(results)
}

// entries asks where the operation log listens, over the family of addresses
// that the conversation runs over.
func (r *rpcbind) entries() ([]oncrpc.Entry, error) {
	results, err := r.call(oncrpc.RpcbindVersion4, oncrpc.RpcbindGetAddrList, oncrpc.AppendBinding(nil, loggerBinding()))
	if err != nil {
		return nil, err
	}
	return oncrpc.DecodeEntries(results)
}

// dump asks for all registrations.
func (r *rpcbind) dump() ([]oncrpc.Binding, error) {
	results, err := r.call(oncrpc.RpcbindVersion4, oncrpc.RpcbindDump, nil)
	if err != nil {
		return nil, err
	}
	return oncrpc.DecodeBindings(results)
}

// change performs one of the Set and Unset procedures.
func (r *rpcbind) change(version, procedure uint32, args []byte) (done bool, err error) {
	results, err := r.call(version, procedure, args)
	if err != nil {
		return false, err
	}
	return oncrpc.DecodeDone(results)
}

// loggerBinding is the operation log, on no network in particular.
func loggerBinding() oncrpc.Binding {
	return oncrpc.Binding{Program: oncrpc.LoggerProgram, Version: oncrpc.LoggerVersion}
}
