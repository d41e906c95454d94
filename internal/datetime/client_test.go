package datetime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lonja"
	"lonja/internal/soap"
)

func TestNewClientRefuses(t *testing.T) {
	for _, url := range []string{"127.0.0.1:8000", "ftp://host/", "http://", "http:///x", "/x", "http://a b/", "http://:8000"} {
		if c, err := NewClient(Options{URL: url}); !errors.Is(err, lonja.Invalid) {
			t.Errorf("NewClient of %q: got %v, %v, want an error of kind Invalid", url, c, err)
		}
	}
}

func TestNewClientDefaults(t *testing.T) {
	c := client(t, "", 0)
	if got := c.base.String(); got != "http://127.0.0.1:8000/" {
		t.Errorf("default URL: got %q", got)
	}
	if c.timeout != time.Second {
		t.Errorf("default timeout: got %v, want 1s", c.timeout)
	}
	if c.transport.Proxy != nil {
		t.Error("a proxy may come between")
	}
}

func TestClientAsks(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	for _, url := range []string{service.url, service.url + "/", service.url + "/?wsdl", service.url + "/?WSDL", service.url + "#x"} {
		c := client(t, url, patience)
		expect(t, c, stamp)
		expect(t, c, stamp)
	}
}

// An answer that was read is not parsed again. The next one is.
func TestClientReadsEachAnswer(t *testing.T) {
	var at atomic.Int64
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: func() time.Time { return time.Unix(at.Load(), 0).UTC() }})
	c := client(t, service.url, patience)
	for _, seconds := range []int64{0, 0, 1, 1, 0} {
		at.Store(seconds)
		expect(t, c, fmt.Sprintf("01/01/1970 00:00:%02d", seconds))
	}
}

// The service is used again with the first question after it is back, though
// the client still holds a connection to the one before.
func TestClientRecoversFromRestarts(t *testing.T) {
	service := start(t, ownHost()+":0", ServiceOptions{Now: fixedTime})
	c := client(t, service.url, patience)
	for range 3 {
		expect(t, c, stamp)
		service.stop()
		expect(t, c, lonja.NoTimestamp)
		expect(t, c, lonja.NoTimestamp)
		service = start(t, service.addr, ServiceOptions{Now: fixedTime})
	}
	service.stop()
	service = start(t, service.addr, ServiceOptions{Now: fixedTime})
	expect(t, c, stamp) // it did not notice
}

// A kept connection that ends just as the question goes out, as when the
// service restarts at that moment: the question is sent again.
func TestClientAsksAgainWhenAKeptConnectionEnds(t *testing.T) {
	var questions atomic.Int32
	service := NewService(ServiceOptions{Now: fixedTime})
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" && questions.Add(1) == 1 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
			return
		}
		service.ServeHTTP(w, r)
	})
	expect(t, client(t, url, patience), stamp)
	if got := questions.Load(); got != 2 {
		t.Errorf("the question was sent %d times, want 2", got)
	}
}

// A service that accepts and then hangs costs the time limit, wherever it
// hangs, and is used again once it does not.
func TestClientLimitsTime(t *testing.T) {
	hangs := map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"at once":             func(http.ResponseWriter, *http.Request) bool { return true },
		"with the question":   func(_ http.ResponseWriter, r *http.Request) bool { return r.Method == "POST" },
		"in the WSDL":         func(w http.ResponseWriter, r *http.Request) bool { return r.Method == "GET" && part(w, "<wsdl") },
		"in the answer":       func(w http.ResponseWriter, r *http.Request) bool { return r.Method == "POST" && part(w, "<soap") },
		"after answer header": func(w http.ResponseWriter, r *http.Request) bool { return r.Method == "POST" && part(w, "") },
	}
	for name, hang := range hangs {
		t.Run(name, func(t *testing.T) {
			var well atomic.Bool
			service := NewService(ServiceOptions{Now: fixedTime})
			url := handle(t, func(w http.ResponseWriter, r *http.Request) {
				if !well.Load() && hang(w, r) {
					untilGone(r)
					return
				}
				service.ServeHTTP(w, r)
			})
			c := client(t, url, 50*time.Millisecond)
			expect(t, c, lonja.NoTimestamp)
			expect(t, c, lonja.NoTimestamp)
			well.Store(true)
			c.timeout = patience
			expect(t, c, stamp)
		})
	}
}

