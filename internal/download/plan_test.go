package download

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/classic"
)

// A character is how a simulated holder behaves.
type character string

const (
	honest      character = "honest"      // has the file
	other       character = "other"       // has another file under that name
	refusing    character = "refusing"    // offers no such file
	unreachable character = "unreachable" // is not there
	breaking    character = "breaking"    // breaks off in the middle
	cutting     character = "cutting"     // ends slices early, as if they were whole
	padding     character = "padding"     // sends more than there is
	moody       character = "moody"       // is each of these at times
)

var moods = []character{honest, refusing, unreachable, breaking, cutting, padding}

// A world is what a plan is tried against: holders, and the jobs that they
// have under way.
type world struct {
	size, otherSize int64
	holders         []character
	tellsSize       []bool // whether the holder answers the question for the size
	running         []job
	begun           int          // jobs so far
	quick           map[int]bool // holders that are never slow
}

// drift is by how much the lengths of a faulty holder are off at least: one
// that is off by less than the number of slices may pass for right.
func (w *world) drift() int64 { return int64(2 * len(w.holders)) }

func (w *world) sizeAt(h int) int64 {
	if w.holders[h] == other {
		return w.otherSize
	}
	return w.size
}

func drawWorld(t *rapid.T, characters ...character) *world {
	n := rapid.IntRange(2, 6).Draw(t, "holders")
	w := &world{}
	for range n {
		w.holders = append(w.holders, rapid.SampledFrom(characters).Draw(t, "holder"))
		w.tellsSize = append(w.tellsSize, rapid.Bool().Draw(t, "tells its size"))
	}
	differs := w.drift() * int64(n)
	w.size = differs + rapid.Int64Range(0, 2000).Draw(t, "size")
	w.otherSize = w.size + differs + rapid.Int64Range(0, 500).Draw(t, "other size")
	return w
}

func (w *world) has(c character) bool {
	for _, h := range w.holders {
		if h == c {
			return true
		}
	}
	return false
}

// play runs a plan to its end. Jobs end in any order, any may turn out to be
// slow, and any slice to need the size.
func (w *world) play(t *rapid.T) *plan {
	names := make([]string, len(w.holders))
	for i := range names {
		names[i] = fmt.Sprintf("holder%d", i)
	}
	p := newPlan(names)
	most := rapid.IntRange(1, 8).Draw(t, "jobs at once")
	for {
		for len(w.running) < most {
			j, ok := p.next()
			if !ok {
				break
			}
			w.running = append(w.running, j)
			if w.begun++; w.begun > 20*len(w.holders)*len(w.holders) {
				t.Fatalf("%d jobs and no end: %+v", w.begun, p)
			}
		}
		if len(w.running) == 0 {
			return p
		}
		what := rapid.IntRange(0, 5).Draw(t, "what")
		if what == 0 {
			p.wantSize()
			continue
		}
		i := rapid.IntRange(0, len(w.running)-1).Draw(t, "whose job")
		j := w.running[i]
		if what == 1 {
			if !w.quick[j.holder] {
				p.isSlow(j)
			}
			continue
		}
		w.running = append(w.running[:i], w.running[i+1:]...)
		if p.isUseless(j) && rapid.Bool().Draw(t, "is dropped") {
			p.dropped(j)
		} else {
			w.finish(t, p, j)
		}
	}
}

func (w *world) finish(t *rapid.T, p *plan, j job) {
	c := w.holders[j.holder]
	if c == moody {
		c = rapid.SampledFrom(moods).Draw(t, "mood")
	}
	if c == refusing || c == unreachable {
		kind := lonja.NoSuchFile
		if c == unreachable {
			kind = lonja.Unavailable
		}
		if j.slice == theSize {
			p.sizeFailed(j, kind)
		} else {
			p.sliceFailed(j, false, kind)
		}
		return
	}
	if j.slice == theSize {
		if w.tellsSize[j.holder] {
			p.sizeTold(j, w.sizeAt(j.holder))
		} else {
			p.sizeFailed(j, lonja.Unavailable)
		}
		return
	}
	_, bytes := p.slice(j.slice).Range(w.sizeAt(j.holder))
	switch c {
	case breaking:
		p.sliceFailed(j, true, lonja.Unavailable)
		return
	case padding:
		bytes += w.drift() + rapid.Int64Range(0, 9).Draw(t, "padding")
	case cutting:
		bytes = max(0, bytes-w.drift())
	}
	got := length{bytes: bytes}
	if p.size != unknown {
		if _, want := p.slice(j.slice).Range(p.size); bytes > want {
			got = length{want, true}
		}
	}
	p.sliceDelivered(j, got)
}

