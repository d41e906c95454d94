package download

import (
	"slices"

	"lonja/internal/classic"
)

// A plan decides for FetchMulti who is asked for what. It is told what came of
// each job and says what to do next; it does no input or output, and belongs to
// one goroutine.
//
// Slice i is asked of holder i first. A holder that fails is replaced, for that
// slice, by another; one that is far slower than the others gets a rival. No
// holder is asked for the same slice twice, unless what it sent was thrown away
// for no fault of its own. Lengths are compared as soon as there is something to
// compare them with: see review and settle.
type plan struct {
	slices  []sliceState
	holders []holderState

	// size of the file, or unknown. Somebody who needs it sets wanted, and
	// then the holders are asked for it, one after the other.
	size   int64
	wanted bool

	// disputed is set when holders seem to have different files. Then no more
	// slices are asked for until that is settled.
	disputed bool

	running int   // jobs under way
	done    bool  // every slice is delivered, and the lengths fit
	err     error // why the file cannot be had
}

// unknown stands for a size that nobody has told.
const unknown int64 = -1

// A sliceState is what has become of one slice.
type sliceState struct {
	state  phase
	askers int          // how many holders are asked for it now: two at most
	slow   bool         // the one that is asked is far slower than others were
	holder int          // who has delivered
	got    length       // if delivered
	tried  map[int]bool // the holders that have been asked
}

type phase uint8

const (
	open phase = iota
	asked
	delivered
)

// A length is how long a slice was that a holder sent or, if more is set, what
// it was longer than, when it was stopped because that is too long.
type length struct {
	bytes int64
	more  bool
}

// fits reports whether a slice of a file of size bytes can have that length.
func (l length) fits(s classic.Slice, size int64) bool {
	_, want := s.Range(size)
	if l.more {
		return l.bytes < want
	}
	return l.bytes == want
}

// A holderState is what is known of one holder.
type holderState struct {
	name     string // for messages
	standing standing
	running  int   // slices it is asked for now
	asked    int   // slices it was ever asked for
	cause    error // its last failure

	claim   claim
	size    int64 // the file's size by its own word, if claim is told
	vouched bool  // a slice that it delivered fits that size
}

// A standing orders holders by how well they are trusted to deliver.
type standing uint8

const (
	proven   standing = iota // has delivered a slice
	untested                 // nothing is known
	doubtful                 // broke off in the middle of a slice
	gone                     // refuses, or cannot be reached
	faulty                   // sends what cannot be: nothing of it is used
)

// usable reports whether there is a point in asking.
func (s standing) usable() bool { return s < gone }

// A claim is how far the question for a holder's idea of the size has come.
type claim uint8

const (
	notAsked claim = iota
	asking
	late // asked, and so long ago that others may be asked too
	told
	failed
)

// newPlan plans for a file in as many slices as there are holders, which are
// given by their names.
func newPlan(holders []string) *plan {
	p := &plan{
		slices:  make([]sliceState, len(holders)),
		holders: make([]holderState, len(holders)),
		size:    unknown,
	}
	for i, name := range holders {
		p.slices[i].tried = make(map[int]bool)
		p.holders[i] = holderState{name: name, standing: untested}
	}
	return p
}

// A job is one thing to ask of a holder: a slice, or the size if slice is
// theSize.
type job struct{ holder, slice int }

const theSize = -1

func (p *plan) slice(i int) classic.Slice {
	return classic.Slice{Index: i, Total: len(p.slices)}
}

// next returns a job to begin now, if there is one. When there is none and
// nothing is running the plan is finished: then either done or err is set.
func (p *plan) next() (job, bool) {
	for !p.done && p.err == nil {
		if j, ok := p.pick(); ok {
			p.begin(j)
			return j, true
		}
		if p.running > 0 {
			break
		}
		p.settle()
	}
	return job{}, false
}

