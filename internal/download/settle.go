package download

import (
	"errors"
	"fmt"

	"lonja"
)

// wantSize tells the plan that somebody needs the size of the file.
func (p *plan) wantSize() { p.wanted = true }

// isSlow tells the plan that a job takes far longer than others did.
func (p *plan) isSlow(j job) {
	if j.slice != theSize {
		p.slices[j.slice].slow = true
	} else if h := &p.holders[j.holder]; h.claim == asking {
		h.claim = late
	}
}

// sliceDelivered tells the plan that a holder sent a slice, of that length. It
// returns whether that slice is used, for now.
func (p *plan) sliceDelivered(j job, got length) (used bool) {
	p.end(j)
	s, h := &p.slices[j.slice], &p.holders[j.holder]
	if s.state == delivered { // a rival was quicker, and may turn out to be faulty
		delete(s.tried, j.holder)
		return false
	}
	if h.standing == faulty { // so it turned out in the meantime
		p.reopen(j.slice)
		return false
	}
	s.state, s.holder, s.got = delivered, j.holder, got
	if h.standing.usable() {
		h.standing = proven
	}
	p.review()
	return true
}

// sliceFailed tells the plan that a holder did not deliver a slice. The
// connection had brought content or not: a holder whose connection breaks in
// the middle may be of use later, when there is no better one.
func (p *plan) sliceFailed(j job, begun bool, err error) {
	p.end(j)
	p.reopen(j.slice)
	h := &p.holders[j.holder]
	h.cause = err
	if begun {
		h.standing = max(h.standing, doubtful)
	} else {
		h.standing = max(h.standing, gone)
	}
}

// errSlow is the cause for a holder that a rival was quicker than.
var errSlow = errors.New("is far slower than others")

// dropped tells the plan that a job was ended because it was useless. If it was
// for a slice, the holder is asked again for it before the file is given up.
func (p *plan) dropped(j job) {
	p.end(j)
	h := &p.holders[j.holder]
	if j.slice == theSize {
		h.claim = failed
		return
	}
	p.reopen(j.slice)
	delete(p.slices[j.slice].tried, j.holder)
	if h.standing == untested {
		h.standing, h.cause = doubtful, lonja.E(lonja.Unavailable, "", errSlow)
	}
}

// reopen has a slice asked for again, unless it is delivered, or somebody is
// asked still.
func (p *plan) reopen(i int) {
	s := &p.slices[i]
	switch {
	case s.state == delivered:
	case s.askers > 0:
		s.state, s.slow = asked, true // whoever is left had a rival, or was one
	default:
		s.state = open
	}
}

// sizeTold tells the plan what size the file has by a holder's word.
func (p *plan) sizeTold(j job, size int64) {
	p.end(j)
	h := &p.holders[j.holder]
	h.claim, h.size = told, size
	p.review()
	if p.size == unknown && !p.disputed && h.standing != faulty {
		p.size = size
		p.review()
	}
}

// sizeFailed tells the plan that a holder did not tell the size. By itself
// that is no fault: it may be busy, or serve one connection at a time.
func (p *plan) sizeFailed(j job, err error) {
	p.end(j)
	h := &p.holders[j.holder]
	h.claim = failed
	h.cause = fmt.Errorf("did not tell the size: %w", err)
	p.review()
}

func (p *plan) end(j job) {
	p.running--
	if j.slice != theSize {
		p.holders[j.holder].running--
		p.slices[j.slice].askers--
	}
}

// review judges those who delivered, as far as they have been asked for the
// size. One whose own slice does not fit the size that it claims is faulty and
// replaced, and so is one whose slice does not fit the size that is known and
// who claims none. One that claims another size, and keeps to it, starts a
// dispute.
func (p *plan) review() {
	for i, s := range p.slices {
		if s.state != delivered {
			continue
		}
		switch claim := p.holders[s.holder].claim; {
		case claim == told && !p.consistent(s.holder):
			p.dismiss(s.holder)
		case !p.misfits(i):
		case claim == failed:
			p.dismiss(s.holder)
		case claim == told:
			p.disputed = true
		}
	}
}

// consistent reports whether all that a holder delivered fits the size that it
// claims.
func (p *plan) consistent(h int) bool {
	for i, s := range p.slices {
		if s.state == delivered && s.holder == h && !s.got.fits(p.slice(i), p.holders[h].size) {
			return false
		}
	}
	return true
}

// dismiss drops a faulty holder, and all that it sent.
func (p *plan) dismiss(h int) {
	holder := &p.holders[h]
	holder.standing = faulty
	for i, s := range p.slices {
		if s.state != delivered || s.holder != h {
			continue
		}
		p.slices[i].state = asked
		p.reopen(i)
		if holder.claim == told && !s.got.fits(p.slice(i), holder.size) {
			_, want := p.slice(i).Range(holder.size)
			holder.cause = lonja.E(lonja.Malformed, "", fmt.Errorf(
				"sent %s as slice %d, not the %d that it has by its own word", s.got, i, want))
		}
	}
}

func (l length) String() string {
	if l.more {
		return fmt.Sprintf("more than %d bytes", l.bytes)
	}
	return fmt.Sprintf("%d bytes", l.bytes)
}

// settle decides what follows when there is nothing more to do. If every slice
// is there and the lengths fit one size, the file is. If they do not, those who
// delivered are asked what size they have, and the answers decide.
func (p *plan) settle() {
	if p.disputed {
		p.resolve()
		return
	}
	if i := p.missing(); i >= 0 {
		p.err = p.exhausted(i)
		return
	}
	if p.size == unknown {
		p.size = p.sizeByLengths()
	}
	p.done = p.size != unknown
	p.disputed = !p.done
}

// sizeByLengths returns the size that the lengths of all slices add up to if
// one file can have slices of these lengths, or else unknown.
func (p *plan) sizeByLengths() int64 {
	var size int64
	for _, s := range p.slices {
		size += s.got.bytes
	}
	for i, s := range p.slices {
		if !s.got.fits(p.slice(i), size) {
			return unknown
		}
	}
	return size
}

// resolve ends a dispute, when all who delivered have been asked for the size.
// Those whose own slices do not fit their own claim are dismissed; if the
// others do not agree there really are different files. Who has once been
// consistent counts even when nothing that it sent is in use any more.
func (p *plan) resolve() {
	for _, s := range p.slices {
		if s.state != delivered {
			continue
		}
		h := &p.holders[s.holder]
		if h.claim == told {
			h.vouched = true // review has seen to it that the two fit
		} else {
			p.dismiss(s.holder)
		}
	}
	agreed := unknown
	for _, h := range p.holders {
		if !h.vouched || h.standing == faulty {
			continue
		}
		if agreed != unknown && agreed != h.size {
			p.err = p.disagreement()
			return
		}
		agreed = h.size
	}
	p.disputed = false
	p.adopt(agreed)
}

// adopt goes on with another size. What was delivered for a different one is
// asked for again: it may stand in the wrong place, or have been stopped.
func (p *plan) adopt(size int64) {
	moved := p.size != unknown && p.size != size
	p.size = size
	for i := range p.slices {
		s := &p.slices[i]
		if moved && s.state == delivered {
			s.state = open
			delete(s.tried, s.holder)
		}
	}
}
