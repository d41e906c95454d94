package swarm

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
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

// A fetcher downloads a corpus, and serves what it has of it to others meanwhile, and
// afterwards.
type fetcher struct {
	*Swarm
	Holder
	finish func() error
}

// fetcher returns one that fetches from nobody yet. It serves until the test ends.
func (w *town) fetcher(c *corpus, name lonja.UserName, opts Options, uploads fairshare.Options) *fetcher {
	w.Helper()
	s, finish := w.swarm(c, opts)
	downloads := &fileserver.Downloads{}
	w.Cleanup(downloads.Register(c.ID, s.Pieces(), nil))
	serving := w.serve(name, downloads, uploads, nil)
	return &fetcher{s, serving.holder, finish}
}

// A serving is a file server that runs.
type serving struct {
	holder Holder
	at     string
	close  func()
}

// serve runs a file server until the test ends, or its close is called.
func (w *town) serve(name lonja.UserName, files fileserver.Files, uploads fairshare.Options, wire func(net.Conn) net.Conn) serving {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	opts := fileserver.Options{Files: files, Who: tlstest.Who, Grace: time.Millisecond, MaxPerMember: 1000, Uploads: uploads}
	if p, ok := files.(*peer); ok && p.ways != nil {
		at := l.Addr().(*net.TCPAddr).AddrPort()
		opts.Ways = func() fileapi.Ways { return p.ways(at) }
	}
	server := fileserver.New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	theirs := w.authority.Config(w, name)
	go func() { ended <- server.Serve(ctx, tls.NewListener(wired{l, wire}, theirs)) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("peer %s: %v", name, err)
		}
	})
	w.Cleanup(stop)
	at := l.Addr().String()
	return serving{Holder{User: name, Dial: w.dial(at)}, at, stop}
}

// dial connects as "me".
func (w *town) dial(at string) func(ctx context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err != nil {
			return nil, lonja.E(lonja.Unavailable, "", err)
		}
		secure := tls.Client(conn, w.ours)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, lonja.E(lonja.Unavailable, "", err)
		}
		return secure, nil
	}
}

// A tap counts the bytes that are sent through it, of all connections together.
type tap struct{ sent atomic.Int64 }

func (t *tap) wire(conn net.Conn) net.Conn { return tapped{conn, t} }

type tapped struct {
	net.Conn
	tap *tap
}

func (c tapped) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.tap.sent.Add(int64(n))
	return n, err
}

// together has fetchers know each other and fetch, and returns their errors.
func together(all []*fetcher) []error {
	for i, f := range all {
		f.Place(i, len(all))
		for _, other := range all {
			if other != f {
				f.Join(other.Holder)
			}
		}
	}
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, f := range all {
		wg.Go(func() { errs[i] = f.finish() })
	}
	wg.Wait()
	return errs
}

// TestHalvesMakeAWhole: nobody has all of it, but of two downloaders each finds one
// half with somebody, and the other half with the other one.
func TestHalvesMakeAWhole(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 24*mib)
	even, odd := roaring.New(), roaring.New()
	for piece := range uint32(24) {
		if piece%2 == 0 {
			even.Add(piece)
		} else {
			odd.Add(piece)
		}
	}
	patient := impatient
	patient.StallTimeout = time.Minute // the other one may be slow to begin
	var all []*fetcher
	for i, half := range []*roaring.Bitmap{even, odd} {
		f := w.fetcher(c, lonja.UserName(rune('a'+i)), patient, fairshare.Options{})
		source := w.peer(c, lonja.UserName(rune('x'+i)), func(p *peer) { p.has = half })
		f.Join(source.Holder)
		all = append(all, f)
	}
	if err := errors.Join(together(all)...); err != nil {
		t.Error(err)
	}
	for i, f := range all {
		other := all[1-i].Holder.User
		for _, h := range f.Holders() {
			if h.Pieces != 12 || !h.Partial && h.User != other {
				t.Errorf("%s has %d pieces from %s (partial: %v)", f.Holder.User, h.Pieces, h.User, h.Partial)
			}
		}
	}
}

