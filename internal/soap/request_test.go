package soap

import (
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// wrap puts content into the Body of an envelope, with header before it.
func wrap(header, content string) string {
	return `<e:Envelope xmlns:e="` + EnvelopeNS + `">` + header + `<e:Body>` + content + `</e:Body></e:Envelope>`
}

const question = `<q:get_datetime xmlns:q="urn:lonja:datetime"/>`

func TestAppendRequestBytes(t *testing.T) {
	request := Request{
		Name: xml.Name{Space: "urn:a&b", Local: "ask"},
		Parameters: []Parameter{
			{xml.Name{Space: "urn:a&b", Local: "same"}, "1 < 2"},
			{xml.Name{Local: "none"}, "a\nb"},
			{xml.Name{Space: `urn:"other"`, Local: "other"}, ""},
		},
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` +
		`<m:ask xmlns:m="urn:a&amp;b"><m:same>1 &lt; 2</m:same><none>a&#10;b</none>` +
		`<p:other xmlns:p="urn:&#34;other&#34;"></p:other></m:ask></soap:Body></soap:Envelope>`
	got := string(AppendRequest(nil, request))
	if got != want {
		t.Errorf("AppendRequest:\n got %s\nwant %s", got, want)
	}
	back, err := ParseRequest([]byte(got))
	if err != nil || !reflect.DeepEqual(back, request) {
		t.Errorf("ParseRequest of it: got %+v, %v, want %+v", back, err, request)
	}
}

// What toolkits send, in their own spelling of one and the same question.
func TestParseRequestAccepts(t *testing.T) {
	tests := map[string]string{
		"ours": string(AppendRequest(nil, Datetime().Request("now"))),
		"zeep": `<?xml version='1.0' encoding='utf-8'?>` + "\n" +
			`<soap-env:Envelope xmlns:soap-env="` + EnvelopeNS + `"><soap-env:Body>` +
			`<ns0:get_datetime xmlns:ns0="urn:lonja:datetime"><ns0:text></ns0:text></ns0:get_datetime>` +
			`</soap-env:Body></soap-env:Envelope>`,
		"pysimplesoap": `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="` + EnvelopeNS + `">
<soap:Header/>
<soap:Body>
    <get_datetime xmlns="urn:lonja:datetime">
    <text></text></get_datetime>
</soap:Body>
</soap:Envelope>`,
		"gSOAP": `<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + EnvelopeNS + `" xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"
 xmlns:ns1="urn:lonja:datetime"><SOAP-ENV:Body SOAP-ENV:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
 <ns1:get_datetime><ns1:text/></ns1:get_datetime></SOAP-ENV:Body></SOAP-ENV:Envelope>`,
		"byte order mark":      "\ufeff<?xml version=\"1.0\"?>" + wrap("", question),
		"comments":             "<!-- a --><!-- b -->" + wrap("<!-- c -->", "<!-- d -->"+question) + "<!-- e -->",
		"no argument":          wrap("", question),
		"own references":       wrap("", `<get_datetime xmlns="urn:lonja:datetime"><t>&lt;&#65;&amp;</t></get_datetime>`),
		"CDATA":                wrap("", `<get_datetime xmlns="urn:lonja:datetime"><t><![CDATA[<!DOCTYPE]]></t></get_datetime>`),
		"optional header":      wrap(`<e:Header><h:trace xmlns:h="urn:h" e:mustUnderstand="0"><h:a/></h:trace></e:Header>`, question),
		"header for another":   wrap(`<e:Header><h:x xmlns:h="urn:h" e:mustUnderstand="1" e:actor="urn:proxy"/></e:Header>`, question),
		"mustUnderstand alone": wrap(`<e:Header><h:x xmlns:h="urn:h" mustUnderstand="1"/></e:Header>`, question),
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			request, err := ParseRequest([]byte(doc))
			if err != nil || !request.IsQuestion() {
				t.Errorf("got %+v, %v, want the question", request, err)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	tests := []struct {
		name, doc string
		code      FaultCode
		text      string // part of what the caller is told
	}{
		{"nothing", "", Client, "empty"},
		{"blanks", " \n", Client, "empty"},
		{"text", "hello", Client, "text"},
		{"JSON", `{"get_datetime": ""}`, Client, "text"},
		{"cut short", wrap("", question)[:100], Client, "EOF"},
		{"ends crossed", `<e:Envelope xmlns:e="` + EnvelopeNS + `"><e:Body></e:Envelope></e:Body>`, Client, "closed by"},
		{"SOAP 1.2", strings.ReplaceAll(wrap("", question), EnvelopeNS, "http://www.w3.org/2003/05/soap-envelope"), VersionMismatch, "1.1"},
		{"no namespace", `<Envelope><Body/></Envelope>`, VersionMismatch, "1.1"},
		{"not an envelope", `<html><body/></html>`, Client, `"html"`},
		{"no body", `<e:Envelope xmlns:e="` + EnvelopeNS + `"/>`, Client, "no Body"},
		{"header only", `<e:Envelope xmlns:e="` + EnvelopeNS + `"><e:Header/></e:Envelope>`, Client, "no Body"},
		{"empty body", wrap("", ""), Client, "Body is empty"},
		{"text in the body", wrap("", "what time is it"), Client, "text"},
		{"two calls", wrap("", question+question), Client, "follows"},
		{"after the body", strings.Replace(wrap("", question), "</e:Body>", "</e:Body><e:More/>", 1), Client, "follows"},
		{"element after the end", wrap("", question) + "<x/>", Client, "follows"},
		{"text after the end", wrap("", question) + "x", Client, "text"},
		{"two documents", wrap("", question) + wrap("", question), Client, "follows"},
		{"call without namespace", wrap("", "<get_datetime/>"), Client, "no namespace"},
		{"nested argument", wrap("", `<g xmlns="urn:x"><a><b/></a></g>`), Client, "element"},
		{"arguments without end", wrap("", `<g xmlns="urn:x">`+strings.Repeat("<a/>", 17)+`</g>`), Client, "arguments"},
		{"must understand", wrap(`<e:Header><h:pay xmlns:h="urn:h" e:mustUnderstand="1"/></e:Header>`, question), MustUnderstand, `"pay"`},
		{"must understand, next", wrap(`<e:Header><h:pay xmlns:h="urn:h" e:mustUnderstand="1" e:actor="`+nextActor+`"/></e:Header>`, question), MustUnderstand, `"pay"`},
		{"DTD", `<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + wrap("", question), Client, "type declarations"},
		{"DTD in the middle", wrap("", `<!DOCTYPE a>`+question), Client, "type declarations"},
		{"billion laughs", `<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>` + wrap("", `<g xmlns="urn:x">&b;</g>`), Client, "type declarations"},
		{"entity", wrap("", `<g xmlns="urn:x">&secret;</g>`), Client, "&secret;"},
		{"entity in an attribute", wrap("", `<g xmlns="&secret;"/>`), Client, "&secret;"},
		{"reference to NUL", wrap("", `<g xmlns="urn:x"><a>&#0;</a></g>`), Client, "malformed"},
		{"instruction", `<?xml version="1.0"?><?php x?>` + wrap("", question), Client, "instructions"},
		{"instruction inside", wrap("", `<?go now?>`+question), Client, "instructions"},
		{"late declaration", "\n" + `<?xml version="1.0"?>` + wrap("", question), Client, "instructions"},
		{"XML 1.1", `<?xml version="1.1"?>` + wrap("", question), Client, "version"},
		{"Latin-1 declared", `<?xml version="1.0" encoding="ISO-8859-1"?>` + wrap("", question), Client, "ISO-8859-1"},
		{"Latin-1 bytes", wrap("", "<g xmlns='urn:x'>a\xf1o</g>"), Client, "not UTF-8"},
		{"UTF-16", "\xff\xfe<\x00a\x00", Client, "not UTF-8"},
		{"control character", wrap("", "<g xmlns='urn:x'>\x01</g>"), Client, "U+0001"},
		{"attribute twice", wrap("", `<g xmlns="urn:x" a="1" a="2"/>`), Client, "twice"},
		{"attributes without end", wrap("", "<g xmlns='urn:x'"+manyAttributes(65)+"/>"), Client, "attributes"},
		{"too deep", wrap("", strings.Repeat("<g xmlns='urn:x'>", 100)), Client, "element"},
		{"too deep in a header", wrap("<e:Header>"+strings.Repeat("<g>", 100), ""), Client, "deeper"},
		{"too long", wrap("", question+strings.Repeat(" ", MaxMessage)), Client, "65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request, err := ParseRequest([]byte(tt.doc))
			fault, ok := errors.AsType[*Fault](err)
			if !ok {
				t.Fatalf("got %+v, %v, want a fault", request, err)
			}
			if fault.Code != tt.code || !strings.Contains(fault.Text, tt.text) {
				t.Errorf("got %v, want %s with %q", fault, tt.code, tt.text)
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("x", i) + `=""`)
	}
	return b.String()
}

func TestIsQuestion(t *testing.T) {
	tests := map[xml.Name]bool{
		{Space: "urn:lonja:datetime", Local: "get_datetime"}: true,
		{Space: "urn:lonja:datetime", Local: "get_date"}:     false,
		{Space: "urn:other", Local: "get_datetime"}:          false,
	}
	for name, want := range tests {
		if got := (Request{Name: name}).IsQuestion(); got != want {
			t.Errorf("IsQuestion of %v: got %v, want %v", name, got, want)
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	doc := AppendRequest(nil, Datetime().Request(""))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRequest(doc); err != nil {
			b.Fatal(err)
		}
	}
}
