package soap

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"lonja"
)

// ParseWSDL reads the description of a service and returns how to call
// operation there, over SOAP 1.1. It understands document style, wrapped and
// bare, and rpc style, in one document: what a WSDL imports is not fetched.
// Names that a document refers to are looked up without their prefix, which is
// unambiguous in what the toolkits write for a service of this size.
//
// The error is of kind Malformed.
func ParseWSDL(doc []byte, operation string) (Binding, error) {
	binding, err := parseWSDL(doc, operation)
	if err != nil {
		return Binding{}, lonja.E(lonja.Malformed, "read the WSDL", err)
	}
	return binding, nil
}

func parseWSDL(doc []byte, operation string) (Binding, error) {
	if err := checkDocument(doc, MaxWSDL); err != nil {
		return Binding{}, err
	}
	var d definitions
	if err := xml.Unmarshal(doc, &d); err != nil {
		return Binding{}, err
	}
	for _, port := range d.Ports {
		for _, b := range d.Bindings {
			if port.Address == nil || b.SOAP == nil || b.Name != local(port.Binding) {
				continue
			}
			if op := find(b.Operations, operation); op != nil {
				return d.bind(port, b, op)
			}
		}
	}
	return Binding{}, fmt.Errorf("no SOAP 1.1 port offers %q", operation)
}

// checkDocument reads a document to its end for the scanner's rules alone.
func checkDocument(doc []byte, limit int) error {
	s, err := newScanner(doc, limit)
	for err == nil {
		_, err = s.next()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// bind puts together what the parts of a WSDL say of one operation, and checks
// that it can be written into a message.
func (d *definitions) bind(port wsdlPort, b wsdlBinding, op *wsdlOperation) (Binding, error) {
	result := Binding{Address: port.Address.Location, Action: op.SOAP.Action}
	parts := d.inputParts(b, op.Name)
	style := op.SOAP.Style
	if style == "" {
		style = b.SOAP.Style
	}
	if style == "rpc" {
		d.bindRPC(&result, op, parts)
	} else if err := d.bindDocument(&result, parts); err != nil {
		return Binding{}, err
	}
	return result, result.check()
}

// bindRPC: the call is named after the operation, its children after the parts
// of the message, in no namespace (WSDL 1.1 §3.5, WS-I Basic Profile R2735).
func (d *definitions) bindRPC(result *Binding, op *wsdlOperation, parts []wsdlPart) {
	space := op.Body.Namespace
	if space == "" {
		space = d.TargetNamespace
	}
	result.Call = xml.Name{Space: space, Local: op.Name}
	for _, part := range parts {
		result.Parameters = append(result.Parameters, xml.Name{Local: part.Name})
	}
}

// bindDocument: the message's one part names the element of the call, and the
// schema names its children.
func (d *definitions) bindDocument(result *Binding, parts []wsdlPart) error {
	if len(parts) == 0 || parts[0].Element == "" {
		return errors.New("the message names no element")
	}
	name := local(parts[0].Element)
	for _, s := range d.Schemas {
		element := findElement(s.Elements, name)
		if element == nil {
			continue
		}
		result.Call = xml.Name{Space: s.TargetNamespace, Local: name}
		for _, child := range d.children(element) {
			result.Parameters = append(result.Parameters, s.childName(child))
		}
		return nil
	}
	return fmt.Errorf("no schema has the element %q", name)
}

// check refuses what cannot be written into a request, or into its header.
func (b Binding) check() error {
	names := append([]xml.Name{b.Call}, b.Parameters...)
	for _, name := range names {
		if !isName(name.Local) {
			return fmt.Errorf("%q cannot name an element", name.Local)
		}
	}
	if b.Call.Space == "" {
		return errors.New("the call has no namespace")
	}
	if len(b.Parameters) > maxParameters {
		return fmt.Errorf("the call has more than %d parameters", maxParameters)
	}
	for _, c := range []byte(b.Action) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return fmt.Errorf("action %q cannot stand in a header", b.Action)
		}
	}
	return nil
}