func (p *plan) pick() (job, bool) {
	if h, ok := p.whoTellsSize(); ok {
		return job{h, theSize}, true
	}
	if p.disputed {
		return job{}, false
	}
	for i := range p.slices {
		if p.slices[i].state != open {
			continue
		}
		if h, ok := p.whoSends(i); ok {
			return job{h, i}, true
		}
	}
	for i, s := range p.slices {
		if s.state != asked || !s.slow || s.askers != 1 {
			continue
		}
		if h, ok := p.whoHelps(i); ok {
			return job{h, i}, true
		}
	}
	return job{}, false
}

func (p *plan) begin(j job) {
	p.running++
	h := &p.holders[j.holder]
	if j.slice == theSize {
		h.claim = asking
		return
	}
	h.running++
	h.asked++
	s := &p.slices[j.slice]
	s.state, s.slow = asked, false
	s.askers++
	s.tried[j.holder] = true
}

// whoSends returns the holder to ask for slice i: its own, or else the one
// that is trusted most and, among those, has least to do.
func (p *plan) whoSends(i int) (int, bool) {
	best := -1
	for h := range p.holders {
		if !p.holders[h].standing.usable() || p.slices[i].tried[h] {
			continue
		}
		if h == i && p.holders[h].standing != doubtful {
			return h, true
		}
		if best < 0 || p.prefer(h, best) {
			best = h
		}
	}
	return best, best >= 0
}

// whoHelps returns the best holder that has nothing to do, to be asked for
// slice i beside the one that is slow.
func (p *plan) whoHelps(i int) (int, bool) {
	best := -1
	for h := range p.holders {
		holder := &p.holders[h]
		if holder.running > 0 || holder.standing > untested || p.slices[i].tried[h] {
			continue
		}
		if best < 0 || p.prefer(h, best) {
			best = h
		}
	}
	return best, best >= 0
}

func (p *plan) prefer(a, b int) bool {
	x, y := &p.holders[a], &p.holders[b]
	switch {
	case x.standing != y.standing:
		return x.standing < y.standing
	case x.running != y.running:
		return x.running < y.running
	}
	return x.asked < y.asked
}

// whoTellsSize returns a holder to ask for the size: one whose slice gives
// reason to, or, while it is only wanted, the best that has not been asked.
func (p *plan) whoTellsSize() (int, bool) {
	for i, s := range p.slices {
		questioned := s.state == delivered && (p.disputed || p.misfits(i))
		if questioned && p.holders[s.holder].claim == notAsked {
			return s.holder, true
		}
	}
	if !p.wanted || p.size != unknown || p.missing() < 0 {
		return 0, false
	}
	best := -1
	for h := range p.holders {
		switch {
		case p.holders[h].claim == asking:
			return 0, false
		case p.holders[h].claim != notAsked, !p.holders[h].standing.usable():
		case best < 0 || p.likelier(h, best):
			best = h
		}
	}
	return best, best >= 0
}

// likelier reports whether a is likelier than b to tell the size: one that is
// just sending a slice is at least there.
func (p *plan) likelier(a, b int) bool {
	x, y := &p.holders[a], &p.holders[b]
	if x.standing != y.standing {
		return x.standing < y.standing
	}
	return x.running > y.running
}

// complete reports whether every slice is delivered and all lengths fit, so
// that nothing that is still under way is needed.
func (p *plan) complete() bool {
	if p.missing() >= 0 || p.disputed {
		return false
	}
	if p.size == unknown {
		return p.sizeByLengths() != unknown
	}
	for i := range p.slices {
		if p.misfits(i) {
			return false
		}
	}
	return true
}

// isUseless reports whether nothing is to be had any more of a job under way:
// another has delivered its slice, or the file is complete and the question for
// its size, which could only confirm that, late.
func (p *plan) isUseless(j job) bool {
	if j.slice == theSize {
		return p.holders[j.holder].claim == late && p.complete()
	}
	return p.slices[j.slice].state == delivered
}

// missing returns a slice that is not delivered, or -1.
func (p *plan) missing() int {
	return slices.IndexFunc(p.slices, func(s sliceState) bool { return s.state != delivered })
}

// misfits reports whether the size is known and delivered slice i cannot be
// of a file of that size.
func (p *plan) misfits(i int) bool {
	return p.size != unknown && !p.slices[i].got.fits(p.slice(i), p.size)
}
