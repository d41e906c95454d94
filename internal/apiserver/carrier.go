package apiserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/frames"
)

// Some requests fail before a method is asked: they do not parse, or are too long.
// The carrier says so itself, and knows nothing of kinds. What follows gives these
// errors their detail too, so that programs find it in every one.

// carrierKinds are the kinds of errors of the carrier's own making. All others, and
// what it does not know itself, are Internal.
var carrierKinds = map[connect.Code]lonja.Kind{
	connect.CodeInvalidArgument:   lonja.Invalid,
	connect.CodeResourceExhausted: lonja.Invalid, // the message is too long
	connect.CodeUnimplemented:     lonja.Invalid, // a compression that is not known, say
	connect.CodeCanceled:          lonja.Canceled,
	connect.CodeDeadlineExceeded:  lonja.Canceled,
	connect.CodeUnavailable:       lonja.Unavailable,
	connect.CodeUnknown:           lonja.Unavailable, // the message broke off
}

// carrierFailure is the detail of an error of the carrier's own making.
func carrierFailure(code connect.Code, message string) *api.Failure {
	kind, sentence := frames.Tell(lonja.E(carrierKinds[code], "", errors.New(message)))
	return &api.Failure{Kind: api.Kind(kind), Sentence: sentence}
}

// withFailures gives the errors of a handler their detail, where its own have none.
// It is for requests with one answer, whose errors are JSON in every case; those of
// streams go through an interceptor.
func withFailures(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hasOneAnswer(r) {
			next.ServeHTTP(w, r)
			return
		}
		held := &heldError{ResponseWriter: w}
		next.ServeHTTP(held, r)
		held.tell()
	})
}

// hasOneAnswer reports whether a request is what the Connect protocol calls unary.
func hasOneAnswer(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	return r.Method == http.MethodGet || strings.HasPrefix(kind, "application/json") || strings.HasPrefix(kind, "application/proto")
}

// A heldError holds an answer back if it is an error, and lets all others pass.
type heldError struct {
	http.ResponseWriter
	status int // of the error; 0 for none
	body   bytes.Buffer
}

// Unwrap is for http.ResponseController.
func (h *heldError) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (h *heldError) WriteHeader(status int) {
	if status >= http.StatusBadRequest && h.Header().Get("Content-Type") == "application/json" {
		h.status = status
		return
	}
	h.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (h *heldError) Write(b []byte) (int, error) {
	if h.status != 0 {
		return h.body.Write(b) // at most frames.MaxAnswer, by the carrier
	}
	return h.ResponseWriter.Write(b)
}

// An errorBody is an error as the Connect protocol writes it.
type errorBody struct {
	Code    connect.Code      `json:"code"`
	Message string            `json:"message,omitempty"`
	Details []json.RawMessage `json:"details,omitempty"`
}

// A detailBody is a detail of one, with its message in the form for people beside it.
type detailBody struct {
	Type  string          `json:"type"`
	Value string          `json:"value"`
	Debug json.RawMessage `json:"debug,omitempty"`
}

// tell sends the error, with its detail.
func (h *heldError) tell() {
	if h.status == 0 {
		return
	}
	body := h.body.Bytes()
	var e errorBody
	if err := json.Unmarshal(body, &e); err == nil && len(e.Details) == 0 {
		if detail, err := detailOf(carrierFailure(e.Code, e.Message)); err == nil {
			e.Details = []json.RawMessage{detail}
			if complete, err := json.Marshal(e); err == nil {
				body = complete
			}
		}
	}
	h.Header().Del("Content-Length")
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(body) // who is gone needs no answer
}

func detailOf(f *api.Failure) (json.RawMessage, error) {
	value, err := f.MarshalVT()
	if err != nil {
		return nil, err
	}
	debug, err := protojson.Marshal(f)
	if err != nil {
		return nil, err
	}
	return json.Marshal(detailBody{
		Type: string(f.ProtoReflect().Descriptor().FullName()), Value: base64.RawStdEncoding.EncodeToString(value), Debug: debug,
	})
}
