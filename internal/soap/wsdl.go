package soap

import (
	_ "embed"
	"strings"
)

// The description of our service is document/literal, "wrapped". All of zeep,
// pysimplesoap and gSOAP take it from the WSDL alone, and zeep unwraps the
// answer to a plain string. rpc/literal would have the same bytes on the wire,
// but pysimplesoap has no notion of it: it names the call after the WSDL's
// message instead of the operation and puts it in the namespace of XML Schema.
//
//go:embed datetime.wsdl
var wsdl string

// AppendWSDL appends the description of our service at address, a URL.
func AppendWSDL(dst []byte, address string) []byte {
	before, after, _ := strings.Cut(wsdl, "{{address}}")
	dst = append(dst, before...)
	dst = appendText(dst, address)
	return append(dst, after...)
}
