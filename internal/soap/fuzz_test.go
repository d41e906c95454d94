package soap

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// What a request means survives being written again by us.
func FuzzParseRequest(f *testing.F) {
	f.Add(AppendRequest(nil, Datetime().Request("x")))
	f.Add([]byte(wrap(`<e:Header><h e:mustUnderstand="0"/></e:Header>`, `<g xmlns="urn:x"><a xmlns="">&lt;</a></g>`)))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]>` + wrap("", question)))
	f.Add([]byte("\ufeff<?xml version='1.0' encoding='utf-8'?>" + wrap("", question)))
	f.Fuzz(func(t *testing.T, doc []byte) {
		request, err := ParseRequest(doc)
		if err != nil {
			if _, ok := errors.AsType[*Fault](err); !ok {
				t.Fatalf("the error is %v, not a fault", err)
			}
			return
		}
		again := AppendRequest(nil, request)
		if len(again) > MaxMessage {
			return // references are longer than what they stand for
		}
		back, err := ParseRequest(again)
		if err != nil || !reflect.DeepEqual(back, request) {
			t.Errorf("written again: got %+v, %v, want %+v", back, err, request)
		}
	})
}

// A string that was answered is the same when we answer it, and so is a fault.
func FuzzParseResponse(f *testing.F) {
	f.Add(AppendResponse(nil, stamp))
	f.Add(AppendFault(nil, Fault{Client, "a <b>"}))
	f.Add([]byte(wrap("", "<r><a>1</a><b><c/></b></r>")))
	f.Fuzz(func(t *testing.T, doc []byte) {
		value, err := ParseResponse(doc)
		if fault, ok := errors.AsType[*Fault](err); ok {
			again := AppendFault(nil, *fault)
			_, err := ParseResponse(again)
			back, ok := errors.AsType[*Fault](err)
			if len(again) <= MaxMessage && (!ok || *back != Fault{FaultCode(local(string(fault.Code))), fault.Text}) {
				t.Errorf("fault written again: got %v, want %v", err, fault)
			}
			return
		}
		if err != nil {
			return
		}
		again := AppendResponse(nil, value)
		back, err := ParseResponse(again)
		if len(again) <= MaxMessage && (err != nil || back != value) {
			t.Errorf("written again: got %q, %v, want %q", back, err, value)
		}
	})
}

// Whatever a WSDL says, the request made from it is one well-formed call with
// those names: nothing from the WSDL is taken for markup.
func FuzzParseWSDL(f *testing.F) {
	for _, name := range []string{"pysimplesoap.wsdl", "spyne.wsdl", "rpc.wsdl", "bare.wsdl", "mixed.wsdl"} {
		f.Add(read(f, name))
	}
	f.Add(AppendWSDL(nil, "http://localhost/"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		binding, err := ParseWSDL(doc, Operation)
		if err != nil {
			return
		}
		if strings.ContainsAny(binding.Action, "\r\n\"") {
			t.Errorf("action %q would break out of its header", binding.Action)
		}
		request := binding.Request("")
		encoded := AppendRequest(nil, request)
		if len(encoded) > MaxMessage {
			return
		}
		back, err := ParseRequest(encoded)
		if err != nil || !reflect.DeepEqual(back, request) {
			t.Errorf("the request: got %+v, %v, want %+v", back, err, request)
		}
	})
}
