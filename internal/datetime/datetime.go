// Package datetime is the date-time service of the classic system, both sides
// of it: the Service that tells the local time over SOAP, and the Client that
// asks it before each classic operation.
//
// Either side works with the programs of others, which know of it what its
// WSDL says and nothing more. The Client never fails and never takes long: the
// system must not need the service. What the messages look like is package
// soap's business.
package datetime

import "time"

// DefaultPort is where a date-time service listens.
const DefaultPort = 8000

// DefaultURL is the service that a Client asks unless it is told another.
const DefaultURL = "http://127.0.0.1:8000"

// DefaultTimeout is how long a Client waits for one answer.
const DefaultTimeout = time.Second

// contentType is what SOAP 1.1 §6 and our WSDL go by. pysimplesoap's server
// cannot read a request that does not say its charset.
const contentType = "text/xml; charset=utf-8"
