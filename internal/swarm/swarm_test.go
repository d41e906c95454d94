package swarm

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/fileapi"
	"lonja/internal/fileserver"
	"lonja/internal/tlstest"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

func random(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	_, _ = rng.Read(b)
	return b
}

// A corpus is a content with its hashes.
type corpus struct {
	Content
	bytes    []byte
	outboard []byte
}

func newCorpus(t testing.TB, size int) *corpus {
	t.Helper()
	c := &corpus{bytes: random(size), Content: Content{Size: int64(size), Name: "film.mkv"}}
	layout, err := tree.LayoutOf(c.Size)
	if err != nil {
		t.Fatal(err)
	}
	all := tree.Tree{Size: c.Size}
	b := tree.NewBuilder(layout, nil)
	for piece := range layout.Pieces() {
		var h tree.Hasher
		h.Reset(piece)
		_, _ = h.Write(c.bytes[piece*tree.PieceSize:][:layout.PieceLen(piece)])
		sum := h.Sum
		if layout.Pieces() == 1 {
			sum = h.Root
		}
		hash := sum()
		all.Pieces = append(all.Pieces, hash)
		if err := b.Add(piece, hash); err != nil {
			t.Fatal(err)
		}
	}
	if c.ID, err = b.FileID(); err != nil {
		t.Fatal(err)
	}
	if c.outboard, err = all.AppendBinary(nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// A peer is a holder of a corpus that runs. It implements fileserver.Files and
// fileserver.Content.
type peer struct {
	*corpus
	Holder
	has   *roaring.Bitmap              // nil: all
	read  func(p []byte, offset int64) // what it does to what it sends; nil: nothing
	sent  []atomic.Int64               // bytes of each piece that left it
	wire  func(net.Conn) net.Conn      // what becomes of connections to it
	close func()
	at    string // its address

	uploads fairshare.Options
	ways    func(at netip.AddrPort) fileapi.Ways // that it tells; nil: none
}

func (p *peer) OpenContent(_ context.Context, id lonja.FileID, _ lonja.Member) (fileserver.Content, error) {
	if id != p.ID {
		return nil, lonja.E(lonja.NoSuchFile, "open", nil)
	}
	return p, nil
}

func (p *peer) ReadAt(b []byte, offset int64) (int, error) {
	n, err := bytes.NewReader(p.bytes).ReadAt(b, offset)
	if p.read != nil {
		p.read(b[:n], offset)
	}
	for at := offset; at < offset+int64(n); {
		piece := at / tree.PieceSize
		step := min(offset+int64(n), (piece+1)*tree.PieceSize) - at
		p.sent[piece].Add(step)
		at += step
	}
	return n, err
}

func (p *peer) Size() int64           { return p.Content.Size }
func (p *peer) Have() *roaring.Bitmap { return p.has }
func (p *peer) Unchanged() error      { return nil }
func (p *peer) Close() error          { return nil }

func (p *peer) Outboard(context.Context) (io.ReaderAt, int64, error) {
	return bytes.NewReader(p.outboard), int64(len(p.outboard)), nil
}

// A town is peers that trust one authority.
type town struct {
	testing.TB
	authority *tlstest.Authority
	ours      *tls.Config
	dir       string // of downloads; empty: temporary ones
}

func newTown(t testing.TB) *town {
	ca := tlstest.New(t)
	return &town{TB: t, authority: ca, ours: ca.Config(t, "me")}
}

// peer runs a holder until the test ends, or its close is called.
func (w *town) peer(c *corpus, name lonja.UserName, set func(*peer)) *peer {
	w.Helper()
	layout, _ := tree.LayoutOf(c.Size)
	p := &peer{corpus: c, sent: make([]atomic.Int64, layout.Pieces())}
	if set != nil {
		set(p)
	}
	running := w.serve(name, p, p.uploads, p.wire)
	p.Holder, p.close, p.at = running.holder, running.close, running.at
	return p
}

// A wired listener does something to each connection, below TLS.
type wired struct {
	net.Listener
	wire func(net.Conn) net.Conn
}

func (l wired) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil && l.wire != nil {
		conn = l.wire(conn)
	}
	return conn, err
}

// A cut connection ends after so many bytes were written.
type cut struct {
	net.Conn
	left atomic.Int64
}

func cutAfter(bytes int64) func(net.Conn) net.Conn {
	return func(conn net.Conn) net.Conn {
		c := &cut{Conn: conn}
		c.left.Store(bytes)
		return c
	}
}

func (c *cut) Write(b []byte) (int, error) {
	if c.left.Add(-int64(len(b))) < 0 {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

// lies has a peer send wrong bytes in one of so many pieces.
func lies(oneIn int64) func(*peer) {
	return func(p *peer) {
		p.read = func(b []byte, offset int64) {
			if len(b) > 0 && (offset/mib)%oneIn == oneIn-1 {
				b[0] ^= 1
			}
		}
	}
}

// impatient are options for tests: nobody waits long.
var impatient = Options{StallTimeout: 300 * time.Millisecond, LeastPause: time.Millisecond, MostPause: 10 * time.Millisecond}

// open begins or goes on with a download.
func (w *town) open(c *corpus, target string) *unfinished.File {
	w.Helper()
	dst, err := unfinished.Open(target, unfinished.Options{ID: c.ID, Size: c.Size})
	if err != nil {
		w.Fatal(err)
	}
	return dst
}

// swarm returns a Swarm into a new target.
func (w *town) swarm(c *corpus, opts Options, peers ...*peer) (s *Swarm, finish func() error) {
	w.Helper()
	dir, err := os.MkdirTemp(cmp.Or(w.dir, w.TempDir()), "")
	if err != nil {
		w.Fatal(err)
	}
	target := filepath.Join(dir, "film.mkv")
	dst := w.open(c, target)
	w.Cleanup(func() { _ = dst.Close() })
	s, err = New(c.Content, dst, opts)
	if err != nil {
		w.Fatal(err)
	}
	for _, p := range peers {
		s.Join(p.Holder)
	}
	return s, func() error {
		if err := s.Run(w.Context()); err != nil {
			return err
		}
		w.whole(c, dst, target)
		return nil
	}
}

// whole commits a download and fails unless it is the content.
func (w *town) whole(c *corpus, dst *unfinished.File, target string) {
	w.Helper()
	if err := dst.Commit(); err != nil {
		w.Fatal(err)
	}
	got, err := os.ReadFile(target)
	if err != nil || !bytes.Equal(got, c.bytes) {
		w.Errorf("the file is another one (%v)", err)
	}
}

// sentOf returns what left the peers of one piece.
func sentOf(piece int, peers []*peer) (sum int64) {
	for _, p := range peers {
		sum += p.sent[piece].Load()
	}
	return sum
}

const mib = tree.PieceSize

func TestSizes(t *testing.T) {
	w := newTown(t)
	for _, size := range []int{0, 1, mib - 1, mib, mib + 1, 7*mib + 3} {
		c := newCorpus(t, size)
		for n := 1; n <= 3; n++ {
			var peers []*peer
			for i := range n {
				peers = append(peers, w.peer(c, lonja.UserName(rune('a'+i)), nil))
			}
			s, finish := w.swarm(c, impatient, peers...)
			if err := finish(); err != nil {
				t.Errorf("%d bytes from %d holders: %v", size, n, err)
			}
			if got := s.Received(); got != c.Size {
				t.Errorf("%d bytes from %d holders: %d are said to have come", size, n, got)
			}
		}
	}
}

// TestLiarIsNamed: one of three sends one wrong piece. It is asked no more, only
// that piece is fetched again, and the file is right.
func TestLiarIsNamed(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 24*mib)
	var lied atomic.Bool
	liar := w.peer(c, "liar", func(p *peer) {
		p.read = func(b []byte, offset int64) {
			if len(b) > 0 && !lied.Swap(true) {
				b[0] ^= 1
			}
		}
	})
	peers := []*peer{liar, w.peer(c, "ana", nil), w.peer(c, "luis", nil)}
	opts := impatient
	var named []lonja.UserName
	opts.Lied = func(user lonja.UserName, err error) {
		named = append(named, user)
		if !errors.Is(err, lonja.Untrusted) && lonja.KindOf(err) != lonja.Untrusted {
			t.Errorf("it is said to be %v", err)
		}
	}
	s, finish := w.swarm(c, opts, peers...)
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if len(named) != 1 || named[0] != "liar" {
		t.Errorf("named as liars: %v", named)
	}
	for _, h := range s.Holders() {
		if h.Lied != (h.User == "liar") {
			t.Errorf("got %+v", h)
		}
	}
}

// TestWhyOfALiar: why a holder was dropped stays, whatever its other connection brings,
// or ends with, afterwards.
func TestWhyOfALiar(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 3*mib)
	s, _ := w.swarm(c, impatient, w.peer(c, "ana", nil))
	var h *holder
	for _, h = range s.holders {
	}
	s.picker.Join(h.number, nil)
	other := h.connect()
	defer other.close()
	span, _, _ := other.take()
	lie := lonja.E(lonja.Untrusted, "", errors.New("it is another piece"))
	h.drop(lie)
	other.done(span.First, mib)
	if got := s.Holders()[0]; got.Pieces != 1 || got.Err != lie {
		t.Errorf("once a piece has come: %+v", got)
	}
	h.note(lonja.E(lonja.Unavailable, "", errors.New("broken off")), 1, time.Time{})
	if got := s.Holders()[0]; got.Err != lie {
		t.Errorf("once the connection has ended: %+v", got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.hopeless(); lonja.KindOf(err) != lonja.Untrusted {
		t.Errorf("got %v, want Untrusted", err)
	}
}

func TestAllLie(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 3*mib)
	lie := func(p *peer) { p.read = func(b []byte, _ int64) { b[0] ^= 1 } }
	opts := impatient
	var named []lonja.UserName
	opts.Lied = func(user lonja.UserName, _ error) { named = append(named, user) }
	_, finish := w.swarm(c, opts, w.peer(c, "ana", lie), w.peer(c, "luis", lie))
	if err := finish(); !errors.Is(err, lonja.Untrusted) || !strings.Contains(err.Error(), "ana") || !strings.Contains(err.Error(), "luis") {
		t.Errorf("got %v", err)
	}
	if slices.Sort(named); !slices.Equal(named, []lonja.UserName{"ana", "luis"}) {
		t.Errorf("named as liars: %v", named)
	}
}

// TestExpected: while somebody may still join, a swarm whose holders are all gone
// does not give up; afterwards it does.
func TestExpected(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 3*mib)
	gone := w.peer(c, "ana", nil)
	gone.close()
	s, finish := w.swarm(c, impatient, gone)
	done := s.Expect()
	ended := make(chan error, 1)
	go func() { ended <- finish() }()
	for hopeless := false; !hopeless; {
		s.mu.Lock()
		changed := s.changed
		for _, h := range s.holders {
			hopeless = h.vain > s.opts.Tries // it would have ended before
		}
		s.mu.Unlock()
		if !hopeless {
			<-changed
		}
	}
	s.Join(w.peer(c, "luis", nil).Holder)
	done()
	done()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s, finish = w.swarm(c, impatient, gone)
	done = s.Expect()
	go func() { ended <- finish() }()
	done()
	if err := <-ended; !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got %v", err)
	}
}

