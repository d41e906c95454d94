package apiserver

import (
	"context"
	"errors"
	"slices"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/frames"
)

// frameService performs what comes in frames.
type frameService struct{ *Server }

// A method is how one of them is served.
type method struct {
	way    frames.Way
	answer func(s *Server, ctx context.Context, body, b []byte) ([]byte, error) // not of Watch
}

// Reads come out of memory at once; all else may wait for the store.
var methods = [...]method{
	api.Method_METHOD_REGISTER:       unary(frames.Waiting, (*Server).Register),
	api.Method_METHOD_UNREGISTER:     unary(frames.Waiting, (*Server).Unregister),
	api.Method_METHOD_CLAIM:          unary(frames.Waiting, (*Server).Claim),
	api.Method_METHOD_AUTHORIZE:      unary(frames.Inline, (*Server).Authorize),
	api.Method_METHOD_KEYS:           unary(frames.Inline, (*Server).Keys),
	api.Method_METHOD_ADD_KEY:        unary(frames.Waiting, (*Server).AddKey),
	api.Method_METHOD_REVOKE_KEY:     unary(frames.Waiting, (*Server).RevokeKey),
	api.Method_METHOD_REVOCATIONS:    unary(frames.Waiting, (*Server).Revocations),
	api.Method_METHOD_CONNECT:        unary(frames.Waiting, (*Server).Connect),
	api.Method_METHOD_RENEW:          unary(frames.Waiting, (*Server).Renew),
	api.Method_METHOD_DISCONNECT:     unary(frames.Waiting, (*Server).Disconnect),
	api.Method_METHOD_PUBLISH:        unary(frames.Waiting, (*Server).Publish),
	api.Method_METHOD_DELETE:         unary(frames.Waiting, (*Server).Delete),
	api.Method_METHOD_CONTENT_DIGEST: unary(frames.Inline, (*Server).ContentDigest),
	api.Method_METHOD_USERS:          unary(frames.Inline, (*Server).Users),
	api.Method_METHOD_CONTENT:        unary(frames.Inline, (*Server).Content),
	api.Method_METHOD_HOLDERS:        unary(frames.Inline, (*Server).Holders),
	api.Method_METHOD_SEARCH:         unary(frames.Inline, (*Server).Search),
	api.Method_METHOD_WATCH:          {way: frames.Streaming},
	api.Method_METHOD_CERTIFICATE:    unary(frames.Waiting, (*Server).Certificate),
	api.Method_METHOD_FETCHING:       unary(frames.Waiting, (*Server).Fetching),
}

// A question is a message that can be read, an answer one that can be written.
type (
	question[Q any] interface {
		*Q
		UnmarshalVT([]byte) error
	}
	answer interface {
		SizeVT() int
		MarshalToSizedBufferVT([]byte) (int, error)
	}
)

func unary[Q any, PQ question[Q], A answer](way frames.Way, do func(*Server, context.Context, PQ) (A, error)) method {
	return method{way, func(s *Server, ctx context.Context, body, b []byte) ([]byte, error) {
		asked := PQ(new(Q))
		if err := asked.UnmarshalVT(body); err != nil {
			return nil, errUnreadable(err)
		}
		answered, err := do(s, ctx, asked)
		if err != nil {
			return nil, err
		}
		return appendMessage(b, answered)
	}}
}

func errUnreadable(err error) error {
	return lonja.E(lonja.Invalid, "parse", errors.New("the request is no message of its method: "+err.Error()))
}

func appendMessage(b []byte, m answer) ([]byte, error) {
	size := m.SizeVT()
	b = slices.Grow(b, size)
	if _, err := m.MarshalToSizedBufferVT(b[len(b) : len(b)+size]); err != nil {
		return nil, lonja.E(lonja.Internal, "answer", err)
	}
	return b[:len(b)+size], nil
}

// Way implements frames.Service.
func (f frameService) Way(number uint16) frames.Way {
	if int(number) >= len(methods) {
		return frames.Unknown
	}
	return methods[number].way
}

// Answer implements frames.Service.
func (f frameService) Answer(ctx context.Context, number uint16, body, b []byte) ([]byte, error) {
	return methods[number].answer(f.Server, ctx, body, b)
}

// Stream implements frames.Service. There is one: Watch.
func (f frameService) Stream(ctx context.Context, _ uint16, body []byte, send func([]byte) error) error {
	var asked api.WatchRequest
	if err := asked.UnmarshalVT(body); err != nil {
		return errUnreadable(err)
	}
	var b []byte
	return f.watch(ctx, &asked, func(m *api.WatchAnswer) (err error) {
		if b, err = appendMessage(b[:0], m); err != nil {
			return err
		}
		return send(b)
	})
}
