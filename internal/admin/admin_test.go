package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/operator"
)

// A scripted directory does what a test says. The real one is used in the
// tests of cmd/lonja; this one fails, blocks and breaks off on demand.
type scripted struct {
	operator.Directory // nil: what is not scripted must not be called
	ready              func() error
	users              func(ctx context.Context, yield func(operator.Account, error) bool)
	export             func(ctx context.Context, w io.Writer) error
	imports            func(ctx context.Context, r io.Reader) (operator.ImportReport, error)
	unregister         func(user lonja.UserName) error
	check              func() (operator.CheckReport, error)
}

func (d *scripted) Ready() error          { return d.ready() }
func (d *scripted) Stats() operator.Stats { return operator.Stats{Accounts: 7} }

func (d *scripted) Accounts(ctx context.Context) iter.Seq2[operator.Account, error] {
	return func(yield func(operator.Account, error) bool) { d.users(ctx, yield) }
}

func (d *scripted) Unregister(_ context.Context, user lonja.UserName) error {
	return d.unregister(user)
}
func (d *scripted) Export(ctx context.Context, w io.Writer) error { return d.export(ctx, w) }
func (d *scripted) Backup(ctx context.Context, w io.Writer) error { return d.export(ctx, w) }
func (d *scripted) Restore(ctx context.Context, r io.Reader) error {
	_, err := d.imports(ctx, r)
	return err
}

func (d *scripted) Import(ctx context.Context, r io.Reader) (operator.ImportReport, error) {
	return d.imports(ctx, r)
}

func (d *scripted) Check(context.Context) (operator.CheckReport, error) { return d.check() }

// A running server, and how to ask it.
type running struct {
	*Server
	t    *testing.T
	addr net.Addr
	http http.Client
	stop func() error // ends Serve and returns its error
}

// serve starts a server on ln. It is stopped with the test.
func serve(t *testing.T, ln net.Listener, opts Options) *running {
	t.Helper()
	r := &running{Server: New(opts), t: t, addr: ln.Addr()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, ln) }()
	r.stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	network, address := ln.Addr().Network(), ln.Addr().String()
	r.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	t.Cleanup(func() {
		r.http.CloseIdleConnections()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func serveLoopback(t *testing.T) *running {
	return serve(t, listen(t, "tcp", "127.0.0.1:0"), Options{})
}

// do sends a request as an operator's program would, but for what set changes.
func (r *running) do(method, path string, body io.Reader, set func(*http.Request)) *http.Response {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://localhost"+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set(Header, "1")
	request.Header.Set("TE", "trailers")
	if set != nil {
		set(request)
	}
	response, err := r.http.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// want asks, and compares status and body; a body is compared by part of it.
func (r *running) want(method, path, body string, status int, says string) {
	r.t.Helper()
	response := r.do(method, path, strings.NewReader(body), nil)
	got, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || !strings.Contains(string(got), says) {
		r.t.Errorf("%s %s: got status %d, %q and %v; want %d and %q", method, path, response.StatusCode, got, err, status, says)
	}
}

func TestEveryKindHasAnHTTPStatus(t *testing.T) {
	for _, kind := range lonja.Kinds() {
		if status := httpStatuses[kind]; status < 400 || http.StatusText(status) == "" {
			t.Errorf("%v has status %d", kind, status)
		}
	}
	if len(httpStatuses) != len(lonja.Kinds()) {
		t.Errorf("%d statuses for %d kinds", len(httpStatuses), len(lonja.Kinds()))
	}
}

// TestReadiness: from before the directory is there until after it is gone,
// the process is healthy, and says what it is.
func TestReadiness(t *testing.T) {
	r := serveLoopback(t)
	r.want("GET", "/readyz", "", 503, `"reason":"starting"`)
	r.Shut(func() string { return "building the index: 12 records" })
	r.want("GET", "/healthz", "", 200, `"reason":"building the index: 12 records"`)
	r.want("GET", "/admin/v1/stats", "", 503, "building the index: 12 records")

	var broken error
	r.Open(&scripted{ready: func() error { return broken }})
	r.want("GET", "/readyz", "", 200, `"ready":true`)
	r.want("GET", "/admin/v1/stats", "", 200, `"accounts":7`)
	broken = lonja.E(lonja.Unavailable, "store", errors.New("no space left\x1b"))
	r.want("GET", "/readyz", "", 503, "no space left\uFFFD")
	r.want("GET", "/healthz", "", 200, "no space left")

	r.Shut(func() string { return "stopping" })
	r.want("GET", "/readyz", "", 503, "stopping")
}

// TestGuard: who is not the operator gets no operation, but may see the health.
func TestGuard(t *testing.T) {
	everywhere := serve(t, listen(t, "tcp", ":0"), Options{})
	loopback := serveLoopback(t)
	socket := serve(t, listen(t, "unix", filepath.Join(t.TempDir(), "s")), Options{})
	for _, r := range []*running{everywhere, loopback, socket} {
		r.Open(&scripted{ready: func() error { return nil }})
	}
	host := func(host string) func(*http.Request) { return func(q *http.Request) { q.Host = host } }
	for _, c := range []struct {
		name   string
		on     *running
		set    func(*http.Request)
		status int
		says   string
	}{
		{"loopback", loopback, nil, 200, ""},
		{"socket", socket, nil, 200, ""},
		{"all addresses, though the connection is to loopback", everywhere, nil, 403, "neither"},
		{"no header", loopback, func(q *http.Request) { q.Header.Del(Header) }, 403, Header},
		{"no header on a socket", socket, func(q *http.Request) { q.Header.Del(Header) }, 403, Header},
		{"wrong header", loopback, func(q *http.Request) { q.Header.Set(Header, "yes") }, 403, Header},
		{"rebound name", loopback, host("evil.example:4480"), 403, "localhost"},
		{"rebound name that looks like one of ours", loopback, host("127.0.0.1.evil.example"), 403, "localhost"},
		{"IPv4", loopback, host("127.0.0.1:4480"), 200, ""},
		{"IPv6", loopback, host("[::1]:4480"), 200, ""},
		{"IPv6 without a port", loopback, host("[::1]"), 200, ""},
		{"localhost", loopback, host("LocalHost"), 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.on.t = t
			response := c.on.do("GET", "/admin/v1/stats", nil, c.set)
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != c.status || !strings.Contains(string(body), c.says) {
				t.Errorf("got status %d, %q and %v; want %d", response.StatusCode, body, err, c.status)
			}
			if response := c.on.do("GET", "/readyz", nil, c.set); response.StatusCode != 200 {
				t.Errorf("readiness: got status %d", response.StatusCode)
			}
		})
	}
}

// TestNotServed: a server that does not know how it can be reached serves no
// operation.
func TestNotServed(t *testing.T) {
	server := New(Options{})
	server.Open(&scripted{})
	ln := listen(t, "tcp", "127.0.0.1:0")
	plain := &http.Server{Handler: server}
	go func() { _ = plain.Serve(ln) }()
	defer plain.Close()
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+ln.Addr().String()+"/admin/v1/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(Header, "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 403 {
		t.Errorf("got status %d", response.StatusCode)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	r := serve(t, listen(t, "tcp", "127.0.0.1:0"), Options{
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "lonja_up 1\n") }),
	})
	r.Open(&scripted{})
	r.want("GET", "/metrics", "", 200, "lonja_up 1")
	r.want("POST", "/metrics", "", 405, "")
	r.want("GET", "/admin/v1/remove-user", "", 405, "")
	r.want("GET", "/admin/v1/restore", "", 405, "")
	r.want("POST", "/admin/v1/export", "", 405, "")
	r.want("GET", "/admin/v2/stats", "", 404, "")
	r.want("GET", "/", "", 404, "")
}

