package apiserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/directory/directorytest"
	"lonja/internal/frames"
	"lonja/internal/identity"
	"lonja/internal/statement"
)

// What a stranger may send before it has proved any key: the requests of all
// methods, in frames and over HTTP.

// A fuzzed is a server of which each request is made by somebody: with the key of
// a user who is there, with another one, or with none.
type fuzzed struct {
	*Server
	callers  []*caller
	requests []namedRequest
}

// A namedRequest is a real one.
type namedRequest struct {
	method api.Method
	proto.Message
}

// methodNames are those of the service, by number.
func methodNames() map[api.Method]protoreflect.MethodDescriptor {
	names := make(map[api.Method]protoreflect.MethodDescriptor)
	methods := api.File_lonja_v1_directory_proto.Services().ByName("Directory").Methods()
	for i := range methods.Len() {
		for number, name := range api.Method_name {
			if strings.EqualFold("METHOD"+string(methods.Get(i).Name()), strings.ReplaceAll(name, "_", "")) {
				names[api.Method(number)] = methods.Get(i)
			}
		}
	}
	return names
}

func newFuzzed(f *testing.F) *fuzzed {
	f.Helper()
	ok := func(err error) {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
	}
	ctx := f.Context()
	dir := directorytest.New(f)
	var keys [3]identity.Key
	for i := range keys {
		var err error
		keys[i], err = identity.NewKey()
		ok(err)
	}
	ana := lonja.Member{User: "ana", Key: keys[0].PublicKey()}
	ways := []lonja.Endpoint{lonja.EndpointFrom(netip.MustParseAddr("127.0.0.1"), 4445)}
	ok(dir.RegisterMember(ctx, ana, ""))
	ok(dir.ConnectMember(ctx, ana, ways))
	p, err := statement.SignPublication(lonja.Publication{Owner: "ana", Listing: lonja.Listing{
		Name: "a file", Description: "about it", Size: 7, Proof: &lonja.Proof{File: lonja.FileID{1}, Date: 1, Audience: []lonja.UserName{"luis"}},
	}}, keys[0])
	ok(err)
	e, err := statement.SignEndorsement(lonja.Endorsement{User: "ana", Key: keys[1].PublicKey(), Label: "laptop", Date: 1}, keys[0])
	ok(err)
	e.Consent, err = statement.SignConsent("ana", ana.Key, keys[1])
	ok(err)
	r, err := statement.SignRevocation(lonja.Revocation{User: "ana", Key: keys[1].PublicKey(), Date: 2}, keys[0])
	ok(err)
	listing := p.Listing
	s := &fuzzed{Server: New(Options{Directory: dir, TLS: &tls.Config{}, Issue: func(lonja.Member, uint64) (Certificate, error) {
		return Certificate{Chain: [][]byte{{1}}}, nil
	}})}
	for _, key := range []lonja.PublicKey{ana.Key, keys[2].PublicKey(), {}} {
		s.callers = append(s.callers, &caller{key: key, from: ways[0].AddrPort})
	}
	query := &lonja.Query{Words: "file about", Extension: "ogg", MinSize: 1, MaxSize: 9, Owner: "ana", OnlineOnly: true}
	s.requests = []namedRequest{
		{api.Method_METHOD_REGISTER, &api.RegisterRequest{User: "luis", Invitation: "secret", WithoutKey: true}},
		{api.Method_METHOD_UNREGISTER, &api.UnregisterRequest{User: "luis"}},
		{api.Method_METHOD_CLAIM, &api.ClaimRequest{User: "luis"}},
		{api.Method_METHOD_AUTHORIZE, &api.AuthorizeRequest{User: "ana"}},
		{api.Method_METHOD_KEYS, &api.KeysRequest{Owner: "ana"}},
		{api.Method_METHOD_ADD_KEY, &api.AddKeyRequest{User: "ana", Endorsement: api.FromEndorsement(&e)}},
		{api.Method_METHOD_REVOKE_KEY, &api.RevokeKeyRequest{User: "ana", Revocation: api.FromRevocation(&r)}},
		{api.Method_METHOD_REVOCATIONS, &api.RevocationsRequest{Since: 1, Limit: 10}},
		{api.Method_METHOD_CONNECT, &api.ConnectRequest{User: "luis", Ways: []string{"0.0.0.0:4445"}, WithoutKey: true}},
		{api.Method_METHOD_RENEW, &api.RenewRequest{User: "ana", Ways: []string{"[2001:db8::1]:4445"}, Certificate: true}},
		{api.Method_METHOD_DISCONNECT, &api.DisconnectRequest{User: "luis"}},
		{api.Method_METHOD_PUBLISH, &api.PublishRequest{User: "ana", Listing: api.FromListing(&listing)}},
		{api.Method_METHOD_DELETE, &api.DeleteRequest{User: "ana", Name: "another file"}},
		{api.Method_METHOD_CONTENT_DIGEST, &api.ContentDigestRequest{User: "ana"}},
		{api.Method_METHOD_USERS, &api.UsersRequest{User: "ana", After: "a", Limit: 10}},
		{api.Method_METHOD_CONTENT, &api.ContentRequest{User: "ana", Owner: "ana", Limit: 1}},
		{api.Method_METHOD_HOLDERS, &api.HoldersRequest{User: "ana", File: p.Proof.File[:]}},
		{api.Method_METHOD_SEARCH, &api.SearchRequest{User: "ana", Query: api.FromQuery(query), Limit: 3}},
		{api.Method_METHOD_WATCH, api.FromFilter(ana, &lonja.EventFilter{Presence: true, Matching: query, Holders: []lonja.FileID{{1}}})},
		{api.Method_METHOD_CERTIFICATE, &api.CertificateRequest{User: "ana"}},
		{api.Method_METHOD_FETCHING, &api.FetchingRequest{User: "ana", Files: [][]byte{p.Proof.File[:]}}},
	}
	if got, want := len(s.requests), len(methodNames()); got != want {
		f.Fatalf("there are requests for %d of %d methods", got, want)
	}
	return s
}

