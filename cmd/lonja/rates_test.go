package main

import (
	"testing"
	"time"

	"github.com/spf13/pflag"

	"lonja/internal/node"
)

func TestRateFlags(t *testing.T) {
	var o rateOptions
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.addFlags(f)
	err := f.Parse([]string{"--limit-up", "10MB/s", "--limit-up-each=500k", "--limit-down", "8Mbit/s", "--limit-down-each", "off", "--limit-lan", "--upload-slots", "7", "--queue-patience", "3m"})
	if err != nil || o.check() != nil {
		t.Fatal(err, o.check())
	}
	if got, want := o.rates(), (node.Rates{Up: 10e6, UpEach: 500e3, Down: 1e6, Slots: 7, Queue: 3 * time.Minute, Near: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range []string{"--limit-up=5", "--limit-down=-1M", "--limit-up-each=much"} {
		if err := f.Parse([]string{bad}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
