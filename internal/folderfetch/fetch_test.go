package folderfetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/fileserver"
	"lonja/internal/tlstest"
	"lonja/internal/tree"
)

// files are what a holder serves, from a directory: content by id.
type files struct {
	dir   string
	mu    sync.Mutex
	asked map[lonja.FileID]int
	left  int // answers before it has nothing any more; below zero: no bound
}

func (f *files) path(id lonja.FileID) string { return f.dir + "/" + id.String() }

func (f *files) OpenContent(_ context.Context, id lonja.FileID, _ lonja.Member) (fileserver.Content, error) {
	f.mu.Lock()
	f.asked[id]++
	f.left--
	gone := f.left == -1
	if gone {
		f.left = 0
	}
	f.mu.Unlock()
	file, err := os.Open(f.path(id))
	if err != nil || gone {
		return nil, lonja.E(lonja.NoSuchFile, "open", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return fileserver.NewWhole(file, info.Size(), nil)
}

// A field is holders that trust one authority.
type field struct {
	testing.TB
	authority *tlstest.Authority
	ours      *tls.Config
}

func newField(t testing.TB) *field {
	ca := tlstest.New(t)
	return &field{t, ca, ca.Config(t, "me")}
}

// holder runs one until the test ends.
func (f *field) holder(name lonja.UserName, served fileserver.Files) Holder {
	f.Helper()
	h, _ := f.holderWith(name, fileserver.Options{Files: served})
	return h
}

// holderWith is holder with options, and returns also how somebody else sees it.
func (f *field) holderWith(name lonja.UserName, o fileserver.Options) (h Holder, as func(user lonja.UserName) Holder) {
	f.Helper()
	o.Who, o.Grace = tlstest.Who, time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	server := fileserver.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	theirs := f.authority.Config(f, name)
	go func() { ended <- server.Serve(ctx, tls.NewListener(l, theirs)) }()
	f.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Errorf("holder %s: %v", name, err)
		}
	})
	as = func(user lonja.UserName) Holder {
		return Holder{User: name, Dial: f.dials(l.Addr().String(), f.authority.Config(f, user))}
	}
	return Holder{User: name, Dial: f.dials(l.Addr().String(), f.ours)}, as
}

func (f *field) dials(addr string, config *tls.Config) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, lonja.E(lonja.Unavailable, "", err)
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, lonja.E(lonja.Unavailable, "", err)
		}
		return secure, nil
	}
}

// soon fails unless something is so within a while.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !is(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never was so: %s", what)
		}
	}
}

// library makes n contents in a directory.
func (f *field) library(n int) (*files, []Wanted) {
	f.Helper()
	lib := &files{dir: f.TempDir(), asked: make(map[lonja.FileID]int), left: -2}
	var wanted []Wanted
	for i := range n {
		content := fmt.Appendf(nil, "content %d", i)
		id := tree.Sum(content)
		if err := os.WriteFile(lib.path(id), content, 0o600); err != nil {
			f.Fatal(err)
		}
		wanted = append(wanted, Wanted{ID: id, Size: int64(len(content)), Entry: uint32(i)})
	}
	return lib, wanted
}

func at(wanted []Wanted) func(int) Wanted { return func(i int) Wanted { return wanted[i] } }

// fetchAll fetches from holders, and returns whom something came from.
func fetchAll(ctx context.Context, holders []Holder, wanted []Wanted, opts Options) (from []lonja.UserName, err error) {
	f, err := New(len(wanted), at(wanted), opts)
	if err != nil {
		return nil, err
	}
	for _, h := range holders {
		f.Join(h)
	}
	err = f.Run(ctx)
	for _, h := range f.Holders() {
		if h.Files > 0 {
			from = append(from, h.User)
		}
	}
	return from, err
}

// put collects what comes.
type put struct {
	mu   sync.Mutex
	came map[int]string
}

func (p *put) take(i int, content []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, twice := p.came[i]; twice {
		return errors.New("it came twice")
	}
	p.came[i] = string(content)
	return nil
}

func (f *field) wantAll(p *put, n int) {
	f.Helper()
	for i := range n {
		if want := fmt.Sprintf("content %d", i); p.came[i] != want {
			f.Errorf("%d: got %q, want %q", i, p.came[i], want)
		}
	}
}

