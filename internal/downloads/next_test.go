package downloads

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lonja"
)

func TestNext(t *testing.T) {
	now := time.Unix(1000, 0)
	d := func(id string, s State, priority int, added int64, again time.Duration) Download {
		e := Download{ID: id, State: s, Priority: priority, Added: time.Unix(added, 0)}
		if again != 0 {
			e.Again = now.Add(again)
		}
		return e
	}
	all := []Download{
		d("later", Queued, 9, 1, time.Second), d("paused", Paused, 9, 1, 0), d("running", Running, 9, 1, 0), d("done", Done, 9, 1, 0),
		d("failed", Failed, 9, 1, 0), d("damaged", Damaged, 9, 1, 0),
		d("low", Queued, -1, 1, 0), d("second", Queued, 0, 5, 0), d("first", Queued, 0, 4, -time.Second), d("high", Interrupted, 3, 9, time.Hour),
	}
	for places, want := range map[int]string{-1: "", 0: "", 1: "high", 2: "high first", 4: "high first second low", 9: "high first second low"} {
		var got []string
		for _, e := range Next(all, now, places) {
			got = append(got, e.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d places: got %v, want %s", places, got, want)
		}
	}
	if all[0].ID != "later" {
		t.Error("the list was changed")
	}
}

// TestPassing: each kind is one or the other, and a full disk passes.
func TestPassing(t *testing.T) {
	passing := map[lonja.Kind]bool{
		lonja.Unavailable: true, lonja.NoHolder: true, lonja.NoSuchOwner: true, lonja.NoSuchFile: true, lonja.Conflict: true, lonja.Limited: true,
		lonja.AlreadyConnected: true, lonja.NotConnected: true,
	}
	for _, kind := range lonja.Kinds() {
		if got := Passing(fmt.Errorf("x: %w", lonja.E(kind, "fetch", nil))); got != passing[kind] {
			t.Errorf("%v: got %v", kind, got)
		}
	}
	if !Passing(lonja.E(lonja.LocalFile, "write", &os.PathError{Err: syscall.ENOSPC})) || Passing(lonja.E(lonja.LocalFile, "write", os.ErrPermission)) {
		t.Error("a full disk passes, a missing right does not")
	}
}

func TestBackoff(t *testing.T) {
	for tries, want := range map[int]time.Duration{0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 5: time.Minute, 1 << 30: time.Minute} {
		if got := (Backoff{}).After(tries); got != want {
			t.Errorf("after %d: got %v, want %v", tries, got, want)
		}
	}
	if got := (Backoff{Least: time.Hour, Most: time.Second}).After(1); got != time.Second {
		t.Errorf("got %v", got)
	}
}

func TestLeft(t *testing.T) {
	for s, want := range map[*Status]string{
		{Size: 100, Received: 50, Speed: 10}: "5s true", {Size: 100, Received: 50}: "0s false", {Size: 1, Received: 1}: "0s true",
		{Size: 1 << 62, Speed: 1}: "1000h0m0s true", {Size: 1, Received: 2, Speed: 1}: "0s true",
	} {
		left, known := s.Left()
		if got := fmt.Sprint(left, known); got != want {
			t.Errorf("%+v: got %s, want %s", s, got, want)
		}
	}
}

// A station stands for what fetches: each download begins when it is asked, and ends
// when the test says how.
type station struct {
	began chan *Active
	ends  map[string]chan error
	mu    sync.Mutex
	now   int
	most  int
}

func (s *station) fetch(r *Active) (int64, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	select {
	case s.began <- r:
	case <-r.Context().Done(): // it was begun as all ended
		return 1, lonja.E(lonja.Canceled, "fetch", r.Context().Err())
	}
	select {
	case err := <-s.ends[filepath.Base(r.Target)]:
		return 1, err
	case <-r.Context().Done():
		return 1, lonja.E(lonja.Canceled, "fetch", r.Context().Err())
	}
}

// TestWork: what is queued is fetched by priority, so many at once; what fails for a
// passing reason is tried again, what does not is not; who is stopped leaves the
// rest for the next.
func TestWork(t *testing.T) {
	dir := t.TempDir()
	l := New(filepath.Join(dir, "list"))
	s := &station{began: make(chan *Active), ends: make(map[string]chan error)}
	for i, base := range []string{"low", "middle", "high", "other's", "interrupted"} {
		d := one(dir, base)
		d.Priority = i
		if base == "other's" {
			d.User = "eva"
		}
		s.ends[base] = make(chan error)
		if base == "interrupted" {
			r, err := l.Begin(t.Context(), d)
			must(t, err)
			r.crash()
			continue
		}
		_, err := l.Add(d)
		must(t, err)
	}
	ended := make(chan string, 10)
	working := make(chan error, 1)
	o := WorkOptions{
		Most: 2, Look: 2 * time.Millisecond, Backoff: Backoff{Least: time.Millisecond}, Fetch: s.fetch, UntilEmpty: true,
		Mine:  func(d Download) bool { return d.User == "luis" },
		Ended: func(d Download, state State, err error) { ended <- filepath.Base(d.Target) + " " + string(state) },
	}
	go func() { working <- l.Work(t.Context(), o) }()
	next := func(want string) *Active {
		t.Helper()
		r := <-s.began
		if got := filepath.Base(r.Target); got != want {
			t.Errorf("begun is %s, want %s", got, want)
		}
		return r
	}
	told := func(want string) {
		t.Helper()
		if got := <-ended; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	next("interrupted")
	next("high")
	s.ends["interrupted"] <- nil
	told("interrupted done")
	next("middle")
	s.ends["high"] <- lonja.E(lonja.Unavailable, "fetch", errors.New("nobody there"))
	told("high queued")
	next("high") // again, before what is of lower priority
	s.ends["high"] <- lonja.E(lonja.Untrusted, "fetch", errors.New("all lie"))
	told("high failed")
	low := next("low")
	must(t, l.Pause(low.ID))
	told("low paused")
	s.ends["middle"] <- nil
	told("middle done")
	must(t, <-working)
	if s.most != 2 {
		t.Errorf("%d at once", s.most)
	}
	if d := wantState(t, l, "high", Failed); !strings.Contains(d.Error, "all lie") {
		t.Errorf("got %+v", d)
	}
	wantState(t, l, "other's", Queued)
}

// TestWorkStops: what is being fetched when its process is told to end, is for the
// next one.
func TestWorkStops(t *testing.T) {
	dir := t.TempDir()
	l := New(filepath.Join(dir, "list"))
	d, err := l.Add(one(dir, "film"))
	must(t, err)
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		s := &station{began: make(chan *Active), ends: map[string]chan error{"film": nil}}
		working := make(chan error, 1)
		go func() { working <- l.Work(ctx, WorkOptions{Look: time.Millisecond, Fetch: s.fetch}) }()
		<-s.began
		wantState(t, l, d.ID, Running)
		stop()
		must(t, <-working)
		if d := wantState(t, l, d.ID, Queued); d.Error != "" || !d.Again.IsZero() {
			t.Errorf("got %+v", d)
		}
	}
}

func FuzzRecord(f *testing.F) {
	d := one("/home/luis", "film")
	d.ID, d.State, d.Again = "abcdef", Queued, time.Unix(1, 2)
	b, err := d.marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	d.Target = "/home/\xff"
	b, _ = d.marshal()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parse(b)
		if err != nil {
			return
		}
		again, err := d.marshal()
		if err != nil {
			return // a number of bytes grows in JSON
		}
		same, err := parse(again)
		if err != nil {
			t.Fatalf("%v: %q", err, again)
		}
		third, err := same.marshal()
		if err != nil || !bytes.Equal(again, third) {
			t.Errorf("got %s, %v; want %s", third, err, again)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"status":{"received":1,"holders":[{"user":"ana"}]}}` + "\n"))
	f.Add([]byte(`{"error":"x"}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readAnswer(bytes.NewReader(b))
		if err == nil && a.Status != nil {
			a.Status.Left()
			a.Status.Connected()
		}
	})
}

// FuzzQuestion: whatever is said at the socket, one answer comes, and what was not
// told to stop goes on.
func FuzzQuestion(f *testing.F) {
	f.Add([]byte(`{"do":"status"}`))
	f.Add([]byte(`{"do":"nonsense"}`))
	f.Add([]byte(`{`))
	c := &control{running: &Active{Download: one("/home", "film")}, ended: make(chan struct{})}
	c.running.stop = func(error) {}
	close(c.ended)
	f.Fuzz(func(t *testing.T, b []byte) {
		a := c.heard(b)
		if (a.Status == nil) == (a.Error == "") && !reflect.DeepEqual(a, answer{}) {
			t.Errorf("got %+v", a)
		}
	})
}