// TestStuckTogether: who is connected only with others that wait for the same pieces
// does not wait for ever, and says why.
func TestStuckTogether(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 8*mib)
	some := roaring.BitmapOf(0, 1, 2)
	opts := impatient
	opts.StallTimeout, opts.Tries = 2*time.Second, 1
	s, finish := w.swarm(c, opts, w.peer(c, "ana", func(p *peer) { p.has = some }), w.peer(c, "eva", func(p *peer) { p.has = some }))
	if err := finish(); lonja.KindOf(err) != lonja.NoHolder || !errors.Is(err, lonja.NoHolder) {
		t.Errorf("got %v", err)
	}
	if got := s.Received(); got != 3*mib {
		t.Errorf("%d bytes have come, want those of 3 pieces", got)
	}
}

// TestPartialLiarIsNamed: who has some pieces only is believed as little as anybody.
func TestPartialLiarIsNamed(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 16*mib)
	some := roaring.New()
	some.AddRange(0, 8)
	liar := w.peer(c, "liar", func(p *peer) {
		lies(4)(p)
		p.has = some
	})
	opts := impatient
	var named []lonja.UserName
	opts.Tries = -1
	lied := make(chan struct{})
	opts.Lied = func(user lonja.UserName, _ error) {
		named = append(named, user)
		close(lied)
	}
	s, finish := w.swarm(c, opts, liar)
	done := make(chan error, 1)
	go func() { done <- finish() }()
	<-lied
	s.Join(w.peer(c, "ana", nil).Holder)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(named, []lonja.UserName{"liar"}) {
		t.Errorf("named as liars: %v", named)
	}
}

// TestRefusedIsAskedAgain: a holder that does not have any more what it had is asked
// what it has, and nothing else of it.
func TestRefusedIsAskedAgain(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 12*mib)
	var asked atomic.Int64
	few := roaring.BitmapOf(0, 1, 2, 3)
	part := &shrinking{peer: w.peer(c, "unused", nil), few: few, asked: &asked}
	holder := w.serve("part", part, fairshare.Options{}, nil).holder
	s, finish := w.swarm(c, impatient, w.peer(c, "ana", func(p *peer) { p.has = roaring.BitmapOf(4, 5, 6, 7, 8, 9, 10, 11) }))
	s.Join(holder)
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if asked.Load() < 2 {
		t.Errorf("it was asked %d times what it has", asked.Load())
	}
	for _, h := range s.Holders() {
		if h.User == "part" && h.Pieces != 4 {
			t.Errorf("%d pieces came from it, want the 4 that it had", h.Pieces)
		}
	}
}

// A shrinking peer says first that it has everything, and then that it has some.
type shrinking struct {
	*peer
	few   *roaring.Bitmap
	asked *atomic.Int64
}

func (s *shrinking) OpenContent(context.Context, lonja.FileID, lonja.Member) (fileserver.Content, error) {
	return s, nil
}

func (s *shrinking) Have() *roaring.Bitmap {
	if s.asked.Add(1) <= 1 {
		return nil
	}
	return s.few
}

// crowd has so many downloaders fetch from one seed and each other.
func (w *town) crowd(c *corpus, n int, seedRate, rate fairshare.Rate) (seed *tap, errs []error) {
	seed = &tap{}
	first := w.peer(c, "seed", func(p *peer) { p.wire, p.uploads.Total = seed.wire, seedRate })
	var all []*fetcher
	for i := range n {
		f := w.fetcher(c, lonja.UserName(rune('a'+i)), Options{}, fairshare.Options{Total: rate})
		f.Join(first.Holder)
		all = append(all, f)
	}
	return seed, together(all)
}

// TestFlashCrowd: of what one seed has, little more than one copy leaves it, though
// five want it at once.
func TestFlashCrowd(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 32*mib)
	seed, errs := w.crowd(c, 5, 16*mib, 0)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%.2f copies have left the seed", float64(seed.sent.Load())/float64(c.Size))
	if seed.sent.Load() > 5*c.Size/2 {
		t.Errorf("%d bytes have left the seed, want at most %d", seed.sent.Load(), 5*c.Size/2)
	}
}

// BenchmarkFlashCrowd has 20 downloaders fetch 256 MiB from one seed and each other. The
// seed sends 4 MiB/s, and so does each downloader. It reports how long the last one took as
// a multiple of the ideal, in which each piece leaves the seed once and is
// everywhere at that moment, and how many copies left the seed.
//
//	go test -run '^$' -bench FlashCrowd -benchtime 1x ./internal/swarm
func BenchmarkFlashCrowd(b *testing.B) {
	const size, rate = 256 * mib, 4 * mib
	c := newCorpus(b, size)
	var times, copies []float64
	for b.Loop() {
		w := newTown(b)
		if dir, err := os.MkdirTemp("/dev/shm", "lonja-bench"); err == nil {
			b.Cleanup(func() { _ = os.RemoveAll(dir) })
			w.dir = dir
		}
		began := time.Now()
		seed, errs := w.crowd(c, 20, rate, rate)
		if err := errors.Join(errs...); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began).Seconds()*rate/size)
		copies = append(copies, float64(seed.sent.Load())/size)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(slices.Max(times), "worst/ideal")
	b.ReportMetric(slices.Max(copies), "copies")
}

