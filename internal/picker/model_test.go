package picker

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"
)

// A model is the naive account of what a Picker has given and been told.
type model struct {
	p       *Picker
	pieces  int64
	now     time.Duration
	done    map[int64]bool
	holders map[Holder]map[int64]bool
	conns   map[Conn]*modelConn
}

type modelConn struct {
	holder Holder
	left   map[int64]bool
	begun  map[int64]bool
}

// TestAgainstModel: whatever happens, in whatever order, no piece is given to a
// holder that does not have it, nor to two without need, nor done twice, nor
// lost.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"join": m.drawJoin, "update": m.drawUpdate, "leave": m.drawLeave, "have": m.drawHave, "place": m.drawPlace,
			"take": m.drawTake, "take more": m.drawTake, "begin": m.drawBegin, "done": m.drawDone, "done more": m.drawDone,
			"stray": m.drawStray, "give back": m.drawGiveBack, "give back all": m.giveBackAll, "": m.invariants,
		})
		m.finish(t)
	})
}

func newModel(t *rapid.T) *model {
	m := &model{
		pieces:  rapid.Int64Range(1, 90).Draw(t, "pieces"),
		done:    make(map[int64]bool),
		holders: make(map[Holder]map[int64]bool),
		conns:   make(map[Conn]*modelConn),
	}
	m.p = New(Options{
		Pieces: m.pieces,
		Most:   rapid.Int64Range(0, 70).Draw(t, "most"),
		Least:  rapid.Int64Range(0, 6).Draw(t, "least"),
		Seed:   rapid.Uint64Range(0, 3).Draw(t, "seed"),
	})
	m.p.inWindow = rapid.SampledFrom([]int64{windowSize, 16, 7}).Draw(t, "window")
	return m
}

func drawHolder(t *rapid.T) Holder { return Holder(rapid.IntRange(0, 5).Draw(t, "holder")) }
func drawConn(t *rapid.T) Conn     { return Conn(rapid.IntRange(0, 9).Draw(t, "conn")) }

// drawPieces draws what a holder has, as a set and as a bitmap.
func (m *model) drawPieces(t *rapid.T) (map[int64]bool, *roaring.Bitmap) {
	set := make(map[int64]bool)
	if rapid.Bool().Draw(t, "complete") {
		for piece := range m.pieces {
			set[piece] = true
		}
		return set, nil
	}
	b := roaring.New()
	for range rapid.IntRange(0, 4).Draw(t, "runs") {
		first := rapid.Int64Range(0, m.pieces).Draw(t, "first") // one may be beyond the end
		for piece := first; piece < first+rapid.Int64Range(1, 30).Draw(t, "length"); piece++ {
			b.Add(uint32(piece))
			if piece < m.pieces {
				set[piece] = true
			}
		}
	}
	return set, b
}

func (m *model) drawJoin(t *rapid.T) {
	h := drawHolder(t)
	set, b := m.drawPieces(t)
	m.holders[h] = set
	m.p.Join(h, b)
}

func (m *model) drawUpdate(t *rapid.T) {
	h := drawHolder(t)
	set, b := m.drawPieces(t)
	if old := m.holders[h]; old != nil {
		if b != nil && rapid.Bool().Draw(t, "more") {
			for piece := range old {
				set[piece] = true
				b.Add(uint32(piece))
			}
		}
		m.holders[h] = set
	}
	m.p.Update(h, b)
	if b != nil {
		b.Clear() // it is ours again
	}
}

func (m *model) drawPlace(t *rapid.T) {
	m.p.Place(rapid.IntRange(-1, 8).Draw(t, "rank"), rapid.IntRange(0, 8).Draw(t, "of"))
}

func (m *model) drawLeave(t *rapid.T) {
	h := drawHolder(t)
	delete(m.holders, h)
	maps.DeleteFunc(m.conns, func(_ Conn, c *modelConn) bool { return c.holder == h })
	m.p.Leave(h)
}

// drawHave has pieces appear that nobody fetches.
func (m *model) drawHave(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "seldom") != 0 {
		t.Skip("seldom")
	}
	first := rapid.Int64Range(0, m.pieces-1).Draw(t, "first")
	s := Span{first, first + rapid.Int64Range(1, 9).Draw(t, "length")}
	for piece := s.First; piece < min(s.End, m.pieces); piece++ {
		if len(m.owners(piece)) == 0 {
			m.done[piece] = true
		}
	}
	m.p.Have(s)
}

// owners returns who has a piece, the model's way.
func (m *model) owners(piece int64) []Conn {
	var all []Conn
	for c, conn := range m.conns {
		if conn.left[piece] {
			all = append(all, c)
		}
	}
	slices.Sort(all)
	return all
}

func (m *model) isFree(piece int64) bool { return !m.done[piece] && len(m.owners(piece)) == 0 }

func (m *model) wanted(h Holder) bool {
	for piece := range m.holders[h] {
		if m.isFree(piece) {
			return true
		}
	}
	return false
}

