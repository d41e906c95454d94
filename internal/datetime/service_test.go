package datetime

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/soap"
)

// send makes one request of any form and returns the answer, body read.
func send(t *testing.T, method, url string, header map[string]string, body io.Reader) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, content
}

func TestServiceAnswers(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	types := []string{
		"", "text/xml", "text/xml; charset=utf-8", `text/xml; charset="UTF-8"`, "Text/XML;charset=UTF8",
		"text/xml; charset=us-ascii", "application/xml", "text/xml; charset=utf-8; action=x",
	}
	for _, contentType := range types {
		t.Run(contentType, func(t *testing.T) {
			header := map[string]string{"Content-Type": contentType, "SOAPAction": `"anything"`}
			response, body := send(t, "POST", service.url, header, bytes.NewReader(ourQuestion()))
			got, err := soap.ParseResponse(body)
			if response.StatusCode != 200 || err != nil || got != stamp {
				t.Errorf("got status %d, %q, %v, want 200 and %q", response.StatusCode, got, err, stamp)
			}
			if got := response.Header.Get("Content-Type"); got != "text/xml; charset=utf-8" {
				t.Errorf("content type of the answer: got %q", got)
			}
		})
	}
}

// The time is that of the machine unless the options say otherwise.
func TestServiceTellsLocalTime(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{})
	before := time.Now().Truncate(time.Second)
	got := client(t, service.url, patience).Now(t.Context())
	told, err := time.ParseInLocation(lonja.TimestampLayout, got, time.Local)
	if err != nil || told.Before(before) || told.After(time.Now()) {
		t.Errorf("got %q, %v, want a time between %v and now", got, err, before)
	}
}

// Whatever is wrong with a request, the answer is a Fault with status 500, and
// the service goes on.
func TestServiceRefuses(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	good := string(ourQuestion())
	entity := `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>`
	tests := []struct {
		name, contentType, body string
		code                    soap.FaultCode
	}{
		{"empty", "text/xml", "", soap.Client},
		{"blank", "text/xml", "\r\n", soap.Client},
		{"not XML", "text/xml", "get_datetime", soap.Client},
		{"cut short", "text/xml", good[:len(good)-10], soap.Client},
		{"garbage after it", "text/xml", good + "garbage", soap.Client},
		{"another operation", "text/xml", strings.ReplaceAll(good, "get_datetime", "set_datetime"), soap.Client},
		{"another namespace", "text/xml", strings.ReplaceAll(good, "urn:lonja", "urn:other"), soap.Client},
		{"DTD and entity", "text/xml", entity + good, soap.Client},
		{"entity", "text/xml", strings.Replace(good, "<m:text>", "<m:text>&b;", 1), soap.Client},
		{"deep", "text/xml", strings.Repeat("<a>", 5000), soap.Client},
		{"over the limit", "text/xml", good + strings.Repeat(" ", soap.MaxMessage), soap.Client},
		{"far over the limit", "text/xml", strings.Repeat("<a/>", 1<<20), soap.Client},
		{"SOAP 1.2", "application/soap+xml", strings.ReplaceAll(good, soap.EnvelopeNS, "http://www.w3.org/2003/05/soap-envelope"), soap.VersionMismatch},
		{"must understand", "text/xml", strings.Replace(good, "<soap:Body>", `<soap:Header><a soap:mustUnderstand="1"/></soap:Header><soap:Body>`, 1), soap.MustUnderstand},
		{"form", "application/x-www-form-urlencoded", good, soap.Client},
		{"JSON", "application/json", good, soap.Client},
		{"malformed type", "text/xml; charset", good, soap.Client},
		{"Latin-1", "text/xml; charset=iso-8859-1", good, soap.Client},
		{"UTF-16", "text/xml; charset=utf-16", good, soap.Client},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := map[string]string{"Content-Type": tt.contentType}
			expectFault(t, service.url, header, strings.NewReader(tt.body), tt.code)
		})
	}
	t.Run("compressed", func(t *testing.T) {
		header := map[string]string{"Content-Type": "text/xml", "Content-Encoding": "gzip"}
		expectFault(t, service.url, header, strings.NewReader(good), soap.Client)
	})
	t.Run("endless, of unknown length", func(t *testing.T) {
		endless := io.LimitReader(neverEnding('<'), 16*soap.MaxMessage)
		expectFault(t, service.url, map[string]string{"Content-Type": "text/xml"}, endless, soap.Client)
	})
	expect(t, client(t, service.url, patience), stamp)
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func expectFault(t *testing.T, url string, header map[string]string, body io.Reader, code soap.FaultCode) {
	t.Helper()
	response, content := send(t, "POST", url, header, body)
	_, err := soap.ParseResponse(content)
	fault, ok := errors.AsType[*soap.Fault](err)
	if !ok || fault.Code != code || response.StatusCode != 500 {
		t.Errorf("got status %d, %v, want 500 and a fault %s", response.StatusCode, err, code)
	}
}

