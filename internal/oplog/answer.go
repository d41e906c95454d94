package oplog

import (
	"errors"

	"lonja"
	"lonja/internal/oncrpc"
)

// An answer is what the service makes of one message.
type answer struct {
	reply oncrpc.Reply
	logs  bool // entry is to be printed before reply is sent
	entry lonja.OperationRecord
}

// answerTo decides on a message, in the order of RFC 5531 §9: program, version,
// procedure, arguments. The error means that the message is no call at all, and
// gets no answer.
func answerTo(message []byte) (answer, error) {
	call, err := oncrpc.DecodeCall(message)
	if denied, ok := errors.AsType[*oncrpc.StatusError](err); ok {
		return answer{reply: denied.Reply}, nil
	}
	if err != nil {
		return answer{}, err
	}
	a := answer{reply: oncrpc.Reply{XID: call.XID}}
	switch {
	case call.Program != oncrpc.LoggerProgram:
		a.reply.Status = oncrpc.ProgUnavailable
	case call.Version != oncrpc.LoggerVersion:
		a.reply.Status = oncrpc.ProgMismatch
		a.reply.Low, a.reply.High = oncrpc.LoggerVersion, oncrpc.LoggerVersion
	case call.Procedure == oncrpc.NullProcedure:
	case call.Procedure != oncrpc.LogOperation:
		a.reply.Status = oncrpc.ProcUnavailable
	default:
		if a.entry, err = oncrpc.DecodeLogEntry(call.Args); err != nil {
			a.reply.Status = oncrpc.GarbageArgs
		}
		a.logs = err == nil
	}
	return a, nil
}
