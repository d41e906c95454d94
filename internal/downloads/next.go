package downloads

import (
	"cmp"
	"errors"
	"slices"
	"syscall"
	"time"

	"lonja"
)

// Next returns which downloads are to be begun, at most so many: those that are
// queued and due, and those that were interrupted, of the highest priority first,
// and of one priority those that have waited longest.
func Next(all []Download, now time.Time, places int) []Download {
	due := slices.DeleteFunc(slices.Clone(all), func(d Download) bool {
		return d.State != Interrupted && (d.State != Queued || d.Again.After(now))
	})
	slices.SortStableFunc(due, func(a, b Download) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Added.Compare(b.Added), cmp.Compare(a.ID, b.ID))
	})
	return due[:min(len(due), max(0, places))]
}

// Passing reports whether the cause of an error may be gone later, without anybody
// mending it: the network, holders who are away, and a full disk. A kind that is not
// named here takes a person.
func Passing(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	switch lonja.KindOf(err) {
	case lonja.Unavailable, // the directory, or all holders
		lonja.NoHolder, lonja.NoSuchOwner, lonja.NoSuchFile, // they may connect again, and publish it again
		lonja.Conflict, // it changed, or was being written, at its holder
		lonja.Limited,
		lonja.AlreadyConnected, lonja.NotConnected:
		return true
	}
	return false
}

// Backoff says when what failed is tried again.
type Backoff struct {
	Least time.Duration // after the first try (5 s); then twice as long each time
	Most  time.Duration // (1 min)
}

// After returns how long to wait after so many tries in vain.
func (b Backoff) After(tries int) time.Duration {
	wait, most := cmp.Or(b.Least, 5*time.Second), cmp.Or(b.Most, time.Minute)
	for ; tries > 1 && wait < most; tries-- {
		wait *= 2
	}
	return min(wait, most)
}
