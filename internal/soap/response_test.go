package soap

import (
	"errors"
	"strings"
	"testing"

	"lonja"
)

const stamp = "23/11/2026 05:54:17"

func TestAppendResponseBytes(t *testing.T) {
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` +
		`<m:get_datetimeResponse xmlns:m="urn:lonja:datetime">` +
		`<m:get_datetimeResult>23/11/2026 05:54:17</m:get_datetimeResult>` +
		`</m:get_datetimeResponse></soap:Body></soap:Envelope>`
	if got := string(AppendResponse(nil, stamp)); got != want {
		t.Errorf("AppendResponse:\n got %s\nwant %s", got, want)
	}
}

func TestAppendFaultBytes(t *testing.T) {
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` +
		`<soap:Fault><faultcode>soap:Client</faultcode><faultstring>a &lt; b ` + "\ufffd" +
		`</faultstring></soap:Fault></soap:Body></soap:Envelope>`
	if got := string(AppendFault(nil, Fault{Client, "a < b \x00"})); got != want {
		t.Errorf("AppendFault:\n got %s\nwant %s", got, want)
	}
}

func TestParseResponse(t *testing.T) {
	tests := map[string]string{
		"ours":         string(AppendResponse(nil, stamp)),
		"unqualified":  wrap("", `<r xmlns="urn:x"><result xmlns="">`+stamp+`</result></r>`),
		"bare":         wrap("", `<time xmlns="urn:x">`+stamp+`</time>`),
		"laid out":     wrap("", "<r>\n  <result>\n   "+stamp+"\n  </result>\n</r>"),
		"two results":  wrap("", `<r><a>`+stamp+`</a><b><c/></b></r>`),
		"CDATA":        wrap("", `<r><a><![CDATA[`+stamp+`]]></a></r>`),
		"typed":        wrap("", `<r><a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="xsd:string">`+stamp+`</a></r>`),
		"header ahead": wrap(`<e:Header><h/></e:Header>`, `<r><a>`+stamp+`</a></r>`),
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseResponse([]byte(doc))
			if err != nil || got != stamp {
				t.Errorf("got %q, %v, want %q", got, err, stamp)
			}
		})
	}
}

func TestParseResponseRefuses(t *testing.T) {
	tests := map[string]string{
		"nothing":             "",
		"HTML":                "<!DOCTYPE html><html><body>404</body></html>",
		"XHTML":               "<html><body>404</body></html>",
		"SOAP 1.2":            strings.ReplaceAll(wrap("", "<r/>"), EnvelopeNS, "http://www.w3.org/2003/05/soap-envelope"),
		"deep result":         wrap("", "<r><a><b>"+stamp+"</b></a></r>"),
		"mixed":               wrap("", "<r>text<a>"+stamp+"</a></r>"),
		"cut short":           string(AppendResponse(nil, stamp))[:150],
		"cut before the end":  strings.TrimSuffix(string(AppendResponse(nil, stamp)), ">"),
		"garbage after it":    string(AppendResponse(nil, stamp)) + "x",
		"cut fault":           strings.TrimSuffix(string(AppendFault(nil, Fault{Server, "x"})), closeEnvelope),
		"element in a fault":  wrap("", "<e:Fault><faultstring><b/></faultstring></e:Fault>"),
		"must be understood":  wrap(`<e:Header><h e:mustUnderstand="1"/></e:Header>`, `<r>`+stamp+`</r>`),
		"longer than allowed": wrap("", "<r>"+strings.Repeat(" ", MaxMessage)+"</r>"),
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseResponse([]byte(doc))
			if !errors.Is(err, lonja.Malformed) {
				t.Errorf("got %q, %v, want an error of kind Malformed", got, err)
			}
		})
	}
}

func TestParseResponseFault(t *testing.T) {
	tests := map[string]struct {
		doc  string
		want Fault
	}{
		"ours":         {string(AppendFault(nil, Fault{MustUnderstand, "a <b>"})), Fault{MustUnderstand, "a <b>"}},
		"pysimplesoap": {wrap("", `<e:Fault><faultcode>Client.KeyError</faultcode><faultstring>x</faultstring><detail><a>b</a></detail></e:Fault>`), Fault{"Client.KeyError", "x"}},
		"empty":        {wrap("", `<e:Fault/>`), Fault{Server, ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseResponse([]byte(tt.doc))
			fault, ok := errors.AsType[*Fault](err)
			if !ok || !errors.Is(err, lonja.Refused) || *fault != tt.want {
				t.Errorf("got %v, want kind Refused with %+v", err, tt.want)
			}
		})
	}
}

func TestFaultErrorIsPrintable(t *testing.T) {
	fault := &Fault{"Client\x1b[2J", "\x07bell"}
	if got := fault.Error(); got != lonja.Printable(got) {
		t.Errorf("Error() = %q, want nothing that a terminal obeys", got)
	}
}
