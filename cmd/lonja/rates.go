package main

import (
	"time"

	"github.com/spf13/pflag"

	"lonja/internal/fairshare"
	"lonja/internal/node"
	"lonja/internal/swarm"
)

// A rateFlag is a flag that is a rate.
type rateFlag fairshare.Rate

// String implements pflag.Value.
func (r *rateFlag) String() string { return fairshare.Rate(*r).String() }

// Set implements pflag.Value.
func (r *rateFlag) Set(text string) error {
	rate, err := fairshare.ParseRate(text)
	*r = rateFlag(rate)
	return err
}

// Type implements pflag.Value.
func (r *rateFlag) Type() string { return "rate" }

// rateOptions are how fast a node sends and fetches.
type rateOptions struct {
	up, upEach, down, downEach rateFlag
	near                       bool
	slots                      int
	queue                      time.Duration
}

// addDownFlags adds the flags of what only fetches.
func (o *rateOptions) addDownFlags(f *pflag.FlagSet) {
	f.Var(&o.down, "limit-down", "fetch no faster than this `rate`, such as 10MB/s or 500k; off for no limit")
	f.Var(&o.downEach, "limit-down-each", "likewise, from each node, for each file")
	f.DurationVar(&o.queue, "queue-patience", swarm.DefaultQueuePatience, "give up a node that has you wait for your turn if its queue does not move for so long")
	f.BoolVar(&o.near, "limit-lan", false, "limits are for this machine and its own networks too")
}

// addFlags adds the flags of what also serves.
func (o *rateOptions) addFlags(f *pflag.FlagSet) {
	o.addDownFlags(f)
	f.Var(&o.up, "limit-up", "send no faster than this `rate`, such as 10MB/s or 500k; off for no limit")
	f.Var(&o.upEach, "limit-up-each", "likewise, to each user, and each address of classic peers")
	f.IntVar(&o.slots, "upload-slots", fairshare.DefaultSlots, "send to so many `users` at once over TLS, or fewer with --limit-up; others wait for their turn")
}

func (o *rateOptions) check() error {
	if o.slots < 1 {
		return usagef("--upload-slots %d: it must be above zero", o.slots)
	}
	if o.queue <= 0 {
		return usagef("--queue-patience must be above zero")
	}
	return nil
}

func (o *rateOptions) rates() node.Rates {
	return node.Rates{
		Up: fairshare.Rate(o.up), UpEach: fairshare.Rate(o.upEach), Down: fairshare.Rate(o.down), DownEach: fairshare.Rate(o.downEach),
		Slots: o.slots, Queue: o.queue, Near: o.near,
	}
}