// errEnough ends a stream.
var errEnough = errors.New("enough")

// asks performs a request as it would come in a frame.
func (s *fuzzed) asks(t *testing.T, by *caller, method uint16, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(withCaller(t.Context(), by), time.Minute)
	defer cancel()
	service := frameService{s.Server}
	switch service.Way(method) {
	case frames.Unknown:
		return nil, lonja.Invalid
	case frames.Streaming:
		var first []byte
		err := service.Stream(ctx, method, body, func(b []byte) error { first = bytes.Clone(b); return errEnough })
		if errors.Is(err, errEnough) {
			err = nil
		}
		return first, err
	}
	return service.Answer(ctx, method, body, nil)
}

// FuzzFrameRequests: whatever comes as the body of a request, of whichever method
// and from whomever, is answered with a message of that method that everybody can
// read, or with an error that is the caller's.
func FuzzFrameRequests(f *testing.F) {
	s := newFuzzed(f)
	names := methodNames()
	for _, r := range s.requests {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		for by := range s.callers {
			f.Add(uint16(r.method), byte(by), b)
		}
	}
	f.Fuzz(func(t *testing.T, method uint16, by byte, body []byte) {
		answer, err := s.asks(t, s.callers[int(by)%len(s.callers)], method, body)
		if err != nil {
			if kind := lonja.KindOf(err); kind == lonja.Internal || kind == lonja.Malformed {
				t.Errorf("%v: %v", api.Method(method), err)
			}
			return
		}
		if len(answer) > frames.MaxAnswer {
			t.Errorf("%v: an answer of %d bytes", api.Method(method), len(answer))
		}
		kind, err := protoregistry.GlobalTypes.FindMessageByName(names[api.Method(method)].Output().FullName())
		if err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(answer, kind.New().Interface()); err != nil {
			t.Errorf("%v: the answer cannot be read: %v", api.Method(method), err)
		}
	})
}

// contentTypes are the forms in which requests come over HTTP.
var contentTypes = []string{
	"application/json", "application/proto", "application/connect+json", "application/connect+proto",
	"application/grpc-web+proto", "application/grpc-web+json", "application/grpc-web-text", "application/grpc", "text/plain",
}

// An overTheWire is a request over HTTP as a fuzzer makes it.
type overTheWire struct {
	method  string // the last part of the path
	form    byte   // which of contentTypes
	packed  string // Content-Encoding
	user    string // in the header
	inQuery bool   // a GET
}

// request returns it with that body.
func (o overTheWire) request(ctx context.Context, body []byte) *http.Request {
	contentType := contentTypes[int(o.form)%len(contentTypes)]
	path := "/lonja.v1.Directory/" + url.PathEscape(o.method)
	if o.inQuery {
		_, encoding, _ := strings.Cut(contentType, "/")
		query := url.Values{"connect": {"v1"}, "encoding": {encoding}, "compression": {o.packed}, "message": {string(body)}}
		return httptest.NewRequestWithContext(ctx, http.MethodGet, path+"?"+query.Encode(), nil)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Encoding", o.packed)
	r.Header.Set("Connect-Content-Encoding", o.packed)
	r.Header.Set(UserHeader, o.user)
	return r
}

// An endingRecorder takes an answer, and ends a stream after so much of it.
type endingRecorder struct {
	*httptest.ResponseRecorder
	end context.CancelFunc
}

func (e *endingRecorder) Flush() {
	e.ResponseRecorder.Flush()
	e.end()
}

// FuzzHTTPRequests: the same for what comes over HTTP, as JSON and as protobuf,
// in all forms that Connect takes.
func FuzzHTTPRequests(f *testing.F) {
	s := newFuzzed(f)
	names := methodNames()
	for i, r := range s.requests {
		name := string(names[r.method].Name())
		binary, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		text, err := protojson.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		enveloped := func(b []byte) []byte { return append([]byte{0, 0, 0, 0, byte(len(b))}, b...) }
		for form, body := range [][]byte{text, binary, enveloped(text), enveloped(binary), enveloped(binary), enveloped(text)} {
			f.Add(name, byte(form), byte(i), "", "", false, body)
		}
		f.Add(name, byte(0), byte(i), "", "ana", true, text)
		f.Add(name, byte(1), byte(i), "gzip", "ana", true, binary)
	}
	f.Fuzz(func(t *testing.T, method string, form, by byte, packed, user string, inQuery bool, body []byte) {
		ctx, cancel := context.WithTimeout(withCaller(t.Context(), s.callers[int(by)%len(s.callers)]), time.Minute)
		defer cancel()
		answer := &endingRecorder{httptest.NewRecorder(), cancel}
		s.http.ServeHTTP(answer, overTheWire{method, form, packed, user, inQuery}.request(ctx, body))
		if answer.Code >= 500 && answer.Code != http.StatusNotImplemented && answer.Code != http.StatusGatewayTimeout {
			t.Errorf("%s: %d %s", method, answer.Code, answer.Body)
		}
		if text := answer.Body.Bytes(); strings.HasPrefix(answer.Header().Get("Content-Type"), "application/json") && !json.Valid(text) {
			t.Errorf("%s: answers no JSON: %q", method, text)
		}
	})
}
