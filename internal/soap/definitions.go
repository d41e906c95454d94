package soap

import "encoding/xml"

// The parts of a WSDL 1.1 document that a caller of one operation needs, in
// the form in which encoding/xml fills them. Elements of SOAP 1.2 and of HTTP
// bindings have other namespaces and so do not appear here.
type (
	definitions struct {
		XMLName         xml.Name        `xml:"http://schemas.xmlsoap.org/wsdl/ definitions"`
		TargetNamespace string          `xml:"targetNamespace,attr"`
		Schemas         []xsdSchema     `xml:"types>schema"`
		Messages        []wsdlMessage   `xml:"message"`
		PortTypes       []wsdlInterface `xml:"portType"`
		Bindings        []wsdlBinding   `xml:"binding"`
		Ports           []wsdlPort      `xml:"service>port"`
	}
	wsdlMessage struct {
		Name  string     `xml:"name,attr"`
		Parts []wsdlPart `xml:"part"`
	}
	wsdlPart struct {
		Name    string `xml:"name,attr"`
		Element string `xml:"element,attr"`
	}
	wsdlInterface struct {
		Name       string `xml:"name,attr"`
		Operations []struct {
			Name  string `xml:"name,attr"`
			Input struct {
				Message string `xml:"message,attr"`
			} `xml:"input"`
		} `xml:"operation"`
	}
	wsdlBinding struct {
		Name       string          `xml:"name,attr"`
		Type       string          `xml:"type,attr"`
		SOAP       *soapStyle      `xml:"http://schemas.xmlsoap.org/wsdl/soap/ binding"`
		Operations []wsdlOperation `xml:"http://schemas.xmlsoap.org/wsdl/ operation"`
	}
	wsdlOperation struct {
		Name string    `xml:"name,attr"`
		SOAP soapStyle `xml:"http://schemas.xmlsoap.org/wsdl/soap/ operation"`
		Body soapBody  `xml:"input>body"`
	}
	soapStyle struct {
		Style  string `xml:"style,attr"`
		Action string `xml:"soapAction,attr"`
	}
	soapBody struct {
		Namespace string `xml:"namespace,attr"`
	}
	wsdlPort struct {
		Binding string `xml:"binding,attr"`
		Address *struct {
			Location string `xml:"location,attr"`
		} `xml:"http://schemas.xmlsoap.org/wsdl/soap/ address"`
	}
)

// The parts of an XML Schema that name the children of an element.
type (
	xsdSchema struct {
		TargetNamespace string       `xml:"targetNamespace,attr"`
		Form            string       `xml:"elementFormDefault,attr"`
		Elements        []xsdElement `xml:"element"`
		Types           []xsdType    `xml:"complexType"`
	}
	xsdElement struct {
		Name string   `xml:"name,attr"`
		Ref  string   `xml:"ref,attr"`
		Type string   `xml:"type,attr"`
		Form string   `xml:"form,attr"`
		Own  *xsdType `xml:"complexType"`
	}
	xsdType struct {
		Name     string       `xml:"name,attr"`
		Sequence []xsdElement `xml:"sequence>element"`
		All      []xsdElement `xml:"all>element"`
	}
)

// inputParts returns the parts of the message that calls operation.
func (d *definitions) inputParts(b wsdlBinding, operation string) []wsdlPart {
	var message string
	for _, portType := range d.PortTypes {
		if portType.Name != local(b.Type) {
			continue
		}
		for _, op := range portType.Operations {
			if op.Name == operation {
				message = local(op.Input.Message)
			}
		}
	}
	for _, m := range d.Messages {
		if m.Name == message {
			return m.Parts
		}
	}
	return nil
}

// children returns what an element's type, its own or a named one, holds. An
// element of a simple type has none.
func (d *definitions) children(e *xsdElement) []xsdElement {
	if e.Own != nil {
		return e.Own.elements()
	}
	for _, s := range d.Schemas {
		for _, t := range s.Types {
			if t.Name == local(e.Type) {
				return t.elements()
			}
		}
	}
	return nil
}

func (t xsdType) elements() []xsdElement {
	if len(t.Sequence) > 0 {
		return t.Sequence
	}
	return t.All
}

// childName qualifies the name of a child as its schema says. A reference to a
// global element is always qualified.
func (s xsdSchema) childName(child xsdElement) xml.Name {
	if child.Ref != "" {
		return xml.Name{Space: s.TargetNamespace, Local: local(child.Ref)}
	}
	form := child.Form
	if form == "" {
		form = s.Form
	}
	if form == "qualified" {
		return xml.Name{Space: s.TargetNamespace, Local: child.Name}
	}
	return xml.Name{Local: child.Name}
}

func find(operations []wsdlOperation, name string) *wsdlOperation {
	for i := range operations {
		if operations[i].Name == name {
			return &operations[i]
		}
	}
	return nil
}

func findElement(elements []xsdElement, name string) *xsdElement {
	for i := range elements {
		if elements[i].Name == name {
			return &elements[i]
		}
	}
	return nil
}