// check holds for every outcome: it is one of two, and what is taken for done
// is of one size. Unless somebody sends wrong lengths, which can by chance fit
// another file, all of it comes from holders whose file has that size.
func (w *world) check(t *rapid.T, p *plan) {
	if p.done == (p.err != nil) {
		t.Fatalf("done is %v with error %v", p.done, p.err)
	}
	for i, s := range p.slices {
		if !p.done {
			break
		}
		if s.state != delivered || s.got.more || !s.got.fits(p.slice(i), p.size) {
			t.Fatalf("slice %d of a file of %d bytes that is done: %+v", i, p.size, s)
		}
		if !w.has(cutting) && !w.has(padding) && !w.has(moody) && w.sizeAt(s.holder) != p.size {
			t.Fatalf("slice %d of a file of %d bytes is from holder %d, who has %d bytes",
				i, p.size, s.holder, w.sizeAt(s.holder))
		}
	}
}

func TestPlanAlwaysEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, honest, other, refusing, unreachable, breaking, cutting, padding, moody)
		w.check(t, w.play(t))
	})
}

func TestPlanNeverMixesFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, honest, other, refusing, unreachable, breaking)
		w.check(t, w.play(t))
	})
}

// With one honest holder that is not slow the file is had, whatever the others
// do short of having another file.
func TestPlanNeedsOneHonestHolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, honest, refusing, unreachable, breaking, cutting, padding, moody)
		one := rapid.IntRange(0, len(w.holders)-1).Draw(t, "the honest one")
		w.holders[one] = honest
		// Nobody would know of lies if all slices came from one liar.
		w.quick = map[int]bool{one: true}
		for h, c := range w.holders {
			w.tellsSize[h] = w.tellsSize[h] || c == honest
		}
		p := w.play(t)
		w.check(t, p)
		if !p.done || p.size != w.size {
			t.Fatalf("a file of %d bytes became one of %d (%v)", w.size, p.size, p.err)
		}
	})
}

func TestPlanFindsDisagreement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, honest, other)
		w.holders[0], w.holders[1] = honest, other
		w.quick = map[int]bool{0: true, 1: true} // or all might come from one of them
		for h := range w.tellsSize {
			w.tellsSize[h] = true
		}
		p := w.play(t)
		if !errors.Is(p.err, lonja.Disagreement) {
			t.Fatalf("the plan ends with %v, want a disagreement", p.err)
		}
	})
}

// Holders that all have the file are asked for their own slice and nothing
// else.
func TestPlanGoodCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, classic.MaxSlices).Draw(t, "holders")
		size := rapid.Int64Range(0, 1<<40).Draw(t, "size")
		p := newPlan(make([]string, n))
		for i := range n {
			j, ok := p.next()
			if want := (job{i, i}); !ok || j != want {
				t.Fatalf("job %d is %v (%v), want %v", i, j, ok, want)
			}
		}
		for i := range n {
			_, bytes := p.slice(i).Range(size)
			p.sliceDelivered(job{i, i}, length{bytes: bytes})
		}
		if j, ok := p.next(); ok {
			t.Fatalf("a further job: %v", j)
		}
		if !p.done || p.size != size {
			t.Fatalf("done is %v with size %d, want %d", p.done, p.size, size)
		}
	})
}

// A replacement is somebody who has proven good, and the load is spread.
func TestPlanReplaces(t *testing.T) {
	p := newPlan([]string{"a", "b", "c", "d", "e"})
	for range p.holders {
		p.next()
	}
	p.sliceDelivered(job{3, 3}, length{bytes: 10})
	p.sliceFailed(job{0, 0}, false, lonja.NoSuchFile)
	wantJob(t, p, job{3, 0})
	p.sliceDelivered(job{4, 4}, length{bytes: 10})
	p.sliceFailed(job{1, 1}, true, lonja.Unavailable)
	wantJob(t, p, job{4, 1})
	p.sliceFailed(job{2, 2}, true, lonja.Unavailable)
	wantJob(t, p, job{3, 2})
	p.sliceFailed(job{3, 2}, false, lonja.Unavailable)
	wantJob(t, p, job{4, 2})
	p.sliceFailed(job{4, 2}, false, lonja.Unavailable)
	wantJob(t, p, job{1, 2}) // it broke off before, but there is nobody else
	p.sliceFailed(job{1, 2}, true, lonja.Unavailable)
	if j, ok := p.next(); ok {
		t.Errorf("job %v, want none", j)
	}
}

// What a holder still sends after it was found faulty does not count.
func TestPlanIgnoresTheFaulty(t *testing.T) {
	p := newPlan([]string{"a", "b"})
	p.next()
	p.next()
	p.sliceFailed(job{1, 1}, false, lonja.NoSuchFile)
	wantJob(t, p, job{0, 1})
	p.wantSize()
	wantJob(t, p, job{0, theSize})
	p.sizeTold(job{0, theSize}, 20)
	p.sliceDelivered(job{0, 0}, length{bytes: 5}) // a lie
	p.sliceDelivered(job{0, 1}, length{bytes: 10})
	if j, ok := p.next(); ok || p.err == nil {
		t.Errorf("job %v (%v), error %v, want an error", j, ok, p.err)
	}
}

