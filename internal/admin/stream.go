package admin

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"lonja"
)

const jsonLines = "application/jsonl"

// streamBuffer is what a stream gathers before it writes. As long as nothing
// is written, a failure still has a status of its own.
const streamBuffer = 32 << 10

// operation returns the handler of an operation: it finds the directory, and
// makes sure that neither side waits for ever.
func (s *Server) operation(name string, perform func(*call)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		current, why := s.enter()
		if current == nil {
			refuse(w, http.StatusServiceUnavailable, why)
			return
		}
		defer current.running.Done()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(current.ctx, cancel)()

		conn := http.NewResponseController(w)
		// Whoever reads or writes does not look at contexts.
		defer context.AfterFunc(ctx, func() {
			_ = conn.SetReadDeadline(time.Now())
			_ = conn.SetWriteDeadline(time.Now().Add(lastWords))
		})()
		log := s.opts.Log.With(slog.String("operation", name))
		out := &stream{ctx: ctx, w: w, conn: conn, stall: s.opts.StallTimeout, trailers: takesTrailers(r), log: log}
		out.buffer = bufio.NewWriterSize((*patientWriter)(out), streamBuffer)
		perform(&call{
			place: s.opts.Place,
			ctx:   ctx, dir: current.dir, w: w, out: out,
			body: &patientReader{ctx, r.Body, conn, s.opts.StallTimeout},
		})
	}
}

// lastWords is how long an answer may still take when its operation was ended.
const lastWords = time.Second

// takesTrailers reports whether the client reads what comes after an answer.
func takesTrailers(r *http.Request) bool {
	return strings.Contains(strings.ToLower(r.Header.Get("TE")), "trailers")
}

// A stream is an answer of any length. Its first bytes wait, in case that
// there is nothing but a failure to tell.
type stream struct {
	ctx      context.Context
	w        http.ResponseWriter
	conn     *http.ResponseController
	buffer   *bufio.Writer
	kind     string // Content-Type
	stall    time.Duration
	begun    bool
	trailers bool
	log      *slog.Logger
}

// Write implements io.Writer.
func (s *stream) Write(b []byte) (int, error) { return s.buffer.Write(b) }

// end finishes the answer, so that its reader knows whether it is whole.
func (s *stream) end(err error) {
	if err == nil {
		err = s.buffer.Flush()
	}
	switch {
	case err == nil:
		s.begin()
	case !s.begun:
		fail(s.w, err, nil)
	case s.trailers:
		_ = s.buffer.Flush()
		s.w.Header().Set(http.TrailerPrefix+ErrorTrailer, lonja.Printable(err.Error()))
	default:
		s.log.Warn("a stream was cut short", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	}
}

func (s *stream) begin() {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", s.kind)
		s.w.Header().Set("Cache-Control", "no-store")
	}
}

// A patientWriter is the way of a stream to its reader, who may stand still
// for a while.
type patientWriter stream

// Write implements io.Writer.
func (p *patientWriter) Write(b []byte) (int, error) {
	(*stream)(p).begin()
	_ = p.conn.SetWriteDeadline(time.Now().Add(p.stall))
	if p.ctx.Err() != nil { // perhaps before the deadline was put off
		_ = p.conn.SetWriteDeadline(time.Now().Add(lastWords))
	}
	return p.w.Write(b)
}

// A patientReader is a request's body, whose sender may stand still for a
// while.
type patientReader struct {
	ctx   context.Context
	body  io.Reader
	conn  *http.ResponseController
	stall time.Duration
}

// Read implements io.Reader. Its error says which side broke off.
func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(p.stall))
	if p.ctx.Err() != nil { // perhaps before the deadline was put off
		return 0, lonja.E(lonja.Canceled, "read the request", p.ctx.Err())
	}
	n, err := p.body.Read(b)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		// The end of the body is not that of the connection, on which the
		// server waits for the client to go.
		_ = p.conn.SetReadDeadline(time.Time{})
		return n, err
	case p.ctx.Err() != nil:
		return n, lonja.E(lonja.Canceled, "read the request", p.ctx.Err())
	}
	return n, lonja.E(lonja.Unavailable, "read the request", err)
}