func (m *model) drawTake(t *rapid.T) {
	m.now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond
	c := drawConn(t)
	h := drawHolder(t)
	if m.conns[c] != nil && rapid.Bool().Draw(t, "same holder") {
		h = m.conns[c].holder
	}
	m.take(t, c, h)
}

func (m *model) take(t *rapid.T, c Conn, h Holder) (Span, bool) {
	if conn := m.conns[c]; conn != nil && (len(conn.left) > 0 || m.holders[h] == nil) {
		delete(m.conns, c)
	}
	wanted := m.wanted(h)
	s, ok := m.p.Take(c, h, m.now)
	switch {
	case !ok && wanted:
		t.Fatalf("%d has something that is wanted; Take finds nothing", h)
	case !ok:
		return s, false
	case s.Len() < 1 || s.Len() > m.p.most:
		t.Fatalf("Take gives %v", s)
	}
	if wanted {
		m.checkRarest(t, h, s.First)
	}
	m.give(t, c, h, s, wanted)
	return s, true
}

// checkRarest checks that no piece which h could have been given instead, in
// the window, has fewer partial holders.
func (m *model) checkRarest(t *rapid.T, h Holder, given int64) {
	if m.p.rarity == nil {
		return
	}
	span := m.p.rarity.span
	for piece := max(span.First, 0); piece < min(span.End, m.pieces); piece++ {
		if !m.holders[h][piece] || !m.isFree(piece) {
			continue
		}
		if given < span.First || given >= span.End || m.count(piece) < m.count(given) {
			t.Fatalf("given %d; but %d is rarer in %v", given, piece, span)
		}
	}
}

func (m *model) count(piece int64) int {
	n := 0
	for _, set := range m.holders {
		if set[piece] && int64(len(set)) < m.pieces {
			n++
		}
	}
	return n
}

// give notes that c was given s, and checks that it may have it.
func (m *model) give(t *rapid.T, c Conn, h Holder, s Span, wanted bool) {
	conn := &modelConn{holder: h, left: make(map[int64]bool), begun: map[int64]bool{s.First: true}}
	if m.conns[c] != nil && len(m.conns[c].left) > 0 {
		t.Fatal("the connection has something to do")
	}
	for piece := s.First; piece < s.End; piece++ {
		owners := m.owners(piece)
		switch {
		case m.done[piece] || !m.holders[h][piece]:
			t.Fatalf("piece %d was given; done: %v, the holder has it: %v", piece, m.done[piece], m.holders[h][piece])
		case wanted && len(owners) != 0:
			t.Fatalf("piece %d was taken from somebody, though others are free", piece)
		case len(owners) == 1 && !m.conns[owners[0]].begun[piece]:
			delete(m.conns[owners[0]].left, piece) // stolen
		case len(owners) == 1 && m.conns[owners[0]].holder != h && s.Len() == 1:
			for other := range m.pieces {
				if m.isFree(other) {
					t.Fatalf("piece %d was given twice, though %d is free", piece, other)
				}
			}
		case len(owners) != 0:
			t.Fatalf("piece %d of %v was given to %d, of %d; it is with %v already", piece, s, c, h, owners)
		}
		conn.left[piece] = true
	}
	m.conns[c] = conn
}

// drawBegin has a connection go on to the next piece of its own; or ask for one
// that is not.
func (m *model) drawBegin(t *rapid.T) {
	c := drawConn(t)
	piece := rapid.Int64Range(-1, m.pieces).Draw(t, "piece")
	if conn := m.conns[c]; conn != nil && rapid.IntRange(0, 5).Draw(t, "any") > 0 {
		for piece = 0; piece < m.pieces && (!conn.left[piece] || conn.begun[piece]); piece++ {
		}
	}
	m.begin(t, c, piece)
}

func (m *model) begin(t *rapid.T, c Conn, piece int64) bool {
	conn := m.conns[c]
	want := conn != nil && conn.left[piece]
	if got := m.p.Still(c, piece); got != want {
		t.Fatalf("Still(%d, %d) = %v", c, piece, got)
	}
	if want {
		for before := range conn.left { // pieces are begun in order
			conn.begun[before] = conn.begun[before] || before <= piece
		}
	}
	return want
}

func (m *model) drawDone(t *rapid.T) {
	m.now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond
	var busy []Conn
	for c, conn := range m.conns {
		if len(conn.left) > 0 {
			busy = append(busy, c)
		}
	}
	if len(busy) == 0 {
		t.Skip("nobody has anything to do")
	}
	slices.Sort(busy)
	c := rapid.SampledFrom(busy).Draw(t, "conn")
	own := slices.Sorted(maps.Keys(m.conns[c].left))
	m.begin(t, c, own[0])
	m.finishPiece(t, c, own[0])
}

// drawStray has a connection finish a piece that may be anybody's.
func (m *model) drawStray(t *rapid.T) {
	m.finishPiece(t, drawConn(t), rapid.Int64Range(0, m.pieces-1).Draw(t, "piece"))
}

