package folderfetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/fileapi"
	"lonja/internal/fileserver"
)

// theFolder is the id of the folder that is fetched.
var theFolder = lonja.FileID{0xf0}

// A fetcher is a holder that has some of the entries, as it says.
type fetcher struct {
	*files
	wanted []Wanted

	mu    sync.Mutex
	told  *roaring.Bitmap
	looks int
	grow  func(looks int, told *roaring.Bitmap) // before each answer
}

// entriesOnly is the list of a folder of which some is there.
type entriesOnly struct {
	fileserver.Content
	told *roaring.Bitmap
}

func (e entriesOnly) Entries() *roaring.Bitmap { return e.told }

func (f *fetcher) OpenContent(ctx context.Context, id lonja.FileID, m lonja.Member) (fileserver.Content, error) {
	if id != theFolder {
		return f.files.OpenContent(ctx, id, m)
	}
	list, err := f.files.OpenContent(ctx, f.wanted[0].ID, m)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	f.grow(f.looks, f.told)
	return entriesOnly{list, f.told.Clone()}, err
}

// fetching returns a holder that says to have what grow puts into told.
func (f *field) fetching(user lonja.UserName, lib *files, wanted []Wanted, grow func(looks int, told *roaring.Bitmap)) Holder {
	h := f.holder(user, &fetcher{files: lib, wanted: wanted, told: roaring.New(), grow: grow})
	h.Partial = true
	return h
}

func partly(o Options, entries int) Options {
	o.Folder, o.Entries, o.LeastPause = theFolder, int64(entries), time.Millisecond
	return o
}

// TestFetchers: two who are fetching it too, of whom each has a half, one of them more
// and more of it, are asked for what they have, and for nothing else.
func TestFetchers(t *testing.T) {
	f := newField(t)
	const n = 400
	even, wanted := f.library(n)
	odd, _ := f.library(n)
	p := &put{came: make(map[int]string)}
	from, err := fetchAll(t.Context(), []Holder{
		f.fetching("ana", even, wanted, func(_ int, told *roaring.Bitmap) {
			for i := uint32(0); i < n; i += 2 {
				told.Add(i)
			}
		}),
		f.fetching("eva", odd, wanted, func(looks int, told *roaring.Bitmap) {
			for i := uint32(1); i < min(n, uint32(looks)*n/2); i += 2 {
				told.Add(i)
			}
		}),
	}, wanted, partly(Options{Put: p.take}, n))
	if err != nil || len(from) != 2 {
		t.Errorf("got %v, %v", from, err)
	}
	f.wantAll(p, n)
	for i, w := range wanted[1:] { // the first stands for the list
		lib, other := odd, even
		if i%2 != 0 {
			lib, other = even, odd
		}
		if lib.asked[w.ID] != 1 || other.asked[w.ID] != 0 {
			t.Fatalf("entry %d: asked for %d times who has it, and %d who has not", i+1, lib.asked[w.ID], other.asked[w.ID])
		}
	}
}

// TestFetcherThatLacksOne: who does not have what it said is asked for all the rest
// over the same connection.
func TestFetcherThatLacksOne(t *testing.T) {
	f := newField(t)
	const n = 300
	whole, wanted := f.library(n)
	lacking, _ := f.library(1)
	for _, w := range wanted[1:] {
		if w.Entry%3 != 0 {
			copyTo(t, whole.path(w.ID), lacking.path(w.ID))
		}
	}
	dials := make(chan struct{}, 1000)
	eva := f.fetching("eva", lacking, wanted, func(_ int, told *roaring.Bitmap) { told.AddRange(0, n) })
	dial := eva.Dial
	eva.Dial = func(ctx context.Context) (net.Conn, error) {
		dials <- struct{}{}
		return dial(ctx)
	}
	p := &put{came: make(map[int]string)}
	fetch, err := New(len(wanted), at(wanted), partly(Options{Put: p.take, ConnsEach: 1}, n))
	if err != nil {
		t.Fatal(err)
	}
	fetch.Join(eva)
	fetch.Expect() // somebody who has all comes later
	done := make(chan error, 1)
	go func() { done <- fetch.Run(t.Context()) }()
	soon(t, "eva has sent what she has", func() bool { return fetch.Holders()[0].Files == n-n/3+1 }) // the first too, which stands for the list
	fetch.Join(f.holder("ana", whole))
	if err := <-done; err != nil {
		t.Error(err)
	}
	f.wantAll(p, n)
	if len(dials) != 1 {
		t.Errorf("eva was connected with %d times", len(dials))
	}
}

// TestTurns: who serves one at a time tells another one its place, which waits, and has
// all in the end.
func TestTurns(t *testing.T) {
	f := newField(t)
	lib, wanted := f.library(300)
	long := lonja.FileID{9}
	if err := os.WriteFile(lib.path(long), make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	busy, as := f.holderWith("ana", fileserver.Options{Files: lib, Uploads: fairshare.Options{Slots: 1, TurnTime: time.Hour, TurnBytes: 1 << 40, Linger: time.Millisecond}})
	conn, err := as("you").Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: peer\r\n\r\n", fileapi.Path(long)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // and no more of it
		t.Fatal(err)
	}
	p := &put{came: make(map[int]string)}
	fetch, err := New(len(wanted), at(wanted), Options{Folder: wanted[0].ID, LeastPause: time.Millisecond, Put: p.take})
	if err != nil {
		t.Fatal(err)
	}
	fetch.Join(busy)
	done := make(chan error, 1)
	go func() { done <- fetch.Run(t.Context()) }()
	soon(t, "it has a place in the queue", func() bool { return fetch.Holders()[0].Place == 1 })
	// One who has no patience is told why nothing comes.
	_, err = fetchAll(t.Context(), []Holder{busy}, wanted, Options{Folder: wanted[0].ID, LeastPause: time.Millisecond, StallTimeout: 2 * time.Second, QueuePatience: time.Millisecond, Put: p.take})
	if !errors.Is(err, lonja.Limited) || !strings.Contains(err.Error(), "place 1 in its queue") {
		t.Errorf("got %v", err)
	}
	_ = conn.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	f.wantAll(p, len(wanted))
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
