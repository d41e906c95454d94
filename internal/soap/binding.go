package soap

import "encoding/xml"

// A Binding is what a client must know of a service to ask it: where, and in
// which words. A WSDL says it in two styles, document and rpc, that differ in
// who names the elements; here the names are all that is left of that.
type Binding struct {
	Address    string     // the URL to POST to, as the service advertises it; may be ""
	Action     string     // the SOAPAction, without the quotes; may be ""
	Call       xml.Name   // of the element in the Body
	Parameters []xml.Name // of its children, one for each argument
}

// Datetime returns the binding of our own service. It is also the best guess
// for a service that does not describe itself.
func Datetime() Binding {
	return Binding{
		Action:     namespace + "#" + Operation,
		Call:       xml.Name{Space: namespace, Local: Operation},
		Parameters: []xml.Name{{Space: namespace, Local: "text"}},
	}
}

// Request returns the call with argument as the value of every parameter. A
// date-time service has one, and ignores it.
func (b Binding) Request(argument string) Request {
	request := Request{Name: b.Call}
	for _, name := range b.Parameters {
		request.Parameters = append(request.Parameters, Parameter{name, argument})
	}
	return request
}
