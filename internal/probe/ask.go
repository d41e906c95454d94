package probe

import (
	"context"
	"io"
	"net"
	"time"

	"lonja/internal/classic"
)

// That a connection comes about is all that a probe wants to know. But what
// listens there are programs of others, which accept it and read a request:
//
//   - the original takes the end of the connection for empty strings, answers
//     "other" and logs a warning; a reset makes it log a stack trace;
//   - others that were written for the same assignment read on at the end of
//     the connection, for ever, and some do so in the one thread that they
//     serve with; a reset ends that thread.
//
// So neither way of hanging up is harmless, and what is harmless is a whole
// request: it is what every one of them expects. The question is for a file
// that nobody has. The original looks on its disk whether it is there; all
// answer "no such file" and close, which also leaves the closed connection's
// last state (TIME_WAIT) on their machine, one each, and not all on ours.
var question = classic.AppendPeerRequest(nil, classic.PeerRequest{Name: "/lonja/are-you-there"})

const (
	// answerPatience is how long the answer is waited for. A peer that is busy
	// with a transfer may answer much later; to it we are then a peer that has
	// gone, behind a whole request.
	answerPatience = 2 * time.Second
	// maxAnswer is what is read of a peer that has such a file after all.
	maxAnswer = 1 << 10
)

// ask probes one lease.
func (p *prober) ask(ctx context.Context, l lease) {
	dialing, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	conn, err := p.opts.Dial(dialing, l.At)
	if err != nil && ctx.Err() != nil {
		return // we gave up, not the user
	}
	p.judge(l, outcomeOf(err))
	if err == nil {
		talk(ctx, conn)
	}
}

// talk says what has to be said on a connection before it may be closed.
func talk(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerPatience)) // fails only on a closed connection
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(question); err == nil {
		_, _ = io.CopyN(io.Discard, conn, maxAnswer) // whatever it is
	}
}