// part sends the beginning of an answer.
func part(w http.ResponseWriter, text string) bool {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
	return true
}

// untilGone waits for the client to close the connection. net/http looks out
// for that once the body has been read.
func untilGone(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// Nobody accepts: the kernel does, and nothing comes back.
func TestClientLimitsTimeOfConnecting(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	expect(t, client(t, "http://"+ln.Addr().String(), 50*time.Millisecond), lonja.NoTimestamp)
}

// A slow service is asked without its WSDL the next time: else a time limit
// that is enough for the question alone would never be.
func TestClientKeepsWhatItLearnedFromASlowService(t *testing.T) {
	var descriptions, questions atomic.Int32
	var well atomic.Bool
	service := NewService(ServiceOptions{Now: fixedTime})
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			descriptions.Add(1)
		} else if questions.Add(1); !well.Load() {
			untilGone(r)
			return
		}
		service.ServeHTTP(w, r)
	})
	c := client(t, url, patience)
	c.timeout = 200 * time.Millisecond
	for questions.Load() == 0 {
		expect(t, c, lonja.NoTimestamp) // until the WSDL came in time
	}
	learned := descriptions.Load()
	well.Store(true)
	c.timeout = patience
	expect(t, c, stamp)
	if got := descriptions.Load(); got != learned {
		t.Errorf("the WSDL was asked for %d times more", got-learned)
	}
}

func TestClientStopsWithItsCaller(t *testing.T) {
	var log bytes.Buffer
	arrived := make(chan struct{})
	url := handle(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		untilGone(r)
	})
	c := client(t, url, time.Hour)
	c.log = slog.New(slog.NewTextHandler(&log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if got := c.Now(ctx); got != lonja.NoTimestamp {
		t.Errorf("got %q, want %q", got, lonja.NoTimestamp)
	}
	if log.Len() > 0 {
		t.Errorf("the caller gave up, yet the log says %q", log.String())
	}
}

// Only a short line of text counts as an answer.
func TestClientChecksAnswer(t *testing.T) {
	answer := func(value string) string { return string(soap.AppendResponse(nil, value)) }
	long := strings.Repeat("x", lonja.MaxTimestamp)
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"the time", 200, answer(stamp), stamp},
		{"another form of it", 200, answer("2026-11-23T05:54:17+01:00 (sábado)"), "2026-11-23T05:54:17+01:00 (sábado)"},
		{"white space around", 200, strings.Replace(answer(stamp), stamp, "\n\t"+stamp+" \n", 1), stamp},
		{"the longest", 200, answer(long), long},
		{"too long", 200, answer(long + "x"), lonja.NoTimestamp},
		{"empty", 200, answer(""), lonja.NoTimestamp},
		{"two lines", 200, answer("23/11/2026\n05:54:17"), lonja.NoTimestamp},
		{"NUL", 200, strings.Replace(answer(stamp), "/", "&#0;", 1), lonja.NoTimestamp},
		{"raw NUL", 200, strings.Replace(answer(stamp), "/", "\x00", 1), lonja.NoTimestamp},
		{"terminal command", 200, strings.Replace(answer(stamp), "/", "&#155;2J", 1), lonja.NoTimestamp},
		{"direction override", 200, answer("23/11/2026 \u202e05:54:17"), lonja.NoTimestamp},
		{"no body", 200, "", lonja.NoTimestamp},
		{"HTML", 200, "<html><body>hello</body></html>", lonja.NoTimestamp},
		{"entity", 200, `<!DOCTYPE a [<!ENTITY b "c">]>` + answer("x"), lonja.NoTimestamp},
		{"huge", 200, answer(stamp) + strings.Repeat(" ", 1<<20), lonja.NoTimestamp},
		{"fault", 500, string(soap.AppendFault(nil, soap.Fault{Code: soap.Server, Text: "x"})), lonja.NoTimestamp},
		{"fault with status 200", 200, string(soap.AppendFault(nil, soap.Fault{Code: soap.Server, Text: "x"})), lonja.NoTimestamp},
		{"not there", 404, answer(stamp), lonja.NoTimestamp},
		{"redirect", 307, "", lonja.NoTimestamp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := handle(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(tt.status)
					_, _ = io.WriteString(w, tt.body)
				}
			})
			expect(t, client(t, url, patience), tt.want)
		})
	}
}

