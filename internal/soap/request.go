package soap

import (
	"encoding/xml"
	"errors"
	"fmt"
)

// maxParameters bounds the arguments of a call, in a message and in a WSDL.
const maxParameters = 16

// nextActor addresses a header to whoever reads it first: to us.
const nextActor = "http://schemas.xmlsoap.org/soap/actor/next"

// A Request is a call: the element in the Body, and its arguments.
type Request struct {
	Name       xml.Name // of the operation's element
	Parameters []Parameter
}

// A Parameter is one argument of a call, a string. A Space of "" means that
// the element is in no namespace.
type Parameter struct {
	Name  xml.Name
	Value string
}

// AppendRequest appends the whole message that carries r. Namespaces may be
// any text; local names must be XML names, as those that ParseRequest and
// ParseWSDL return are.
func AppendRequest(dst []byte, r Request) []byte {
	dst = append(dst, openEnvelope...)
	dst = appendTag(dst, `<m:`, r.Name.Local, ` xmlns:m="`, r.Name.Space, `">`)
	for _, p := range r.Parameters {
		dst = appendParameter(dst, p, r.Name.Space)
	}
	dst = append(dst, `</m:`...)
	dst = append(dst, r.Name.Local...)
	return append(dst, `>`+closeEnvelope...)
}

func appendParameter(dst []byte, p Parameter, callSpace string) []byte {
	open, end := `<p:`, `</p:`
	switch p.Name.Space {
	case "":
		open, end = `<`, `</`
		dst = appendTag(dst, open, p.Name.Local, `>`, "", "")
	case callSpace:
		open, end = `<m:`, `</m:`
		dst = appendTag(dst, open, p.Name.Local, `>`, "", "")
	default:
		dst = appendTag(dst, open, p.Name.Local, ` xmlns:p="`, p.Name.Space, `">`)
	}
	dst = appendText(dst, p.Value)
	dst = append(dst, end...)
	dst = append(dst, p.Name.Local...)
	return append(dst, '>')
}

// appendTag appends its parts; all but space are markup already.
func appendTag(dst []byte, open, name, middle, space, end string) []byte {
	dst = append(dst, open...)
	dst = append(dst, name...)
	dst = append(dst, middle...)
	dst = appendText(dst, space)
	return append(dst, end...)
}

// ParseRequest reads a whole message with a call in it. It does not ask which
// call: see IsQuestion. The error is always a *Fault, ready to be sent.
func ParseRequest(doc []byte) (Request, error) {
	request, err := parseRequest(doc)
	if fault, ok := errors.AsType[*Fault](err); ok {
		return Request{}, fault
	}
	if err != nil {
		return Request{}, &Fault{Code: Client, Text: "malformed request: " + err.Error()}
	}
	return request, nil
}

func parseRequest(doc []byte) (Request, error) {
	s, err := newScanner(doc, MaxMessage)
	if err != nil {
		return Request{}, err
	}
	call, err := s.enterBody()
	if err != nil {
		return Request{}, err
	}
	request := Request{Name: call.Name}
	if !isName(call.Name.Local) || call.Name.Space == "" {
		return Request{}, fmt.Errorf("the call %q has no namespace", call.Name.Local)
	}
	for {
		start, more, err := s.child()
		if err != nil {
			return Request{}, err
		}
		if !more {
			return request, s.finish()
		}
		value, err := s.text()
		if err != nil {
			return Request{}, err
		}
		if !isName(start.Name.Local) || len(request.Parameters) == maxParameters {
			return Request{}, errors.New("the arguments are not those of a call")
		}
		request.Parameters = append(request.Parameters, Parameter{start.Name, value})
	}
}

// IsQuestion tells whether r asks our service for the time. The arguments do
// not matter: the one that there is is ignored.
func (r Request) IsQuestion() bool {
	return r.Name.Local == Operation && r.Name.Space == namespace
}

// enterBody reads up to the first element of the Body and returns its start.
// The error is a *Fault when SOAP has a code of its own for it.
func (s *scanner) enterBody() (xml.StartElement, error) {
	start, err := s.root()
	if err != nil {
		return start, err
	}
	if start.Name.Local != "Envelope" {
		return start, fmt.Errorf("the root element is %q, not an Envelope", start.Name.Local)
	}
	if start.Name.Space != EnvelopeNS {
		return start, &Fault{Code: VersionMismatch, Text: "the envelope is not of SOAP 1.1"}
	}
	start, more, err := s.child()
	if err == nil && more && start.Name == (xml.Name{Space: EnvelopeNS, Local: "Header"}) {
		if err = s.headers(); err == nil {
			start, more, err = s.child()
		}
	}
	if err != nil {
		return start, err
	}
	if !more || start.Name != (xml.Name{Space: EnvelopeNS, Local: "Body"}) {
		return start, errors.New("the envelope has no Body")
	}
	if start, more, err = s.child(); err == nil && !more {
		err = errors.New("the Body is empty")
	}
	return start, err
}

// root returns the start of the document's one element.
func (s *scanner) root() (xml.StartElement, error) {
	start, _, err := s.child()
	return start, err
}

// headers skips the entries of the Header that we may ignore. We know none:
// one that is meant for us and must be understood ends the call (§4.2.3).
func (s *scanner) headers() error {
	for {
		entry, more, err := s.child()
		if err != nil || !more {
			return err
		}
		must := attribute(entry, EnvelopeNS, "mustUnderstand")
		actor := attribute(entry, EnvelopeNS, "actor")
		if (must == "1" || must == "true") && (actor == "" || actor == nextActor) {
			return &Fault{Code: MustUnderstand, Text: fmt.Sprintf("header %q is not understood", entry.Name.Local)}
		}
		if err := s.skip(); err != nil {
			return err
		}
	}
}