func TestRemoveUser(t *testing.T) {
	r := serveLoopback(t)
	var removed []lonja.UserName
	r.Open(&scripted{unregister: func(user lonja.UserName) error {
		removed = append(removed, user)
		if user == "nobody" {
			return lonja.E(lonja.NoSuchUser, "UNREGISTER", nil)
		}
		return nil
	}})
	const path = "/admin/v1/remove-user"
	r.want("POST", path, `{"user":"ana"}`, 200, "")
	r.want("POST", path, `{"user":{"base64":"Yf8="}}`, 200, "")
	r.want("POST", path, `{"user":"nobody"}`, 404, "user does not exist")
	r.want("POST", path, `{"user":""}`, 400, "empty")
	r.want("POST", path, `{"user":7}`, 400, "request")
	r.want("POST", path, `{"user":"`+strings.Repeat("x", maxBody)+`"}`, 400, "request")
	if got, want := len(removed), 3; got != want || removed[1] != "a\xff" {
		t.Errorf("got %q removed, want %d", removed, want)
	}
}

func TestUsers(t *testing.T) {
	r := serveLoopback(t)
	r.Open(&scripted{users: func(_ context.Context, yield func(operator.Account, error) bool) {
		_ = yield(operator.Account{User: "ana"}, nil) && yield(operator.Account{User: "luis", Publications: 2}, nil)
	}})
	r.want("GET", "/admin/v1/users", "", 200,
		`{"user":"ana","publications":0,"connected":false}`+"\n"+`{"user":"luis","publications":2,"connected":false}`+"\n")
}

// TestReportBesideFailure: what was imported before the failure is told.
func TestReportBesideFailure(t *testing.T) {
	r := serveLoopback(t)
	r.Open(&scripted{
		imports: func(_ context.Context, from io.Reader) (operator.ImportReport, error) {
			all, err := io.ReadAll(from)
			if err == nil && string(all) != "good" {
				err = lonja.E(lonja.Invalid, "import", errors.New("line 4 is no JSON"))
			}
			return operator.ImportReport{Accounts: 3}, err
		},
		check: func() (operator.CheckReport, error) { return operator.CheckReport{Damaged: 1}, nil },
	})
	r.want("POST", "/admin/v1/import", "bad", 400, `"error":"import: line 4 is no JSON","report":{"accounts":3`)
	r.want("POST", "/admin/v1/import", "good", 200, `{"accounts":3`)
	r.want("POST", "/admin/v1/restore", "good", 200, `{}`)
	r.want("POST", "/admin/v1/check", "", 200, `"damaged":1`)
}