// A service that ends the connection instead of answering.
func TestClientSurvivesBrokenHTTP(t *testing.T) {
	for _, sent := range []string{"", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"} {
		t.Run(sent, func(t *testing.T) {
			url := handle(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(conn, sent)
				conn.Close()
			})
			expect(t, client(t, url, patience), lonja.NoTimestamp)
		})
	}
}

// foreign is a service with a shape and a path of its own. wsdlAt is where its
// WSDL is to be had.
func foreign(wsdlAt string, space string) http.HandlerFunc {
	description := strings.NewReplacer(
		"{{address}}", "http://localhost:1/deep/path?a=%2F", "{{space}}", space,
	).Replace(foreignWSDL)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" && r.URL.RequestURI() == wsdlAt {
			_, _ = io.WriteString(w, description)
			return
		}
		body, _ := io.ReadAll(r.Body)
		request, err := soap.ParseRequest(body)
		switch {
		case err != nil, r.URL.RequestURI() != "/deep/path?a=%2F", r.Header.Get("SOAPAction") != `"urn:act"`,
			r.Header.Get("Content-Type") != "text/xml; charset=utf-8",
			request.Name.Space != space, request.Name.Local != "get_datetime",
			fmt.Sprint(request.Parameters) != "[{{ zone} }]":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(soap.AppendFault(nil, soap.Fault{Code: soap.Client, Text: "not what the WSDL says"}))
		default:
			_, _ = w.Write(soap.AppendResponse(nil, stamp))
		}
	}
}

const foreignWSDL = `<definitions targetNamespace="urn:d" xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">
<message name="in"><part name="zone" type="string"/></message>
<portType name="P"><operation name="get_datetime"><input message="in"/></operation></portType>
<binding name="B" type="P"><s:binding style="rpc"/><operation name="get_datetime">
<s:operation soapAction="urn:act"/><input><s:body namespace="{{space}}"/></input></operation></binding>
<service><port binding="B"><s:address location="{{address}}"/></port></service></definitions>`

func TestClientLearnsFromTheWSDL(t *testing.T) {
	for _, wsdlAt := range []string{"/?wsdl", "/"} {
		c := client(t, handle(t, foreign(wsdlAt, "urn:x")), patience)
		expect(t, c, stamp)
		expect(t, c, stamp)
	}
}

// The path is the advertised one. Scheme, host and port are always ours.
func TestClientLocates(t *testing.T) {
	tests := []struct{ base, address, want string }{
		{"http://h:1", "http://localhost:8000/", "http://h:1/"},
		{"http://h:1", "http://localhost:8000", "http://h:1/"},
		{"http://h:1", "https://evil/soap/x?a=b#c", "http://h:1/soap/x?a=b"},
		{"http://h:1/base", "", "http://h:1/base"},
		{"http://h:1/base/", "sub", "http://h:1/base/sub"},
		{"http://h:1/base", "/", "http://h:1/"},
		{"http://h:1/base", "mailto:a@b", "http://h:1/base"},
		{"http://h:1/base", "http://[bad", "http://h:1/base"},
		{"http://h:1/base", "//evil/x", "http://h:1/x"},
		{"https://u:p@h/base?q", "http://other@h:9/%2F", "https://u:p@h/%2F"},
	}
	for _, tt := range tests {
		if got := client(t, tt.base, 0).locate(tt.address); got != tt.want {
			t.Errorf("locate(%q) from %q: got %q, want %q", tt.address, tt.base, got, tt.want)
		}
	}
}

