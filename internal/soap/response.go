package soap

import (
	"encoding/xml"
	"strings"

	"lonja"
)

const (
	openAnswer = openEnvelope + `<m:` + Operation + `Response xmlns:m="` + namespace + `"><m:` + Operation + `Result>`
	endAnswer  = `</m:` + Operation + `Result></m:` + Operation + `Response>` + closeEnvelope
)

// AppendResponse appends the whole message with which our service answers.
func AppendResponse(dst []byte, value string) []byte {
	dst = append(dst, openAnswer...)
	dst = appendText(dst, value)
	return append(dst, endAnswer...)
}

// ParseResponse returns the string that a service answered, without the white
// space around it. Services name the elements of an answer as they like, so
// the names do not count: the string is the content of the first element
// inside the one in the Body, or of that one itself when it holds no other.
//
// The error is of kind Refused, with the *Fault as its cause, when the service
// answered with one, or Malformed.
func ParseResponse(doc []byte) (string, error) {
	value, fault, err := parseResponse(doc)
	switch {
	case err != nil:
		return "", lonja.E(lonja.Malformed, "read the answer", err)
	case fault != nil:
		return "", lonja.E(lonja.Refused, "read the answer", fault)
	}
	return strings.Trim(value, " \t\r\n"), nil
}

func parseResponse(doc []byte) (string, *Fault, error) {
	s, err := newScanner(doc, MaxMessage)
	if err != nil {
		return "", nil, err
	}
	start, err := s.enterBody()
	if err != nil {
		return "", nil, err
	}
	var value string
	var fault *Fault
	if start.Name == (xml.Name{Space: EnvelopeNS, Local: "Fault"}) {
		fault, err = s.fault()
	} else {
		value, err = s.answer()
	}
	if err == nil {
		err = s.finish()
	}
	return value, fault, err
}

// answer reads the element that is open: its own text, or that of its first
// child when it has one. Further children are further results: not for us.
func (s *scanner) answer() (string, error) {
	var own []byte
	for {
		token, err := s.next()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.CharData:
			own = append(own, t...)
		case xml.EndElement:
			return string(own), nil
		case xml.StartElement:
			if !isBlank(own) {
				return "", errNested
			}
			value, err := s.text()
			if err != nil {
				return "", err
			}
			return value, s.skip()
		}
	}
}