// During a dispute nothing is begun that may have to be thrown away.
func TestPlanWaitsDuringADispute(t *testing.T) {
	p := newPlan([]string{"a", "b", "c"})
	for range p.holders {
		p.next()
	}
	p.wantSize()
	wantJob(t, p, job{0, theSize})
	p.sizeTold(job{0, theSize}, 30)
	p.sliceDelivered(job{1, 1}, length{10, true})
	wantJob(t, p, job{1, theSize})
	p.sizeTold(job{1, theSize}, 60)
	p.sliceFailed(job{2, 2}, false, lonja.Unavailable)
	if j, ok := p.next(); ok {
		t.Errorf("job %v, want none before the dispute is settled", j)
	}
	p.sliceDelivered(job{0, 0}, length{bytes: 10})
	p.next()
	if !errors.Is(p.err, lonja.Disagreement) {
		t.Errorf("the plan ends with %v, want a disagreement", p.err)
	}
}

// A slow holder gets one rival, who has nothing else to do; the slower of the
// two is not blamed so much that it could not be asked again.
func TestPlanHelpsTheSlow(t *testing.T) {
	p := newPlan([]string{"a", "b", "c", "d"})
	for range p.holders {
		p.next()
	}
	p.sliceDelivered(job{1, 1}, length{bytes: 10})
	wantNoJob(t, p)
	p.isSlow(job{0, 0})
	wantJob(t, p, job{1, 0})
	p.sliceDelivered(job{2, 2}, length{bytes: 10})
	p.isSlow(job{0, 0})
	wantNoJob(t, p) // one rival is enough
	p.sliceFailed(job{1, 0}, false, lonja.Unavailable)
	wantJob(t, p, job{2, 0}) // it is gone, here is another
	if p.isUseless(job{0, 0}) {
		t.Error("the slow holder is given up before there is anything better")
	}
	if !p.sliceDelivered(job{2, 0}, length{bytes: 10}) || !p.isUseless(job{0, 0}) {
		t.Error("what the rival delivered does not count")
	}
	p.dropped(job{0, 0})
	p.sliceFailed(job{3, 3}, false, lonja.Unavailable)
	wantJob(t, p, job{2, 3})
	p.sliceFailed(job{2, 3}, true, lonja.Unavailable)
	wantJob(t, p, job{0, 3})
}

func wantNoJob(t *testing.T, p *plan) {
	t.Helper()
	if j, ok := p.next(); ok {
		t.Errorf("next job is %v, want none", j)
	}
}

func wantJob(t *testing.T, p *plan, want job) {
	t.Helper()
	if j, ok := p.next(); !ok || j != want {
		t.Errorf("next job is %v (%v), want %v", j, ok, want)
	}
}

func TestVerdictsNameTheHolders(t *testing.T) {
	p := newPlan([]string{"one:1", "two:2"})
	p.next()
	p.next()
	p.sliceFailed(job{0, 0}, false, lonja.E(lonja.NoSuchFile, "", nil))
	p.sliceFailed(job{1, 1}, false, lonja.E(lonja.Unavailable, "", errors.New("connection refused")))
	p.next()
	wantText(t, p.err, lonja.Unavailable,
		"fetch in slices: nobody is left to ask for slice 0 of 2: one:1 does not offer the file; two:2 connection refused")

	p = newPlan([]string{"one:1", "two:2", "three:3"})
	for range p.holders {
		p.next()
	}
	for i, bytes := range []int64{10, 20, 10} {
		p.sliceDelivered(job{i, i}, length{bytes: bytes})
	}
	for i, size := range []int64{30, 60, 30} {
		wantJob(t, p, job{i, theSize})
		p.sizeTold(job{i, theSize}, size)
	}
	p.next()
	wantText(t, p.err, lonja.Disagreement,
		"fetch in slices: holders have different files: 30 bytes at one:1, three:3; 60 bytes at two:2")
}

func wantText(t *testing.T, err error, kind lonja.Kind, text string) {
	t.Helper()
	if !errors.Is(err, kind) || err.Error() != text {
		t.Errorf("error is %q of kind %v, want %q of kind %v", err, lonja.KindOf(err), text, kind)
	}
}

func TestManyNamesAreCutShort(t *testing.T) {
	names := make([]string, 255)
	if got := list(names, ";"); !strings.HasSuffix(got, ";and 247 more") {
		t.Errorf("list of 255 is %q", got)
	}
}