// TestFetch: all comes once, from one and from two; nobody is asked twice for what
// came.
func TestFetch(t *testing.T) {
	f := newField(t)
	lib, wanted := f.library(500)
	for n, holders := range map[int][]Holder{1: {f.holder("ana", lib)}, 2: {f.holder("eva", lib), f.holder("luis", lib)}} {
		clear(lib.asked)
		p := &put{came: make(map[int]string)}
		from, err := fetchAll(t.Context(), holders, wanted, Options{Put: p.take})
		if err != nil || len(from) == 0 || len(from) > n {
			t.Errorf("%d holders: got %v, %v", n, from, err)
		}
		f.wantAll(p, len(wanted))
		for id, times := range lib.asked {
			if times != 1 {
				t.Errorf("%d holders: %v was asked for %d times", n, id, times)
			}
		}
	}
}

// TestLiarIsDropped: who sends something else, or something longer, is named and asked
// no more, and all comes from the other.
func TestLiarIsDropped(t *testing.T) {
	f := newField(t)
	lib, wanted := f.library(300)
	for what, content := range map[string]string{"another": "CONTENT 7", "longer": "content 7 and more"} {
		lying, _ := f.library(300)
		if err := os.WriteFile(lying.path(wanted[7].ID), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &put{came: make(map[int]string)}
		var liars []lonja.UserName
		liar := f.holder("eva", lying)
		// Alone first: what it sends rightly does not save it.
		_, err := fetchAll(t.Context(), []Holder{liar}, wanted, Options{Put: func(int, []byte) error { return nil }, Lied: func(u lonja.UserName, _ error) { liars = append(liars, u) }})
		if !errors.Is(err, lonja.Untrusted) || len(liars) != 1 || liars[0] != "eva" {
			t.Errorf("%s: got %v, liars %q", what, err, liars)
		}
		if _, err := fetchAll(t.Context(), []Holder{liar, f.holder("ana", lib)}, wanted, Options{Put: p.take}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		f.wantAll(p, len(wanted))
	}
}

// TestWhyOfALiar: why a holder was dropped stays, whatever its other connections bring,
// or end with, afterwards.
func TestWhyOfALiar(t *testing.T) {
	f, err := New(2, func(int) Wanted { return Wanted{} }, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.Join(Holder{User: "eva"})
	var h *holder
	for _, h = range f.holders {
	}
	other := &conn{holder: h}
	h.drop(lonja.E(lonja.Untrusted, "", errors.New("it is another file")))
	other.counted(1)
	h.note(lonja.E(lonja.Unavailable, "", errors.New("broken off")), 1, nil, time.Time{})
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	if err := f.hopeless(); lonja.KindOf(err) != lonja.Untrusted || !strings.Contains(err.Error(), "it is another file") {
		t.Errorf("got %v, want why it was dropped", err)
	}
}

// TestHolderLosesAll: the rest comes from the other one; without one, the error says
// what was tried.
func TestHolderLosesAll(t *testing.T) {
	f := newField(t)
	lib, wanted := f.library(400)
	losing, _ := f.library(400)
	losing.left = 100
	loser := f.holder("eva", losing)
	p := &put{came: make(map[int]string)}
	if _, err := fetchAll(t.Context(), []Holder{loser, f.holder("ana", lib)}, wanted, Options{Put: p.take}); err != nil {
		t.Error(err)
	}
	f.wantAll(p, len(wanted))
	losing.left = 100
	_, err := fetchAll(t.Context(), []Holder{loser}, wanted, Options{Put: func(int, []byte) error { return nil }})
	if !errors.Is(err, lonja.NoSuchFile) {
		t.Errorf("got %v, want kind %v", err, lonja.NoSuchFile)
	}
}

// TestFetchEnds: what Put says ends it, and so does ctx; nobody who listens is no
// holder.
func TestFetchEnds(t *testing.T) {
	f := newField(t)
	lib, wanted := f.library(200)
	ana := f.holder("ana", lib)
	full := lonja.E(lonja.LocalFile, "write", errors.New("the disk is full"))
	if _, err := fetchAll(t.Context(), []Holder{ana}, wanted, Options{Put: func(int, []byte) error { return full }}); !errors.Is(err, full) {
		t.Errorf("got %v, want what Put says", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := fetchAll(ctx, []Holder{ana}, wanted, Options{Put: func(int, []byte) error { cancel(); return nil }})
	if err != nil && !errors.Is(err, lonja.Canceled) {
		t.Errorf("got %v, want kind %v", err, lonja.Canceled)
	}
	away := Holder{User: "eva", Dial: func(context.Context) (net.Conn, error) {
		return nil, lonja.E(lonja.Unavailable, "", errors.New("nobody listens"))
	}}
	quick := Options{Put: func(int, []byte) error { return nil }, LeastPause: time.Millisecond, MostPause: time.Millisecond}
	if _, err := fetchAll(t.Context(), []Holder{away}, wanted, quick); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got %v, want kind %v", err, lonja.Unavailable)
	}
	if _, err := fetchAll(t.Context(), []Holder{ana}, []Wanted{{Size: tree.PieceSize + 1}}, quick); !errors.Is(err, lonja.Internal) {
		t.Errorf("got %v for more than a piece", err)
	}
	if _, err := fetchAll(t.Context(), nil, nil, quick); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

// someEntries returns what a holder may have: nil for all.
func someEntries(t *rapid.T, wanted []Wanted) *roaring.Bitmap {
	if len(wanted) == 0 || rapid.Bool().Draw(t, "whole") {
		return nil
	}
	some := roaring.New()
	for range rapid.IntRange(0, 5).Draw(t, "ranges") {
		first := rapid.Uint64Range(0, uint64(wanted[len(wanted)-1].Entry)).Draw(t, "first")
		some.AddRange(first, first+rapid.Uint64Range(1, 100).Draw(t, "length"))
	}
	return some
}

// TestQueue: each is given to one at a time, within bounds, until it is done.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := make([]Wanted, rapid.IntRange(0, 300).Draw(t, "wanted"))
		for i := range wanted {
			wanted[i].Size = rapid.Int64Range(0, tree.PieceSize).Draw(t, "size")
			wanted[i].Entry = uint32(2*i + i/7) // there are directories in between
		}
		q := newQueue(len(wanted), at(wanted))
		q.sharers = rapid.IntRange(0, 8).Draw(t, "sharers")
		if of := rapid.IntRange(0, 5).Draw(t, "of"); of > 0 {
			q.place(rapid.IntRange(0, of-1).Draw(t, "rank"), of)
		}
		held, done := map[int]bool{}, map[int]bool{}
		var out [][]int
		for len(done) < len(wanted) {
			if rapid.Bool().Draw(t, "take") || len(out) == 0 {
				some, free := someEntries(t, wanted), len(wanted)-len(held)-len(done)
				if some != nil {
					free = 0
					for i, w := range wanted {
						if some.Contains(w.Entry) && !held[i] && !done[i] {
							free++
						}
					}
				}
				taken, changed := q.take(some)
				if len(taken) == 0 && (changed == nil || free > 0) {
					t.Fatalf("nothing is given, of %d are %d held, %d done, and %d free for this one", len(wanted), len(held), len(done), free)
				}
				bytes := int64(0)
				for _, i := range taken {
					if held[i] || done[i] {
						t.Fatalf("%d is given twice", i)
					}
					if some != nil && !some.Contains(wanted[i].Entry) {
						t.Fatalf("%d is given to a holder that lacks it", i)
					}
					held[i] = true
					bytes += wanted[i].Size
				}
				if len(taken) > mostAsked || len(taken) > 1 && bytes > mostAskedBytes {
					t.Fatalf("%d of %d bytes at a time", len(taken), bytes)
				}
				if len(taken) > 0 {
					out = append(out, taken)
				}
				continue
			}
			taken := out[0]
			out = out[1:]
			some := rapid.IntRange(0, len(taken)).Draw(t, "come")
			for _, i := range taken {
				delete(held, i)
			}
			for _, i := range taken[:some] {
				done[i] = true
				q.done()
			}
			q.giveBack(taken[some:])
		}
		if taken, changed := q.take(nil); len(taken) > 0 || changed != nil {
			t.Fatalf("%v is given when all is done", taken)
		}
	})
}
