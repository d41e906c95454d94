package soap

import (
	"encoding/xml"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"lonja"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	doc, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// The embedded description and the code must say the same.
func TestOurWSDLDescribesOurService(t *testing.T) {
	const address = `http://host:8000/?a=1&b="2"`
	got, err := ParseWSDL(AppendWSDL(nil, address), Operation)
	want := Datetime()
	want.Address = address
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	request, err := ParseRequest(AppendRequest(nil, got.Request("x")))
	if err != nil || !request.IsQuestion() {
		t.Errorf("a request made from it: got %+v, %v, want the question", request, err)
	}
}

// pysimplesoap.wsdl and spyne.wsdl were written by those two; the others show
// what else a WSDL may say.
func TestParseWSDL(t *testing.T) {
	tests := map[string]Binding{
		"pysimplesoap.wsdl": {
			"http://localhost:8000/", "http://localhost:8000/get_datetime",
			xml.Name{Space: "http://example.org/datetime", Local: "get_datetime"},
			[]xml.Name{{Space: "http://example.org/datetime", Local: "name"}},
		},
		"spyne.wsdl": {
			"http://localhost:8000/", "get_datetime",
			xml.Name{Space: "example.datetime", Local: "get_datetime"},
			[]xml.Name{{Space: "example.datetime", Local: "arg"}},
		},
		"rpc.wsdl": {
			"http://clock.example/soap?v=1", "",
			xml.Name{Space: "urn:clock", Local: "get_datetime"},
			[]xml.Name{{Local: "zone"}, {Local: "lang"}},
		},
		"bare.wsdl": {"/clock", "urn:ask", xml.Name{Space: "urn:types", Local: "askTime"}, nil},
		"mixed.wsdl": {
			"http://h/", "",
			xml.Name{Space: "urn:defs", Local: "get_datetime"},
			[]xml.Name{{Local: "plain"}, {Space: "urn:defs", Local: "formed"}, {Space: "urn:defs", Local: "shared"}},
		},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseWSDL(read(t, name), Operation)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestParseWSDLRefuses(t *testing.T) {
	mixed := string(read(t, "mixed.wsdl"))
	edit := func(from, to string) string {
		if !strings.Contains(mixed, from) {
			t.Fatalf("mixed.wsdl does not contain %q", from)
		}
		return strings.ReplaceAll(mixed, from, to)
	}
	tests := map[string]string{
		"nothing":              "",
		"an envelope":          wrap("", question),
		"DTD":                  "<!DOCTYPE d>" + strings.TrimPrefix(mixed, `<?xml version="1.0" encoding="utf-8"?>`),
		"entity":               edit(`location="http://h/"`, `location="&x;"`),
		"cut short":            mixed[:len(mixed)/2],
		"garbage after it":     mixed + "x",
		"another operation":    edit("get_datetime", "get_date"),
		"no port":              edit("s:address", "x:address"),
		"no element":           edit(`element="d:get_datetime"`, `type="x:string"`),
		"unknown element":      edit(`element="d:get_datetime"`, `element="d:unknown"`),
		"no message":           edit(`message="d:in"`, `message="d:out"`),
		"no namespace":         edit(`targetNamespace="urn:defs"`, ``),
		"markup as a name":     edit(`name="plain"`, `name="a&gt;&lt;b"`),
		"no name":              edit(`name="plain"`, ``),
		"line break in action": edit(`<s:operation `, `<s:operation soapAction="a&#10;b" `),
		"quote in action":      edit(`<s:operation `, `<s:operation soapAction="a&#34;b" `),
		"countless parameters": edit(`<x:element ref="d:shared"/>`, strings.Repeat(`<x:element ref="d:shared"/>`, 20)),
		"too deep":             "<a>" + strings.Repeat("<a>", 40),
		"too long":             mixed + strings.Repeat(" ", MaxWSDL),
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseWSDL([]byte(doc), Operation)
			if !errors.Is(err, lonja.Malformed) {
				t.Errorf("got %+v, %v, want an error of kind Malformed", got, err)
			}
		})
	}
}
