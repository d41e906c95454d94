// Package soap is the wire format of the date-time service: SOAP 1.1 messages
// (W3C Note, 8 May 2000) and the WSDL 1.1 that describes them. Bytes in, bytes
// out: package datetime owns the HTTP on both sides.
//
// A question and its answer, without the envelope around them:
//
//	<m:get_datetime xmlns:m="urn:lonja:datetime"><m:text/></m:get_datetime>
//	<m:get_datetimeResponse ...><m:get_datetimeResult>23/11/2026 05:54:17</m:get_datetimeResult></m:get_datetimeResponse>
//
// Our service has one fixed shape, the one above. Services that others wrote
// have shapes of their own: ParseWSDL learns what a client must say to one.
//
// Every document is read by one strict scanner. No DTD, no processing
// instruction, no entity but the five of XML itself, UTF-8 only; size, depth
// and number of attributes are bounded. So nothing that a stranger sends
// expands, recurses or refers to a file.
package soap

import (
	"encoding/xml"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on what is read, in bytes.
const (
	MaxMessage = 64 << 10 // a request, an answer or a fault
	MaxWSDL    = 1 << 20  // a service description
)

// EnvelopeNS is the namespace of a SOAP 1.1 envelope. Another one is another
// version of SOAP.
const EnvelopeNS = "http://schemas.xmlsoap.org/soap/envelope/"

// Operation is the one operation of a date-time service.
const Operation = "get_datetime"

// namespace is that of our service. It names no host, so that it is the same
// wherever the service runs.
const namespace = "urn:lonja:datetime"

// openEnvelope and closeEnvelope stand around the content of each message
// that we write. The prefix is declared on the envelope because pysimplesoap's
// server looks for it there and nowhere else.
const (
	openEnvelope = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soap:Envelope xmlns:soap="` + EnvelopeNS + `"><soap:Body>`
	closeEnvelope = `</soap:Body></soap:Envelope>`
)

// appendText appends s as the content of an element or of a quoted attribute.
// What XML cannot carry becomes U+FFFD. Line ends are written as references,
// or the reader would make them one newline or a blank.
func appendText(dst []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '"':
			dst = append(dst, "&#34;"...)
		case r == '\t':
			dst = append(dst, "&#9;"...)
		case r == '\n':
			dst = append(dst, "&#10;"...)
		case r == '\r':
			dst = append(dst, "&#13;"...)
		case r < ' ', r == 0xFFFE, r == 0xFFFF:
			dst = utf8.AppendRune(dst, unicode.ReplacementChar)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// isName tells whether s can be written as the local name of an element: ASCII
// letters and those of Latin-1, and from the second place on digits, '-' and
// '.'. An NCName of XML Namespaces may hold more; nobody's service does, and
// what passes here needs no escaping.
func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' ||
			0xC0 <= r && r <= 0xFF && unicode.IsLetter(r)
		inside := r == '-' || r == '.' || '0' <= r && r <= '9'
		if !letter && (i == 0 || !inside) {
			return false
		}
	}
	return s != ""
}

// local returns what follows the prefix of a qualified name.
func local(qname string) string {
	return qname[strings.LastIndexByte(qname, ':')+1:]
}

// isBlank tells whether text is nothing but the white space between elements.
func isBlank(text []byte) bool {
	for _, b := range text {
		if b != ' ' && b != '\t' && b != '\n' && b != '\r' {
			return false
		}
	}
	return true
}

// attribute returns the value of an attribute, "" when it is not there.
func attribute(start xml.StartElement, space, name string) string {
	for _, a := range start.Attr {
		if a.Name.Space == space && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