// A question that was answered is not parsed again. What only looks like it is.
func TestServiceRemembersNoOtherQuestion(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	good := ourQuestion()
	header := map[string]string{"Content-Type": "text/xml"}
	for range 2 {
		response, _ := send(t, "POST", service.url, header, bytes.NewReader(good))
		if response.StatusCode != 200 {
			t.Fatalf("status of a question: got %d, want 200", response.StatusCode)
		}
		bad := slices.Clone(good)
		bad[len(bad)-2] = '<'
		expectFault(t, service.url, header, bytes.NewReader(bad), soap.Client)
	}
}

func TestServiceWithoutQuestion(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{})
	tests := []struct {
		method, path string
		status       int
		content      string // part of the body
	}{
		{"GET", "/", 200, "/?wsdl"},
		{"GET", "/?other", 200, "/?wsdl"},
		{"GET", "/?wsdl", 200, "<wsdl:definitions"},
		{"GET", "/?WSDL", 200, "<wsdl:definitions"},
		{"HEAD", "/", 200, ""},
		{"HEAD", "/?wsdl", 200, ""},
		{"GET", "/other", 404, ""},
		{"POST", "/other", 404, ""},
		{"PUT", "/", 405, ""},
		{"DELETE", "/", 405, ""},
		{"OPTIONS", "/", 405, ""},
		{"PATCH", "/?wsdl", 405, ""},
		{"BREW", "/", 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			response, body := send(t, tt.method, service.url+tt.path, nil, nil)
			if response.StatusCode != tt.status || !strings.Contains(string(body), tt.content) {
				t.Errorf("got status %d, %q, want %d and %q", response.StatusCode, body, tt.status, tt.content)
			}
			if allow := response.Header.Get("Allow"); (tt.status == 405) != (allow == "GET, HEAD, POST") {
				t.Errorf("status %d with Allow %q", tt.status, allow)
			}
		})
	}
}

// The WSDL has the address by which the caller came, if that is one.
func TestServiceAddressInWSDL(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{})
	own := service.url + "/"
	tests := map[string]string{
		"example.org":           "http://example.org/",
		"example.org:8000":      "http://example.org:8000/",
		"my_host-1.lan:1":       "http://my_host-1.lan:1/",
		"192.0.2.7:80":          "http://192.0.2.7:80/",
		"[2001:db8::1]:8000":    "http://[2001:db8::1]:8000/",
		"":                      own,
		"example.org:0":         own,
		"example.org:65536":     own,
		":8000":                 own,
		"a,b":                   own,
		"a;b:80":                own,
		"$(reboot)":             own,
		"a&b":                   own,
		"%41":                   own,
		"[2001:db8::1":          own,
		"[v1.x]:80":             own,
		"'or'1'='1":             own,
		strings.Repeat("a", 64): "http://" + strings.Repeat("a", 64) + "/",
	}
	for host, want := range tests {
		t.Run(host, func(t *testing.T) {
			response, body := raw(t, service.addr, "GET /?wsdl HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
			binding, err := soap.ParseWSDL(body, soap.Operation)
			if response.StatusCode != 200 || err != nil || binding.Address != want {
				t.Errorf("got status %d, %q, %v, want %q", response.StatusCode, binding.Address, err, want)
			}
		})
	}
	t.Run("HTTP/1.0 without a host", func(t *testing.T) {
		_, body := raw(t, service.addr, "GET /?wsdl HTTP/1.0\r\n\r\n")
		if binding, err := soap.ParseWSDL(body, soap.Operation); err != nil || binding.Address != own {
			t.Errorf("got %q, %v, want %q", binding.Address, err, own)
		}
	})
}

// raw sends the bytes of a request and reads the answer.
func raw(t *testing.T, addr, request string) (*http.Response, []byte) {
	t.Helper()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Bytes may come one by one, and many questions over one connection.
func TestServiceSlowWriterKeepsConnection(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	conn := dial(t, service.addr)
	answers := bufio.NewReader(conn)
	body := string(ourQuestion())
	for range 3 {
		request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		for _, b := range []byte(request) {
			if _, err := conn.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(response.Body)
		if got, parseErr := soap.ParseResponse(content); err != nil || parseErr != nil || got != stamp {
			t.Fatalf("got %q, %v, %v, want %q", got, err, parseErr, stamp)
		}
	}
}

func TestServeStopsWithSilentConnections(t *testing.T) {
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	silent := dial(t, service.addr)
	half := dial(t, service.addr)
	if _, err := io.WriteString(half, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	expect(t, client(t, service.url, patience), stamp) // so the two before it are accepted
	begin := time.Now()
	service.stop() // fails the test if Serve does
	if took := time.Since(begin); took > patience {
		t.Errorf("Serve took %v to end", took)
	}
	for _, conn := range []net.Conn{silent, half} {
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection outlived Serve: %v", err)
		}
	}
}

func TestServeReportsBrokenListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := NewService(ServiceOptions{}).Serve(t.Context(), ln); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("Serve on a closed listener: got %v, want an error of kind Unavailable", err)
	}
}
