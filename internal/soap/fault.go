package soap

import (
	"fmt"

	"lonja"
)

// A FaultCode says whose fault a Fault is (SOAP 1.1 §4.4.1). Services of
// others may send codes that are not listed here.
type FaultCode string

// The codes of SOAP 1.1.
const (
	VersionMismatch FaultCode = "VersionMismatch" // the envelope is of another SOAP
	MustUnderstand  FaultCode = "MustUnderstand"  // a header that we had to know
	Client          FaultCode = "Client"          // the request is malformed
	Server          FaultCode = "Server"          // the service itself failed
)

// A Fault is the answer that is an error. As a Go error it is what a service
// said to us, or what we are going to say to a caller.
type Fault struct {
	Code FaultCode
	Text string
}

// Error gives the code and the text, fit to be shown.
func (f *Fault) Error() string {
	return fmt.Sprintf("soap fault %s: %s", lonja.Printable(string(f.Code)), lonja.Printable(f.Text))
}

// AppendFault appends the whole message that carries f. Over HTTP its status
// is 500 (SOAP 1.1 §6.2).
func AppendFault(dst []byte, f Fault) []byte {
	dst = append(dst, openEnvelope+`<soap:Fault><faultcode>soap:`...)
	dst = appendText(dst, string(f.Code))
	dst = append(dst, `</faultcode><faultstring>`...)
	dst = appendText(dst, f.Text)
	return append(dst, `</faultstring></soap:Fault>`+closeEnvelope...)
}

// fault reads the children of a Fault. Their names have no namespace by §4.4,
// but not every service knows that.
func (s *scanner) fault() (*Fault, error) {
	f := &Fault{Code: Server}
	for {
		start, more, err := s.child()
		if err != nil || !more {
			return f, err
		}
		switch start.Name.Local {
		case "faultcode":
			var code string
			code, err = s.text()
			f.Code = FaultCode(local(code))
		case "faultstring":
			f.Text, err = s.text()
		default:
			err = s.skip()
		}
		if err != nil {
			return nil, err
		}
	}
}
