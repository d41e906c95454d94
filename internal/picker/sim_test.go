package picker

import (
	"fmt"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// A sim is downloaders and uploaders in virtual time. An uploader shares its
// rate between the connections that are fetching from it. There is nothing but
// that and the Picker: no byte is lost, no connection has a slow start.
type sim struct {
	now       time.Duration
	step      time.Duration
	roundTrip time.Duration // that a Take costs
	uploaders []*uploader
	crowd     []*downloader
}

type uploader struct {
	rate  float64     // pieces in a second
	sent  int         // pieces
	me    *downloader // nil: has all pieces
	conns []*simConn
}

type downloader struct {
	p        *Picker
	here     *roaring.Bitmap
	finished time.Duration
	changed  bool // since idle connections last asked
	double   int  // pieces, or parts of them, that were fetched for nothing
}

type simConn struct {
	d      *downloader
	id     Conn
	holder Holder

	span   Span
	at     int64
	got    float64       // of the piece at
	wakes  time.Duration // what it asked for begins to arrive
	busy   bool
	silent bool // the holder sends nothing, and says nothing
}

func newSim() *sim { return &sim{step: 2 * time.Millisecond, roundTrip: 10 * time.Millisecond} }

func (s *sim) upload(rate float64, me *downloader) *uploader {
	u := &uploader{rate: rate, me: me}
	s.uploaders = append(s.uploaders, u)
	return u
}

func (s *sim) download(pieces int64, seed uint64) *downloader {
	d := &downloader{p: New(Options{Pieces: pieces, Seed: seed}), here: roaring.New(), changed: true}
	s.crowd = append(s.crowd, d)
	return d
}

// connect has d join u as a holder with one connection.
func (s *sim) connect(d *downloader, u *uploader) *simConn {
	n := 0
	for _, other := range s.uploaders {
		for _, c := range other.conns {
			if c.d == d {
				n++
			}
		}
	}
	c := &simConn{d: d, id: Conn(n), holder: Holder(n)}
	u.conns = append(u.conns, c)
	if u.me == nil {
		d.p.Join(c.holder, nil)
	} else {
		d.p.Join(c.holder, u.me.here)
	}
	return c
}

// run lets time pass until everybody has everything, or until limit.
func (s *sim) run(t *testing.T, limit time.Duration) {
	t.Helper()
	for end := s.now + limit; s.now < end; s.now += s.step {
		if s.now%time.Second == 0 {
			s.tell()
		}
		if s.now%(250*time.Millisecond) == 0 {
			for _, d := range s.crowd {
				d.changed = true
			}
		}
		s.ask()
		for _, u := range s.uploaders {
			s.flow(u)
		}
		if s.finished() {
			return
		}
	}
}

func (s *sim) finished() bool {
	for _, d := range s.crowd {
		if d.p.Missing() > 0 {
			return false
		}
	}
	return true
}

// tell tells every downloader what the others have.
func (s *sim) tell() {
	for _, u := range s.uploaders {
		for _, c := range u.conns {
			if u.me != nil && c.d.p.Missing() > 0 {
				c.d.p.Update(c.holder, u.me.here)
				c.d.changed = true
			}
		}
	}
}

// ask has idle connections ask for work where there may be some.
func (s *sim) ask() {
	for _, u := range s.uploaders {
		for _, c := range u.conns {
			if !c.busy && c.d.changed {
				s.take(c)
			}
		}
	}
	for _, d := range s.crowd {
		d.changed = false
	}
}

func (s *sim) take(c *simConn) {
	c.span, c.busy = c.d.p.Take(c.id, c.holder, s.now)
	c.at = c.span.First
	c.wakes = s.now + s.roundTrip
}

// flow has an uploader send for one step.
func (s *sim) flow(u *uploader) {
	var sending []*simConn
	for _, c := range u.conns {
		if c.busy && !c.silent && s.now >= c.wakes {
			sending = append(sending, c)
		}
	}
	for _, c := range sending {
		c.got += u.rate * s.step.Seconds() / float64(len(sending))
		for c.busy && c.got >= 1 {
			c.got--
			u.sent++
			s.done(c)
		}
		if !c.busy {
			c.got = 0
		}
	}
}

func (s *sim) done(c *simConn) {
	d := c.d
	if !d.here.CheckedAdd(uint32(c.at)) {
		d.double++
	}
	for _, other := range d.p.Done(c.id, c.at, s.now) {
		d.double++
		s.stop(d, other)
	}
	d.changed = true
	if d.p.Missing() == 0 && d.finished == 0 {
		d.finished = s.now
	}
	if c.at++; c.at == c.span.End || !d.p.Still(c.id, c.at) {
		s.take(c)
	}
}

func (s *sim) stop(d *downloader, id Conn) {
	for _, u := range s.uploaders {
		for _, c := range u.conns {
			if c.d == d && c.id == id {
				c.busy, c.got = false, 0
				d.p.GiveBack(id)
			}
		}
	}
}

// wantWithin wants d to have finished within a part of the ideal time.
func wantWithin(t *testing.T, d *downloader, ideal, part float64) {
	t.Helper()
	t.Logf("%.2f s of %.2f s ideal: %.3f; %d fetched twice", d.finished.Seconds(), ideal, ideal/d.finished.Seconds(), d.double)
	if d.finished == 0 || d.finished.Seconds() > ideal/part {
		t.Errorf("finished after %v; at %.2f of the ideal it would be %.2f s", d.finished, part, ideal/part)
	}
}

func TestSumOfHolders(t *testing.T) {
	const pieces = 256
	for _, test := range []struct {
		name  string
		rates []float64
		part  float64
	}{
		{"one", []float64{10}, 0.97},
		{"three alike", []float64{10, 10, 10}, 0.97},
		{"one at a tenth of two others", []float64{10, 10, 1}, 0.97},
		{"one at a hundredth", []float64{10, 10, 0.1}, 0.97},
		{"all different", []float64{20, 11, 7, 3, 1, 0.5}, 0.97},
		{"twenty", []float64{10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0.9},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSim()
			d := s.download(pieces, 7)
			sum := 0.0
			for _, rate := range test.rates {
				s.connect(d, s.upload(rate, nil))
				sum += rate
			}
			s.run(t, time.Hour)
			wantWithin(t, d, pieces/sum, test.part)
		})
	}
}

