package soap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Bounds on one document besides its size, well above what the WSDLs in
// testdata need. A WSDL declares its namespaces in attributes of its root.
const (
	maxDepth      = 32
	maxAttributes = 64
)

var (
	errDTD         = errors.New("document type declarations are not allowed in SOAP")
	errInstruction = errors.New("processing instructions are not allowed in SOAP")
	errTrailing    = errors.New("something follows the root element")
	errText        = errors.New("text stands where an element is expected")
	errNested      = errors.New("an element stands where text is expected")
)

// A scanner reads one XML document, token by token, and refuses what SOAP 1.1
// §3 forbids or what could cost more than the document's own size. It is
// stricter than the decoder below it, which also reads fragments.
type scanner struct {
	dec     *xml.Decoder
	depth   int
	started bool // a token has been read: an XML declaration comes too late
	closed  bool // the root element has ended
}

// newScanner refuses a document over limit bytes or in another encoding than
// UTF-8, with or without a byte order mark.
func newScanner(doc []byte, limit int) (*scanner, error) {
	if len(doc) > limit {
		return nil, fmt.Errorf("the document is over %d bytes", limit)
	}
	if !utf8.Valid(doc) {
		return nil, errors.New("the document is not UTF-8")
	}
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	dec := xml.NewDecoder(bytes.NewReader(doc))
	dec.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("encoding %q is not UTF-8", label)
	}
	return &scanner{dec: dec}, nil
}

// next returns the next start of an element, end of an element or text. Text
// is valid until the next call. The error is io.EOF after a whole document.
func (s *scanner) next() (xml.Token, error) {
	for {
		token, err := s.dec.Token()
		if err != nil {
			return nil, s.atEnd(err)
		}
		first := !s.started
		s.started = true
		switch t := token.(type) {
		case xml.StartElement:
			return t, s.open(t)
		case xml.EndElement:
			s.depth--
			s.closed = s.depth == 0
			return t, nil
		case xml.CharData:
			if s.depth > 0 {
				return t, nil
			}
			if !isBlank(t) {
				return nil, errText
			}
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return nil, errInstruction
			}
		case xml.Directive:
			return nil, errDTD
		case xml.Comment:
		}
	}
}

// open counts an element in and checks its attributes.
func (s *scanner) open(start xml.StartElement) error {
	if s.closed {
		return errTrailing
	}
	if s.depth++; s.depth > maxDepth {
		return fmt.Errorf("elements are nested deeper than %d", maxDepth)
	}
	if len(start.Attr) > maxAttributes {
		return fmt.Errorf("an element has more than %d attributes", maxAttributes)
	}
	for i, a := range start.Attr {
		for _, b := range start.Attr[:i] {
			if a.Name == b.Name {
				return fmt.Errorf("attribute %q stands twice", a.Name.Local)
			}
		}
	}
	return nil
}

func (s *scanner) atEnd(err error) error {
	if errors.Is(err, io.EOF) && !s.closed {
		return errors.New("the document is empty")
	}
	return err
}

// child returns the next element inside the one that is open, or false when
// that one ends.
func (s *scanner) child() (xml.StartElement, bool, error) {
	for {
		token, err := s.next()
		if err != nil {
			return xml.StartElement{}, false, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return t, true, nil
		case xml.EndElement:
			return xml.StartElement{}, false, nil
		case xml.CharData:
			if !isBlank(t) {
				return xml.StartElement{}, false, errText
			}
		}
	}
}

// text returns the content of the element that is open, up to its end.
func (s *scanner) text() (string, error) {
	var content []byte
	for {
		token, err := s.next()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return "", errNested
		case xml.EndElement:
			return string(content), nil
		case xml.CharData:
			content = append(content, t...)
		}
	}
}

// skip reads on to the end of the element that is open.
func (s *scanner) skip() error {
	for outer := s.depth - 1; s.depth > outer; {
		if _, err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// finish reads on to the end of the document, which must hold nothing more
// than the ends of the elements that are open.
func (s *scanner) finish() error {
	for {
		switch _, more, err := s.child(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case more:
			return errTrailing
		}
	}
}