// TestNobody: what was tried is said, and by whom.
func TestNobody(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 3*mib)
	_, finish := w.swarm(c, impatient)
	if err := finish(); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got %v", err)
	}
	gone := w.peer(c, "ana", nil)
	gone.close()
	_, finish = w.swarm(c, impatient, gone)
	if err := finish(); !errors.Is(err, lonja.Unavailable) || !strings.Contains(err.Error(), "ana: ") {
		t.Errorf("got %v", err)
	}
}

// TestJoinsLate: nobody has it until somebody comes; a partial holder brings what
// it has, and goes.
func TestJoinsLate(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 16*mib)
	opts := impatient
	opts.Tries = -1
	some := roaring.New()
	some.AddRange(3, 9)
	part := w.peer(c, "part", func(p *peer) { p.has = some })
	came := make(chan struct{})
	opts.Progress = func(received int64) {
		if received >= 6*mib {
			select {
			case came <- struct{}{}:
			default:
			}
		}
	}
	s, finish := w.swarm(c, opts)
	done := make(chan error, 1)
	go func() { done <- finish() }()
	s.Join(part.Holder)
	<-came
	s.Leave(part.User, part.Key)
	s.Join(w.peer(c, "ana", nil).Holder)
	if err := <-done; err != nil {
		t.Error(err)
	}
	for piece := range part.sent {
		if part.sent[piece].Load() > 0 && !some.Contains(uint32(piece)) {
			t.Errorf("piece %d was asked of somebody who does not have it", piece)
		}
	}
}

