package probe

import (
	"errors"
	"slices"
	"syscall"
)

// An Outcome is how a probe ended.
type Outcome uint8

// The outcomes.
const (
	Reached Outcome = iota // somebody accepted
	Refused                // the machine answers, and nobody listens there
	Silent                 // no answer in time, or that of a router on the way
	NoRoute                // this machine knows no way there
	Starved                // this machine has no port, no handle or no memory left
	outcomeCount
)

var outcomeNames = [outcomeCount]string{
	Reached: "reached", Refused: "refused", Silent: "silent", NoRoute: "no_route", Starved: "starved",
}

// String returns the outcome as a metric's label has it.
func (o Outcome) String() string {
	if o < outcomeCount {
		return outcomeNames[o]
	}
	return outcomeNames[Silent]
}

// Outcomes returns every outcome.
func Outcomes() []Outcome { return []Outcome{Reached, Refused, Silent, NoRoute, Starved} }

// The errors that are not silence.
var (
	refusedErrors = []error{syscall.ECONNREFUSED, syscall.ECONNRESET}
	noRouteErrors = []error{syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EPERM, syscall.EACCES}
	starvedErrors = []error{
		syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EAGAIN,
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	}
)

// outcomeOf tells what an attempt to connect ended with.
func outcomeOf(err error) Outcome {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case err == nil:
		return Reached
	case slices.ContainsFunc(refusedErrors, is):
		return Refused
	case slices.ContainsFunc(noRouteErrors, is):
		return NoRoute
	case slices.ContainsFunc(starvedErrors, is):
		return Starved
	}
	return Silent
}
