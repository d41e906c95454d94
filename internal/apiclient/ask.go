package apiclient

import (
	"context"
	"errors"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/frames"
)

// mostAttempts is how often a request that was not sent is sent again, each time
// on a new connection.
const mostAttempts = 3

// A subject is what a request is about, for its errors.
type subject struct {
	op     string
	method api.Method
	user   lonja.UserName
	file   lonja.FileName
}

// A question can be written, an answer read.
type (
	question interface {
		MarshalVT() ([]byte, error)
	}
	answer[A any] interface {
		*A
		UnmarshalVT([]byte) error
	}
)

// ask makes a request and reads its answer with read, which checks it.
func ask[A, T any, PA answer[A]](ctx context.Context, c *Client, s subject, q question, read func(PA) (T, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	body, err := q.MarshalVT()
	if err != nil {
		return none, s.failed(ctx, lonja.E(lonja.Internal, s.op, err))
	}
	var b []byte
	err = c.onConnection(ctx, func(l *link) error {
		b, err = l.Call(ctx, uint16(s.method), body)
		return err
	})
	if err != nil {
		return none, s.failed(ctx, err)
	}
	a := PA(new(A))
	if err := a.UnmarshalVT(b); err != nil {
		return none, s.failed(ctx, lonja.E(lonja.Malformed, s.op, err))
	}
	t, err := read(a)
	if err != nil { // an answer that breaks the rules for requests
		return none, s.failed(ctx, lonja.E(lonja.Malformed, s.op, err))
	}
	return t, nil
}

// onConnection has do ask on a connection, and again on another one if nobody
// was asked.
func (c *Client) onConnection(ctx context.Context, do func(*link) error) error {
	var err error
	for range mostAttempts {
		var l *link
		if l, err = c.connection(ctx); err != nil {
			return err
		}
		if err = do(l); !errors.Is(err, frames.ErrUnsent) || ctx.Err() != nil {
			break
		}
	}
	if errors.Is(err, frames.ErrUnsent) {
		return undialled(lonja.KindOf(err), err)
	}
	return err
}

// do makes a request whose answer says nothing but that it was done.
func do[A any, PA answer[A]](ctx context.Context, c *Client, s subject, q question, _ PA) error {
	_, err := ask(ctx, c, s, q, func(PA) (struct{}, error) { return struct{}{}, nil })
	return err
}

// failed says what failed, and that it was the caller who gave up where that is
// so. A directory that is too slow cannot be reached.
func (s subject) failed(ctx context.Context, err error) error {
	kind, cause := lonja.KindOf(err), err
	if context.Cause(ctx) == context.Canceled {
		kind = lonja.Canceled
	} else if kind == lonja.Canceled { // its time has run out, here or there
		kind = lonja.Unavailable
	}
	if e, ok := err.(*lonja.Error); ok && e.Err == nil {
		cause = nil
	} else if ok {
		cause = e.Err
	}
	return &lonja.Error{Kind: kind, Op: s.op, User: s.user, File: s.file, Err: cause}
}
