package datetime

import (
	"bytes"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"lonja"
	"lonja/internal/soap"
)

const help = `This is a date-time service (SOAP 1.1).
Its description is at /?wsdl; questions are POSTed to /.
`

// ServeHTTP gives the WSDL, a short text for people, or the time.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/":
		http.NotFound(w, r)
	case r.Method == http.MethodPost:
		s.answer(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case strings.EqualFold(r.URL.RawQuery, "wsdl"):
		description := soap.AppendWSDL(nil, reachedAt(r))
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(description)))
		_, _ = w.Write(description)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(help))
	}
}

// An exchange holds the bytes of one question and of its answer.
type exchange struct {
	question bytes.Buffer
	answer   []byte
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// answer reads a question and tells the time, or says what is wrong with the
// question in a Fault with status 500, as SOAP 1.1 §6.2 wants it. The
// SOAPAction is not looked at: the body says all, and clients differ in it.
// A write that fails is not our concern: who asked has gone.
func (s *Service) answer(w http.ResponseWriter, r *http.Request) {
	x := exchanges.Get().(*exchange)
	defer exchanges.Put(x)
	x.question.Reset()

	w.Header().Set("Content-Type", contentType)
	if err := s.readQuestion(w, r, &x.question); err != nil {
		x.answer = soap.AppendFault(x.answer[:0], faultOf(err))
		w.WriteHeader(http.StatusInternalServerError)
	} else {
		x.answer = soap.AppendResponse(x.answer[:0], s.now().Format(lonja.TimestampLayout))
	}
	_, _ = w.Write(x.answer)
}

// readQuestion reads the body into body and returns nil if it asks for the
// time.
func (s *Service) readQuestion(w http.ResponseWriter, r *http.Request, body *bytes.Buffer) error {
	if err := checkHeader(r.Header); err != nil {
		return err
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, soap.MaxMessage)); err != nil {
		return err
	}
	if familiar := s.familiar.Load(); familiar != nil && body.String() == *familiar {
		return nil
	}
	request, err := soap.ParseRequest(body.Bytes())
	if err != nil {
		return err
	}
	if !request.IsQuestion() {
		return &soap.Fault{Code: soap.Client, Text: "the only operation here is " + soap.Operation + ", as the WSDL says"}
	}
	question := body.String()
	s.familiar.Store(&question)
	return nil
}

// checkHeader refuses a body in an encoding that we do not read. A message of
// SOAP 1.2 gets past it, to be told from its envelope that it is one. So does
// one without any type: clients made by hand send none.
func checkHeader(header http.Header) error {
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return errors.New("a content encoding is not supported")
	}
	value := header.Get("Content-Type")
	if value == "" || value == contentType {
		return nil
	}
	media, parameters, err := mime.ParseMediaType(value)
	if err != nil {
		return errors.New("the content type is malformed")
	}
	switch media {
	case "text/xml", "application/xml", "application/soap+xml":
	default:
		return errors.New("the content type is not text/xml")
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
		return nil
	}
	return errors.New("the charset is not utf-8")
}

// faultOf returns what a caller is told of an error. All of them are its own.
func faultOf(err error) soap.Fault {
	if fault, ok := errors.AsType[*soap.Fault](err); ok {
		return *fault
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return soap.Fault{Code: soap.Client, Text: "the request is over " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}
	}
	return soap.Fault{Code: soap.Client, Text: err.Error()}
}

// reachedAt returns the URL of the service as the caller knows it: by the Host
// that it named, if that is one, else by the address that it connected to.
func reachedAt(r *http.Request) string {
	at := url.URL{Scheme: "http", Host: r.Host, Path: "/"}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && !isHost(r.Host) {
		at.Host = local.String()
	}
	return at.String()
}

// isHost tells whether s is a host name or an IP address, with a port or
// without. What else HTTP allows there has no place in a WSDL.
func isHost(s string) bool {
	u, err := url.Parse("http://" + s)
	if err != nil || u.Host != s || u.Hostname() == "" {
		return false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return true
	}
	return strings.IndexFunc(u.Hostname(), notInHostName) < 0
}

func notInHostName(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	return !letter && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
}
