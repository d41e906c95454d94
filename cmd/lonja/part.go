package main

import (
	"errors"

	"github.com/spf13/pflag"

	"lonja/internal/node"
)

// partOptions say what others are given of a download that a command fetches, and how
// fast it comes.
type partOptions struct {
	partial string
	listen  string
	mapping string
	rateOptions
}

func (o *partOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.partial, "partial", switchOn, "`on`: give others what is here of a file while it is fetched, and be listed for that; off: neither")
	f.StringVar(&o.listen, "listen", "", "`address` on which that is served (default any free port)")
	f.StringVar(&o.mapping, "port-mapping", switchOn, "`on`: have the router lead to that port; off: leave the router alone")
	o.rateOptions.addFlags(f)
	notSettings(f, "listen") // the one that is set is that of what serves all day
}

func (o *partOptions) check() error {
	switch {
	case o.partial != switchOn && o.partial != switchOff:
		return usagef("--partial %s: it is on or off", o.partial)
	case o.mapping != switchOn && o.mapping != switchOff:
		return usagef("--port-mapping %s: it is on or off", o.mapping)
	}
	var wrong error
	if o.listen != "" {
		if err := checkListen(o.listen); err != nil {
			wrong = usagef("--listen %s: %w", o.listen, err)
		}
	}
	return errors.Join(wrong, o.rateOptions.check())
}

// set has a node take part as the options say. It speaks the classic protocol with
// nobody: who only fetches something has not asked for anything unencrypted.
func (o *partOptions) set(how *node.Options) {
	how.Listen = o.listen
	how.Secure.TakePart, how.Secure.PartialOff, how.Secure.ClassicOff = true, o.partial == switchOff, true
	how.Secure.MapPort = o.mapping == switchOn && !isLoopback(o.listen)
	how.Secure.Rates = o.rates()
}