func TestHolderVanishes(t *testing.T) {
	const pieces, rate = 256, 10.0
	for _, told := range []bool{true, false} {
		s := newSim()
		d := s.download(pieces, 7)
		var conns []*simConn
		for range 3 {
			conns = append(conns, s.connect(d, s.upload(rate, nil)))
		}
		s.run(t, 4*time.Second)
		conns[1].silent = true
		if told { // by the connection that breaks
			d.p.Leave(conns[1].holder)
			conns[1].busy = false
		}
		s.run(t, time.Hour)
		wantWithin(t, d, 4+(pieces-4*3*rate)/(2*rate), 0.97)
	}
}

func TestHolderAppears(t *testing.T) {
	const pieces, rate = 256, 10.0
	s := newSim()
	d := s.download(pieces, 7)
	s.connect(d, s.upload(rate, nil))
	s.run(t, 4*time.Second)
	s.connect(d, s.upload(2*rate, nil))
	s.run(t, time.Hour)
	wantWithin(t, d, 4+(pieces-4*rate)/(3*rate), 0.97)
}

// TestFlashCrowd: one seed and many who begin together and can each give as
// much as it does. Each piece has to leave the seed once, so nobody can be done
// sooner than in the time that this takes.
func TestFlashCrowd(t *testing.T) {
	for _, test := range []struct {
		pieces int64
		rate   float64
		many   int
	}{{256, 4, 20}, {256, 16, 20}, {256, 4, 7}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			s := newSim()
			s.step, s.roundTrip = 10*time.Millisecond, 50*time.Millisecond
			seed := s.flashCrowd(test.pieces, test.rate, test.many)
			s.run(t, 10*time.Minute)
			last := s.crowd[0]
			for _, d := range s.crowd {
				if d.finished > last.finished || d.finished == 0 {
					last = d
				}
			}
			wantWithin(t, last, float64(test.pieces)/test.rate, 1/1.2)
			if seed.sent > int(test.pieces)*5/4 {
				t.Errorf("the seed sent %d pieces of %d", seed.sent, test.pieces)
			}
		})
	}
}

// flashCrowd has so many downloaders know each other, their places, and one
// seed, which is returned. Each may send at the given rate.
func (s *sim) flashCrowd(pieces int64, rate float64, many int) (seed *uploader) {
	seed = s.upload(rate, nil)
	for n := range many {
		d := s.download(pieces, uint64(n)+1)
		d.p.Place(n, many)
		s.upload(rate, d)
	}
	for _, d := range s.crowd {
		for _, u := range s.uploaders {
			if u.me != d {
				s.connect(d, u)
			}
		}
	}
	return seed
}
