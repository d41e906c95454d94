package portmap

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"lonja"
)

// A Problem is why there is no mapping. Of several, the later one of this list
// is told: it says more.
type Problem uint8

// The problems.
const (
	None      Problem = iota // there is a mapping
	Starting                 // nothing is known yet
	NoRouter                 // this machine has no way out over IPv4
	Direct                   // this machine has a public address: there is nothing to map
	NoAnswer                 // the router speaks neither UPnP IGD nor NAT-PMP, or not now
	Garbage                  // what the router answers makes no sense
	NoOutside                // the router is not connected itself, as far as it tells
	DoubleNAT                // the router is behind another one
	Refused                  // the router said no
	problemCount
)

var problemTexts = [problemCount]struct{ what, advice string }{
	None:     {what: "mapped"},
	Starting: {what: "still looking for a router", advice: "wait a few seconds"},
	NoRouter: {
		what:   "this machine has no IPv4 router",
		advice: "connect it to a network; peers of the same network reach it as it is",
	},
	Direct: {
		what:   "this machine has a public address, so there is nothing to map",
		advice: "if peers do not get through, let TCP port %d in where the firewall is set up",
	},
	NoAnswer: {
		what:   "no router answered, neither to UPnP nor to NAT-PMP",
		advice: "switch on UPnP or NAT-PMP in the router, or forward TCP port %d to this machine by hand",
	},
	Garbage: {
		what:   "the router's answers make no sense",
		advice: "update or restart the router, or forward TCP port %d to this machine by hand",
	},
	NoOutside: {
		what:   "the router says that it has no outside address, or none that is public",
		advice: "look whether the router is connected to the Internet, and not behind another router",
	},
	DoubleNAT: {
		what:   "the router's outside address is private (double NAT)",
		advice: "ask the provider for a public address, or have the router before this one forward TCP port %d as well",
	},
	Refused: {
		what:   "the router refused",
		advice: "permit port mappings in the router, or forward TCP port %d to this machine by hand",
	},
}

// A State is what came of mapping the port so far. It may be compared with ==.
type State struct {
	Mapping Mapping // zero unless Problem is None
	Problem Problem
	Detail  string // what belongs to the problem, fit to be shown; often empty
}

// String says in words for people how it is.
func (s State) String() string {
	if s.Problem == None {
		until := "for good"
		if !s.Mapping.Until.IsZero() {
			until = "until " + s.Mapping.Until.Format(time.TimeOnly)
		}
		return fmt.Sprintf("mapped to %v by %s, %s", s.Mapping.Endpoint, s.Mapping.By, until)
	}
	text := problemTexts[min(s.Problem, problemCount-1)].what
	if s.Detail != "" {
		text += ": " + s.Detail
	}
	return text
}

// Advice says what a person can do for the port, which the router should lead
// to this machine; it is empty when there is a mapping.
func (s State) Advice(port uint16) string {
	advice := problemTexts[min(s.Problem, problemCount-1)].advice
	switch s.Problem {
	case Direct, NoAnswer, Garbage, DoubleNAT, Refused:
		return fmt.Sprintf(advice, port)
	}
	return advice
}

// maxDetail bounds what a router may have a person read, in bytes.
const maxDetail = 200

// problemOf makes a state of an error of a router's.
func problemOf(err error) State {
	var own *trouble
	if errors.As(err, &own) {
		return State{Problem: own.problem, Detail: own.detail}
	}
	s := State{Problem: NoAnswer}
	switch lonja.KindOf(err) {
	case lonja.Refused:
		s.Problem = Refused
	case lonja.Malformed:
		s.Problem = Garbage
	case lonja.Unavailable, lonja.Canceled:
		return s // how it did not answer says nothing to people
	}
	if e, ok := errors.AsType[*lonja.Error](err); ok && e.Err != nil {
		err = e.Err
	}
	s.Detail = shown(err.Error())
	return s
}

// A trouble is an error that is a problem of its own.
type trouble struct {
	problem Problem
	detail  string
}

func (t *trouble) Error() string { return State{Problem: t.problem, Detail: t.detail}.String() }

// shown makes a text from outside fit for people: printable, and not long.
func shown(text string) string {
	if len(text) <= maxDetail {
		return lonja.Printable(text)
	}
	end := maxDetail
	for !utf8.RuneStart(text[end]) && end > maxDetail-utf8.UTFMax {
		end--
	}
	return lonja.Printable(text[:end]) + "..."
}
