package apiserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"lonja/internal/api"
	"lonja/internal/api/apiconnect"
	"lonja/internal/apiserver"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
)

func site(t *testing.T, setup apitest.Setup) *apitest.Site {
	t.Helper()
	if setup.Directory == nil {
		setup.Directory = directorytest.New(t)
	}
	return apitest.Start(t, setup)
}

func httpClient(t *testing.T, s *apitest.Site, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: s.TLS(certificates...)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post is what a script does with curl.
func post(t *testing.T, c *http.Client, s *apitest.Site, method, body string, header ...string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.Address+"/lonja.v1.Directory/"+method, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return answer.StatusCode, fields
}

// TestJSON: a script registers, connects, publishes and finds, in plain JSON.
func TestJSON(t *testing.T) {
	s := site(t, apitest.Setup{})
	c := httpClient(t, s)
	for _, step := range []struct {
		method, body string
		status       int
		answer       string
	}{
		{"Register", `{"user":"ana","withoutKey":true}`, 200, `{}`},
		{"Register", `{"user":"ana","withoutKey":true}`, 409, `{"code":"already_exists","message":"user name is in use"}`},
		{"Register", `{"user":"luis"}`, 403, `{"code":"permission_denied","message":"this needs a key: present a TLS client certificate of an Ed25519 key"}`},
		{"Users", `{"user":"ana"}`, 400, `{"code":"failed_precondition","message":"user is not connected"}`},
		{"Connect", `{"user":"ana","node":"YQ=="}`, 400, `{"code":"invalid_argument","message":"a node's number of 1 bytes, not 16"}`},
		{"Renew", `{"user":"ana","node":"YQ=="}`, 400, `{"code":"invalid_argument","message":"a node's number of 1 bytes, not 16"}`},
		{"Disconnect", `{"user":"ana","node":"YQ=="}`, 400, `{"code":"invalid_argument","message":"a node's number of 1 bytes, not 16"}`},
		{"Connect", `{"user":"ana","ways":["0.0.0.0:4445"],"withoutKey":true}`, 200, ``},
		{"Publish", `{"user":"ana","listing":{"name":"/music/ñu.ogg","description":"a song","size":"-1"}}`, 200, `{}`},
		{
			"Search", `{"user":"ana","query":{"words":"song"}}`, 200,
			`{"found":[{"holders":"1","listing":{"description":"a song","name":"/music/ñu.ogg","size":"-1"},"online":"1","owner":"ana"}]}`,
		},
		{"Users", `{"user":"ana"}`, 200, `{"peers":[{"at":"127.0.0.1:4445","user":"ana"}]}`},
		{"Users", `{"user":"ana","limit":5000}`, 400, `{"code":"invalid_argument","message":"a page of 5000, not 1 to 1000"}`},
		{"Content", `{"user":"ana","owner":"nobody"}`, 404, `{"code":"not_found","message":"nobody: owner does not exist"}`},
		{"Users", `{"user":""}`, 400, `{"code":"invalid_argument","message":"user name is empty"}`},
	} {
		status, got := post(t, c, s, step.method, step.body)
		if details, ok := got["details"].([]any); ok != (status != 200) || ok && len(details) != 1 {
			t.Errorf("%s %s: got details %v", step.method, step.body, details)
		}
		delete(got, "details")
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if status != step.status || step.answer != "" && string(text) != step.answer {
			t.Errorf("%s %s:\ngot  %d %s\nwant %d %s", step.method, step.body, status, text, step.status, step.answer)
		}
	}
	if status, got := post(t, c, s, "Users", `{}`, apiserver.UserHeader, "ana"); status != 200 {
		t.Errorf("with the user in the header: got %d %v", status, got)
	}
}

// TestHTTPProvesKeys: the key of the TLS certificate counts there too.
func TestHTTPProvesKeys(t *testing.T) {
	s := site(t, apitest.Setup{})
	ana, eve, nobody := httpClient(t, s, apitest.Certificate(t)), httpClient(t, s, apitest.Certificate(t)), httpClient(t, s)
	if status, got := post(t, ana, s, "Register", `{"user":"ana"}`); status != 200 {
		t.Fatalf("got %d %v", status, got)
	}
	if status, got := post(t, ana, s, "Authorize", `{"user":"ana"}`); status != 200 {
		t.Errorf("ana: got %d %v", status, got)
	}
	for _, c := range []*http.Client{eve, nobody} {
		if status, got := post(t, c, s, "Authorize", `{"user":"ana"}`); status != 403 {
			t.Errorf("somebody else: got %d %v", status, got)
		}
	}
}

// TestConnectAndGRPCWeb: clients that are generated from the definition, in each
// of the forms that the carrier speaks.
func TestConnectAndGRPCWeb(t *testing.T) {
	s := site(t, apitest.Setup{})
	for name, opts := range map[string][]connect.ClientOption{
		"connect": nil, "gRPC-Web": {connect.WithGRPCWeb()}, "json": {connect.WithProtoJSON()}, "get": {connect.WithHTTPGet()},
		"gzip": {connect.WithSendGzip()},
	} {
		t.Run(name, func(t *testing.T) {
			c := apiconnect.NewDirectoryClient(httpClient(t, s, apitest.Certificate(t)), "https://"+s.Address, opts...)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			user := "user of " + name
			if _, err := c.Register(ctx, &api.RegisterRequest{User: user}); err != nil {
				t.Fatal(err)
			}
			_, err := c.Users(ctx, &api.UsersRequest{User: "nobody"})
			if kind := kindOf(t, err); kind != api.Kind_KIND_NO_SUCH_USER {
				t.Errorf("got %v", err)
			}
			if _, err := c.Connect(ctx, &api.ConnectRequest{User: user, Ways: []string{"0.0.0.0:4445"}}); err != nil {
				t.Fatal(err)
			}
			users, err := c.Users(ctx, &api.UsersRequest{User: user, Limit: 1})
			if err != nil || len(users.Peers) != 1 || users.Peers[0].User != user {
				t.Errorf("got %v, %v", users, err)
			}
			events, err := c.Watch(ctx, &api.WatchRequest{User: user, Presence: true})
			if err != nil {
				t.Fatal(err)
			}
			if !events.Receive() || events.Msg().Kind != api.EventKind_EVENT_KIND_EVENTS_LOST {
				t.Errorf("got event %v, %v", events.Msg(), events.Err())
			}
			stop()
			_ = events.Close()
		})
	}
}

// kindOf reads the one detail of an error.
func kindOf(t *testing.T, err error) api.Kind {
	t.Helper()
	e, ok := err.(*connect.Error)
	if !ok || len(e.Details()) != 1 {
		t.Fatalf("got %v, want an error with one detail", err)
	}
	detail, err := e.Details()[0].Value()
	if err != nil {
		t.Fatal(err)
	}
	return detail.(*api.Failure).Kind
}

// TestCarrierErrorsHaveTheirKind: programs find the kind in the error also where the
// request never came to a method, over real HTTP and in each form.
func TestCarrierErrorsHaveTheirKind(t *testing.T) {
	s := site(t, apitest.Setup{})
	c := httpClient(t, s)
	url := "https://" + s.Address + "/lonja.v1.Directory/"
	long := `{"user":"` + strings.Repeat("x", 257<<10) + `"}`
	for name, r := range map[string]*http.Request{
		"no JSON":             request(t, url+"Users", strings.NewReader("]")),
		"another type":        request(t, url+"Users", strings.NewReader(`{"limit":"many"}`)),
		"an unknown field":    request(t, url+"Users", strings.NewReader(`{"usr":"ana"}`)),
		"cut short":           request(t, url+"Users", strings.NewReader(`{"user":"an`)),
		"no protobuf":         withHeader(request(t, url+"Users", strings.NewReader("\xff\xff")), "Content-Type", "application/proto"),
		"too long":            request(t, url+"Users", strings.NewReader(long)),
		"not compressed":      withHeader(request(t, url+"Users", strings.NewReader("{}")), "Content-Encoding", "gzip"),
		"another compression": withHeader(request(t, url+"Users", strings.NewReader("{}")), "Content-Encoding", "rot13"),
		"a bad key":           request(t, url+"AddKey", strings.NewReader(`{"user":"ana","endorsement":{"key":"?"}}`)),
		"in the address":      get(t, url+"Users?connect=v1&encoding=json&message=%5D"),
	} {
		answer, err := c.Do(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var e carrierError
		err = json.NewDecoder(answer.Body).Decode(&e)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode < 400 || answer.StatusCode >= 500 && name != "another compression" || e.Code == "" || e.Message == "" {
			t.Errorf("%s: got %s, %+v, %v", name, answer.Status, e, err)
			continue
		}
		e.check(t, name)
	}
	if status, got := post(t, c, s, "Users", `{"user":"ana"}`); status != 404 || len(got["details"].([]any)) != 1 {
		t.Errorf("an error of a method: got %d %v", status, got)
	}

	// A stream has its errors at its end.
	watch := withHeader(request(t, url+"Watch", bytes.NewReader([]byte{0, 0, 0, 0, 1, ']'})), "Content-Type", "application/connect+json")
	answer, err := c.Do(watch)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	end, err := io.ReadAll(answer.Body)
	if err != nil || len(end) < 5 {
		t.Fatalf("got %q, %v", end, err)
	}
	var last struct{ Error carrierError }
	if err := json.Unmarshal(end[5:], &last); err != nil {
		t.Fatalf("%q: %v", end, err)
	}
	last.Error.check(t, "a stream")
}

// A carrierError is an error as the Connect protocol writes it.
type carrierError struct {
	Code, Message string
	Details       []struct {
		Type, Value string
		Debug       struct{ Kind, Sentence string }
	}
}

// check is for requests that are no good.
func (e *carrierError) check(t *testing.T, name string) {
	t.Helper()
	if len(e.Details) != 1 || e.Details[0].Type != "lonja.v1.Failure" {
		t.Errorf("%s: got details %+v of %s", name, e.Details, e.Message)
		return
	}
	var f api.Failure
	value, err := base64.RawStdEncoding.DecodeString(e.Details[0].Value)
	if err == nil {
		err = f.UnmarshalVT(value)
	}
	if err != nil || f.Kind != api.Kind_KIND_INVALID || f.Sentence == "" || e.Details[0].Debug.Kind != "KIND_INVALID" {
		t.Errorf("%s: got %v, %v, %+v", name, &f, err, e.Details[0].Debug)
	}
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestHostileHTTP: endless and senseless requests end, and others go on.
func TestHostileHTTP(t *testing.T) {
	s := site(t, apitest.Setup{})
	c := httpClient(t, s)
	url := "https://" + s.Address + "/lonja.v1.Directory/Publish"
	endless := struct{ io.Reader }{io.MultiReader(strings.NewReader(`{"user":"`), endlessly{})}
	for name, r := range map[string]*http.Request{
		"an endless body": request(t, url, endless),
		"a bomb":          withHeader(request(t, url, bytes.NewReader(bomb(t))), "Content-Encoding", "gzip"),
		"a huge header":   withHeader(request(t, url, strings.NewReader("{}")), "X", strings.Repeat("x", 64<<10)),
		"no message":      request(t, url, strings.NewReader("]")),
		"another path":    request(t, "https://"+s.Address+"/../etc/passwd", strings.NewReader("{}")),
	} {
		answer, err := c.Do(r)
		if err != nil {
			continue // the connection ended
		}
		_ = answer.Body.Close()
		if answer.StatusCode < 400 {
			t.Errorf("%s: got %s", name, answer.Status)
		}
	}
	if status, _ := post(t, c, s, "Register", `{"user":"ana","withoutKey":true}`); status != 200 {
		t.Errorf("afterwards: got %d", status)
	}
}

func request(t *testing.T, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return withHeader(r, "Content-Type", "application/json")
}

func withHeader(r *http.Request, name, value string) *http.Request {
	r.Header.Set(name, value)
	return r
}

// TestStopsHTTP: a port that stops does not wait for those who keep connections.
func TestStopsHTTP(t *testing.T) {
	s := site(t, apitest.Setup{})
	c := httpClient(t, s)
	if status, _ := post(t, c, s, "Register", `{"user":"ana","withoutKey":true}`); status != 200 {
		t.Fatal(status)
	}
	if status, _ := post(t, c, s, "Connect", `{"user":"ana","ways":["0.0.0.0:1"],"withoutKey":true}`); status != 200 {
		t.Fatal(status)
	}
	events, err := apiconnect.NewDirectoryClient(c, "https://"+s.Address).Watch(t.Context(), &api.WatchRequest{User: "ana"})
	if err != nil || !events.Receive() {
		t.Fatal(err, events.Err())
	}
	if _, overHTTP := s.Server.Serving(); overHTTP != 1 {
		t.Errorf("%d connections over HTTP are served, want 1", overHTTP)
	}
	begun := time.Now()
	s.Stop()
	if took := time.Since(begun); took >= apiserver.DefaultStopTimeout {
		t.Errorf("it took %v", took)
	}
	if events.Receive() || kindOf(t, events.Err()) != api.Kind_KIND_UNAVAILABLE {
		t.Errorf("the stream ended with %v", events.Err())
	}
	if in, over := s.Server.Serving(); in+over != 0 {
		t.Errorf("%d and %d connections are still served", in, over)
	}
}