// TestGoesOn: a download that ends goes on, and fetches nothing that was good.
func TestGoesOn(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 32*mib)
	target := filepath.Join(t.TempDir(), "film.mkv")
	peers := []*peer{w.peer(c, "ana", nil), w.peer(c, "luis", nil)}
	good := make(map[uint32]bool)
	for round := 0; ; round++ {
		dst := w.open(c, target)
		for it := dst.Good().Iterator(); it.HasNext(); {
			good[it.Next()] = true
		}
		before := make(map[uint32]int64)
		for piece := range good {
			before[piece] = sentOf(int(piece), peers)
		}
		ctx, cancel := context.WithCancel(t.Context())
		opts := impatient
		opts.Progress = func(received int64) {
			if received > int64(round+1)*4*mib {
				cancel()
			}
		}
		s, err := New(c.Content, dst, opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			s.Join(p.Holder)
		}
		err = s.Run(ctx)
		cancel()
		for piece, sent := range before {
			if now := sentOf(int(piece), peers); now != sent {
				t.Fatalf("round %d: piece %d was good and is fetched again", round, piece)
			}
		}
		if err == nil {
			w.whole(c, dst, target)
			_ = dst.Close()
			break
		}
		if !errors.Is(err, lonja.Canceled) {
			t.Fatal(err)
		}
		if err := dst.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(good) == 0 {
		t.Error("it never went on with anything")
	}
}