func (m *model) finishPiece(t *rapid.T, c Conn, piece int64) {
	var want []Conn
	for _, owner := range m.owners(piece) {
		if owner != c && m.conns[owner].begun[piece] {
			want = append(want, owner)
		}
		delete(m.conns[owner].left, piece)
	}
	m.done[piece] = true
	got := m.p.Done(c, piece, m.now)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("Done(%d, %d) cancels %v; want %v", c, piece, got, want)
	}
}

func (m *model) drawGiveBack(t *rapid.T) {
	c := drawConn(t)
	m.p.GiveBack(c)
	delete(m.conns, c)
}

// giveBackAll: when everything is given back, whatever a holder has and is
// missing is found.
func (m *model) giveBackAll(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "seldom") != 0 {
		t.Skip("seldom")
	}
	for c := range m.conns {
		m.p.GiveBack(c)
	}
	clear(m.conns)
	for h, set := range m.holders {
		want := false
		for piece := range set {
			want = want || !m.done[piece]
		}
		if _, ok := m.take(t, 3, h); ok != want {
			t.Fatalf("Take of %d finds something: %v", h, ok)
		}
		m.p.GiveBack(3)
		delete(m.conns, 3)
	}
}

// finish fetches what is missing from a holder who has all of it, while whoever
// is at a piece, and alone with it, never finishes.
func (m *model) finish(t *rapid.T) {
	for piece := range m.pieces {
		if owners := m.owners(piece); len(owners) == 2 {
			m.p.GiveBack(owners[0])
			delete(m.conns, owners[0])
		}
	}
	all := make(map[int64]bool)
	for piece := range m.pieces {
		all[piece] = true
	}
	m.holders[9] = all
	m.p.Join(9, nil)
	for round := 0; m.p.Missing() > 0; round++ {
		if round > int(m.pieces)*20 {
			t.Fatalf("%d are still missing", m.p.Missing())
		}
		m.now += time.Second
		c := Conn(20 + round%3)
		s, ok := m.take(t, c, 9)
		for piece := s.First; ok && piece < s.End && m.begin(t, c, piece); piece++ {
			m.finishPiece(t, c, piece)
		}
		m.invariants(t)
	}
	if int64(len(m.done)) != m.pieces {
		t.Fatalf("nothing is missing, but %d of %d are done", len(m.done), m.pieces)
	}
}

// invariants compares everything that the Picker keeps with the model.
func (m *model) invariants(t *rapid.T) {
	if err := m.compare(); err != nil {
		t.Fatal(err)
	}
}

func (m *model) compare() error {
	p := m.p
	if want := m.pieces - int64(len(m.done)); p.Missing() != want {
		return fmt.Errorf("missing are %d, not %d", p.Missing(), want)
	}
	free := int64(0)
	for piece := range m.pieces {
		owners := m.owners(piece)
		isFree := m.isFree(piece)
		o, some := p.owners[piece]
		if p.free.Contains(uint32(piece)) != isFree || some != (len(owners) > 0) || o.two != (len(owners) == 2) {
			return fmt.Errorf("piece %d: free %v, owners %v %v; in the model %v", piece, !isFree, some, o, owners)
		}
		for _, c := range owners {
			if o.a != c && (!o.two || o.b != c) || !p.conns[c].has(piece) {
				return fmt.Errorf("piece %d: owners %v; in the model %v", piece, o, owners)
			}
		}
		if isFree {
			free++
		}
		if err := m.compareLevel(piece, isFree); err != nil {
			return err
		}
	}
	if p.nFree != free || int64(p.free.GetCardinality()) != free {
		return fmt.Errorf("free are %d, %d; not %d", p.nFree, p.free.GetCardinality(), free)
	}
	for h := range m.holders {
		if p.Wanted(h) != m.wanted(h) {
			return fmt.Errorf("Wanted(%d) = %v", h, p.Wanted(h))
		}
	}
	return m.compareFlow()
}

func (m *model) compareLevel(piece int64, isFree bool) error {
	r := m.p.rarity
	if r == nil {
		return nil
	}
	for k, level := range r.levels {
		want := isFree && r.covers(piece) && m.count(piece) == k
		if level.Contains(uint32(piece)) != want {
			return fmt.Errorf("piece %d is at level %d: %v", piece, k, !want)
		}
	}
	return nil
}

func (m *model) compareFlow() error {
	var want flow
	for _, w := range m.p.conns {
		if w.left != 0 {
			want.count(w, 1)
		}
	}
	if m.p.flow != want {
		return fmt.Errorf("the flow is %+v, not %+v", m.p.flow, want)
	}
	if r := m.p.rarity; r != nil {
		n := int64(0)
		for _, level := range r.levels {
			n += int64(level.GetCardinality())
		}
		if r.n != n || len(r.levels) > m.p.partial+1 {
			return fmt.Errorf("the window has %d, not %d, in %d levels for %d", r.n, n, len(r.levels), m.p.partial)
		}
	}
	return nil
}