var errTorn = lonja.E(lonja.Damaged, "export", errors.New("record 9 is\ndamaged"))

// TestStreamsEndForSure: a stream that could not be finished is not taken for
// a whole one, and says why where that can be said.
func TestStreamsEndForSure(t *testing.T) {
	r := serveLoopback(t)
	long := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	const path = "/admin/v1/backup"
	export := func(what []byte, err error) {
		r.Open(&scripted{export: func(_ context.Context, w io.Writer) error {
			if _, err := w.Write(what); err != nil {
				return err
			}
			return err
		}})
	}
	export([]byte("short"), errTorn)
	r.want("GET", path, "", 422, "export: record 9 is\uFFFDdamaged")

	export(long, errTorn)
	response := r.do("GET", path, nil, nil)
	got, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Equal(got, long) || response.Trailer.Get(ErrorTrailer) != "export: record 9 is\uFFFDdamaged" {
		t.Errorf("got %d bytes, %v and the trailer %v", len(got), err, response.Trailer)
	}
	response = r.do("GET", path, nil, func(q *http.Request) { q.Header.Del("TE") })
	if _, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without trailers: got %v, want %v", err, io.ErrUnexpectedEOF)
	}

	export(long, nil)
	response = r.do("GET", path, nil, nil)
	got, err = io.ReadAll(response.Body)
	if err != nil || !bytes.Equal(got, long) || len(response.Trailer) != 0 {
		t.Errorf("got %d bytes, %v and the trailer %v", len(got), err, response.Trailer)
	}
}

// TestShutEndsOperations: those that read from a silent client among them.
func TestShutEndsOperations(t *testing.T) {
	for _, how := range []string{"shut", "stop"} {
		t.Run(how, func(t *testing.T) {
			r := serveLoopback(t)
			entered := make(chan struct{}, 2)
			ended := make(chan error, 2)
			r.Open(&scripted{
				export: func(ctx context.Context, _ io.Writer) error {
					entered <- struct{}{}
					<-ctx.Done()
					ended <- ctx.Err()
					return lonja.E(lonja.Canceled, "export", ctx.Err())
				},
				imports: func(_ context.Context, from io.Reader) (operator.ImportReport, error) {
					entered <- struct{}{}
					_, err := io.Copy(io.Discard, from)
					ended <- err
					return operator.ImportReport{}, err
				},
			})
			silent, say := io.Pipe()
			defer say.Close()
			for _, request := range []struct {
				method, path string
				body         io.Reader
			}{{"GET", "export", nil}, {"POST", "import", silent}} {
				q, err := http.NewRequestWithContext(t.Context(), request.method, "http://localhost"+Prefix+request.path, request.body)
				if err != nil {
					t.Fatal(err)
				}
				q.Header.Set(Header, "1")
				go func() {
					if response, err := r.http.Do(q); err == nil {
						_ = response.Body.Close()
					}
				}()
				<-entered
			}
			if how == "shut" {
				r.Shut(func() string { return "stopping" })
			} else if err := r.stop(); err != nil {
				t.Error(err)
			}
			for range 2 {
				select {
				case err := <-ended:
					if lonja.KindOf(err) != lonja.Canceled {
						t.Errorf("an operation ended with %v", err)
					}
				default:
					t.Error("an operation goes on")
				}
			}
		})
	}
}

// TestGoneClientEndsOperation: nobody exports for somebody who has gone.
func TestGoneClientEndsOperation(t *testing.T) {
	r := serveLoopback(t)
	ended := make(chan error)
	r.Open(&scripted{users: func(ctx context.Context, yield func(operator.Account, error) bool) {
		for yield(operator.Account{User: "ana"}, nil) {
		}
		ended <- ctx.Err()
	}})
	response := r.do("GET", "/admin/v1/users", nil, nil)
	if _, err := io.ReadFull(response.Body, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the operation goes on")
	}
}

// TestStalledReader: who takes nothing any more is dropped.
func TestStalledReader(t *testing.T) {
	r := serve(t, listen(t, "tcp", "127.0.0.1:0"), Options{StallTimeout: time.Millisecond})
	ended := make(chan error, 1)
	r.Open(&scripted{export: func(_ context.Context, w io.Writer) error {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				ended <- err
				return err
			}
		}
	}})
	conn, err := net.Dial("tcp", r.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /admin/v1/export HTTP/1.1\r\nHost: localhost\r\nLonja-Admin: 1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; lonja.KindOf(err) != lonja.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestHealthJSON(t *testing.T) {
	r := serve(t, listen(t, "tcp", "127.0.0.1:0"), Options{Version: "v1.2"})
	var got Health
	if err := json.NewDecoder(r.do("GET", "/readyz", nil, nil).Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if want := (Health{Reason: "starting", Version: "v1.2"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