// One that does not describe itself is asked as ours would be.
func TestClientGuesses(t *testing.T) {
	service := NewService(ServiceOptions{Now: fixedTime})
	tests := map[string]http.HandlerFunc{
		"no WSDL":       http.NotFound,
		"HTML instead":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html></html>") },
		"WSDL with DTD": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!DOCTYPE a>"+foreignWSDL) },
		"WSDL too large": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte(" "), soap.MaxWSDL+2))
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
	}
	for name, describe := range tests {
		t.Run(name, func(t *testing.T) {
			url := handle(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					describe(w, r)
				} else {
					service.ServeHTTP(w, r)
				}
			})
			expect(t, client(t, url, patience), stamp)
		})
	}
}

// When another program takes the place of a service, one question fails and
// the next one is asked in the new one's words.
func TestClientLearnsAgain(t *testing.T) {
	var replaced atomic.Bool
	first, second := foreign("/?wsdl", "urn:one"), foreign("/?wsdl", "urn:two")
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		if replaced.Load() {
			second(w, r)
		} else {
			first(w, r)
		}
	})
	c := client(t, url, patience)
	expect(t, c, stamp)
	replaced.Store(true)
	expect(t, c, lonja.NoTimestamp)
	expect(t, c, stamp)
}

// Many ask at once, while the service goes and comes back: each gets the time
// or none, and in the end all of them the time. They share the connections.
func TestClientConcurrently(t *testing.T) {
	service := start(t, ownHost()+":0", ServiceOptions{Now: fixedTime})
	c := client(t, service.url, patience)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var back atomic.Bool
	var asking, wg sync.WaitGroup
	for range 4 * maxConns {
		asking.Add(1)
		wg.Go(func() {
			answer := c.Now(ctx)
			asking.Done()
			for ctx.Err() == nil {
				wasBack := back.Load()
				if answer != stamp && answer != lonja.NoTimestamp {
					t.Errorf("got %q", answer)
				}
				if answer = c.Now(ctx); answer == stamp && wasBack {
					return
				}
			}
			t.Error("no answer though the service is back")
		})
	}
	asking.Wait()
	service.stop()
	ln := &countingListener{Listener: listen(t, service.addr)}
	startOn(t, ln, ServiceOptions{Now: fixedTime})
	back.Store(true)
	wg.Wait()
	if got := ln.most.Load(); got > maxConns {
		t.Errorf("%d connections were open at once, want at most %d", got, maxConns)
	}
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// A countingListener knows how many of its connections were open at once.
type countingListener struct {
	net.Listener
	open, most atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if open := l.open.Add(1); open > l.most.Load() {
		l.most.Store(open)
	}
	return &limitedConn{Conn: conn, release: func() { l.open.Add(-1) }}, nil
}

func TestClientLogsLossAndReturnOnce(t *testing.T) {
	var log bytes.Buffer
	service := start(t, ownHost()+":0", ServiceOptions{Now: fixedTime})
	c := client(t, service.url, patience)
	c.log = slog.New(slog.NewTextHandler(&log, nil))
	expect(t, c, stamp)
	service.stop()
	expect(t, c, lonja.NoTimestamp)
	expect(t, c, lonja.NoTimestamp)
	start(t, service.addr, ServiceOptions{Now: fixedTime})
	expect(t, c, stamp)
	expect(t, c, stamp)
	var lines []string
	for line := range strings.Lines(log.String()) {
		_, after, _ := strings.Cut(line, "level=")
		lines = append(lines, strings.Fields(after)[0])
	}
	if got := strings.Join(lines, " "); got != "WARN INFO" {
		t.Errorf("got %q, want one warning and one line of information:\n%s", got, log.String())
	}
}
