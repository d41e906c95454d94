package fairshare

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"lonja"
)

// A Rate is bytes a second. Zero stands for no limit.
type Rate int64

// LeastRate is the lowest limit that there is: below it, who receives would take
// who sends for dead.
const LeastRate Rate = 10_000

// maxRate is more than any network carries.
const maxRate = 1e15

// units are what may stand behind a number, in lower case, in bytes.
var units = []struct {
	name  string
	bytes float64
}{
	{"", 1},
	{"b", 1},
	{"k", 1e3},
	{"kb", 1e3},
	{"m", 1e6},
	{"mb", 1e6},
	{"g", 1e9},
	{"gb", 1e9},
	{"ki", 1 << 10},
	{"kib", 1 << 10},
	{"mi", 1 << 20},
	{"mib", 1 << 20},
	{"gi", 1 << 30},
	{"gib", 1 << 30},
	{"bit", 1. / 8},
	{"kbit", 1e3 / 8},
	{"mbit", 1e6 / 8},
	{"gbit", 1e9 / 8},
}

var errRate = errors.New(`it is a number and a unit, such as 10MB/s, 500k, 1.5MiB/s or 8Mbit/s, or "off"`)

// ParseRate reads a rate as people type it: 10MB/s, 500k, 1.5 MiB/s, 8Mbit/s; off
// or 0 for no limit. Upper and lower case are the same, and so is whether /s stands
// there. The error is of kind Invalid.
func ParseRate(text string) (Rate, error) {
	rest := strings.ToLower(strings.TrimSpace(text))
	if rest == "off" {
		return 0, nil
	}
	rest = strings.TrimSpace(strings.TrimSuffix(rest, "/s"))
	end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(rest)
	}
	number, err := strconv.ParseFloat(rest[:end], 64)
	if err != nil {
		return 0, badRate(text, errRate)
	}
	rest = strings.TrimSpace(rest[end:])
	for _, unit := range units {
		if unit.name == rest {
			return inBounds(text, number*unit.bytes)
		}
	}
	return 0, badRate(text, errRate)
}

func inBounds(text string, rate float64) (Rate, error) {
	switch {
	case rate == 0:
		return 0, nil
	case rate < float64(LeastRate):
		return 0, badRate(text, fmt.Errorf("the least is %v", LeastRate))
	case rate > maxRate:
		return 0, badRate(text, errors.New("no network is that fast"))
	}
	return Rate(math.Round(rate)), nil
}

func badRate(text string, cause error) error {
	return lonja.E(lonja.Invalid, "", fmt.Errorf("a rate of %q: %w", lonja.Printable(text), cause))
}

// String gives r in the largest unit in which it is a whole number, as ParseRate
// reads it.
func (r Rate) String() string {
	if r == 0 {
		return "off"
	}
	for _, unit := range []struct {
		bytes Rate
		name  string
	}{{1e9, "GB/s"}, {1e6, "MB/s"}, {1e3, "kB/s"}} {
		if r%unit.bytes == 0 {
			return strconv.FormatInt(int64(r/unit.bytes), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(r), 10) + "B/s"
}

// burst is how much time a rate may make up for that was not used.
const burst = 100 * time.Millisecond

// A bucket keeps one rate.
type bucket struct {
	rate Rate
	due  time.Duration // when all that was sent is paid for
}

// after returns when something may be sent, as far as this rate goes.
func (b *bucket) after() time.Duration {
	if b.rate == 0 {
		return 0
	}
	return b.due
}

func (b *bucket) pay(n int, now time.Duration) {
	if b.rate > 0 {
		cost := float64(n) / float64(b.rate) * float64(time.Second)
		b.due = max(b.due, now-burst) + time.Duration(cost)
	}
}