// TestHashesOfADownload: those pages are served that are above a good piece and right,
// and no others.
func TestHashesOfADownload(t *testing.T) {
	layout, err := tree.LayoutOf(3*tree.PageHashes*mib - 1)
	if err != nil {
		t.Fatal(err)
	}
	pages := make(map[tree.Page][]byte)
	b := tree.NewBuilder(layout, func(p tree.Page, hashes []tree.Hash) error {
		pages[p] = tree.AppendPage(nil, hashes)
		return nil
	})
	for piece := range layout.Pieces() {
		if err := b.Add(piece, tree.Hash{byte(piece), byte(piece >> 8)}); err != nil {
			t.Fatal(err)
		}
	}
	id, err := b.FileID()
	if err != nil {
		t.Fatal(err)
	}
	kept := &memory{b: tree.AppendSize(make([]byte, 0, layout.OutboardSize()), layout)}
	kept.b = kept.b[:layout.OutboardSize()]
	put := func(p tree.Page) { copy(kept.b[layout.Offset(p):], pages[p]) }
	good := roaring.New()
	served := &checkedPages{id: id, layout: layout, kept: kept, good: good.Clone, here: make(map[tree.Page]bool)}
	holds := func(p tree.Page) bool {
		at, size := layout.Offset(p), int64(len(pages[p]))
		got := make([]byte, size)
		_, err := served.ReadAt(got, at)
		if has := served.Holds(at, at+size-1); has != (err == nil) || has && !slices.Equal(got, pages[p]) {
			t.Errorf("%v: it says %v, and reading gives %v", p, has, err)
		}
		return err == nil
	}
	top, middle, first := tree.Page{Level: 1}, tree.Page{Index: 1}, tree.Page{Index: 0}
	put(top)
	put(middle)
	if holds(top) || holds(middle) {
		t.Error("pages are served that nobody has used")
	}
	good.Add(tree.PageHashes + 7)
	if !holds(top) || !holds(middle) || holds(first) {
		t.Error("the pages above a good piece are not those that are served")
	}
	good.Add(5) // its page was lost
	if holds(first) {
		t.Error("a page is served that is not there")
	}
	put(first)
	kept.b[layout.Offset(first)] ^= 1
	if holds(first) {
		t.Error("a page is served that is spoiled")
	}
	kept.b[layout.Offset(first)] ^= 1
	if !holds(first) || served.Holds(0, layout.OutboardSize()-1) {
		t.Error("a part is taken for the whole, or the other way round")
	}
}

type memory struct{ b []byte }

func (m *memory) ReadAt(b []byte, offset int64) (int, error) { return copy(b, m.b[offset:]), nil }

var _ interface {
	fileserver.Pieces
} = (*Pieces)(nil)

// TestServesWhatIsLeft: what an earlier run has left is served as soon as it goes on.
func TestServesWhatIsLeft(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 6*mib)
	target := filepath.Join(t.TempDir(), "film.mkv")
	dst, err := unfinished.Open(target, unfinished.Options{ID: c.ID, Size: c.Size})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dst.Outboard().WriteAt(c.outboard[8:], 8); err != nil {
		t.Fatal(err)
	}
	for piece := range int64(3) {
		if err := dst.Put(piece, c.bytes[piece*mib:][:mib]); err != nil {
			t.Fatal(err)
		}
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	dst = w.open(c, target)
	defer dst.Close()
	left, err := New(c.Content, dst, impatient)
	if err != nil {
		t.Fatal(err)
	}
	downloads := &fileserver.Downloads{}
	defer downloads.Register(c.ID, left.Pieces(), nil)()
	holder := w.serve("ana", downloads, fairshare.Options{}, nil).holder
	s, finish := w.swarm(c, impatient, w.peer(c, "eva", func(p *peer) { p.has = roaring.BitmapOf(3, 4, 5) }))
	s.Join(holder)
	if err := finish(); err != nil {
		t.Error(err)
	}
}
