package downloads

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/private"
	"lonja/internal/unfinished"
)

// failer is a test, or a check of one.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// one returns a download to a target in dir.
func one(dir, base string) Download {
	return Download{
		File: lonja.FileID{1, 2, 3}, Name: lonja.FileName(base), Size: 5 << 20, Directory: "market.example", Site: "market.example:4444",
		User: "luis", Target: filepath.Join(dir, base),
	}
}

// part makes what is there of a download that has begun.
func part(t failer, d Download) {
	t.Helper()
	f, err := unfinished.Open(d.Target, unfinished.Options{ID: d.File, Size: d.Size})
	must(t, err)
	must(t, f.Close())
}

// crash is the end of a process that is killed.
func (r *Active) crash() {
	_ = r.control.listener.Close() // the socket stays, and nobody answers
	_ = r.lock.Close()
	r.control.close(nil)
	r.stop(nil)
}

func wantState(t *testing.T, l *List, id string, want State) Download {
	t.Helper()
	d, err := l.Find(id)
	if err != nil || d.State != want {
		t.Errorf("%s: got %q, %v; want %q", id, d.State, err, want)
	}
	return d
}

func TestNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	l := New(path)
	if all, err := l.All(); len(all) != 0 || err != nil {
		t.Errorf("got %v, %v", all, err)
	}
	if cleared, err := l.Clear(); len(cleared) != 0 || err != nil {
		t.Errorf("got %v, %v", cleared, err)
	}
	if _, err := l.Find("ab"); !errors.Is(err, lonja.Invalid) || !strings.Contains(err.Error(), "lonja downloads") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("to look has made it: %v", err)
	}
}

// TestPrivate: nobody else sees what somebody fetches, nor gets at the socket.
func TestPrivate(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "list"))
	r, err := l.Begin(t.Context(), one(t.TempDir(), "film"))
	must(t, err)
	defer r.End(Outcome{State: Failed})
	for name, want := range map[string]fs.FileMode{"": 0o700, recordName: 0o600, lockName: 0o600, socketName: 0o600} {
		if info, err := os.Lstat(filepath.Join(l.dir(r.ID), name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: got %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

// TestPauseWaits: pausing what another part fetches returns when it has ended, also
// where the path of the socket is too long for one.
func TestPauseWaits(t *testing.T) {
	for name, path := range map[string]string{"short": "l", "long": strings.Repeat("long/", 40)} {
		t.Run(name, func(t *testing.T) {
			l := New(filepath.Join(t.TempDir(), path))
			r, err := l.Begin(t.Context(), one(t.TempDir(), "film"))
			must(t, err)
			r.Tell(func() Status { return Status{Received: 7, Size: 9, Holders: []Holder{{User: "ana", Place: 3}}} })
			if s, there, err := l.StatusOf(r.ID); err != nil || !there || s.Received != 7 || s.Holders[0].Place != 3 {
				t.Errorf("got %+v, %v, %v", s, there, err)
			}
			wantState(t, l, r.ID, Running)
			if _, err := l.Claim(t.Context(), r.ID, Queued, Interrupted); !errors.Is(err, lonja.Conflict) {
				t.Errorf("claimed twice: %v", err)
			}
			if _, err := l.Add(r.Download); !errors.Is(err, lonja.Conflict) || !strings.Contains(err.Error(), "lonja why "+r.ID) {
				t.Errorf("added again: %v", err)
			}
			ended := make(chan error, 1)
			go func() {
				<-r.Context().Done()
				if !errors.Is(context.Cause(r.Context()), ErrPaused) {
					t.Errorf("it ended because %v", context.Cause(r.Context()))
				}
				_, err := r.End(Outcome{State: Queued, Received: 8})
				ended <- err
			}()
			must(t, l.Pause(r.ID))
			if d := wantState(t, l, r.ID, Paused); d.Received != 8 {
				t.Errorf("got %+v", d)
			}
			must(t, <-ended)
			if _, there, err := l.StatusOf(r.ID); there || err != nil {
				t.Errorf("still answered: %v, %v", there, err)
			}
			must(t, l.Pause(r.ID)) // again
			must(t, l.Resume(r.ID))
			wantState(t, l, r.ID, Queued)
		})
	}
}

// TestCancel: nothing is left, neither of one that is fetched nor of one that waits;
// what is done stays.
func TestCancel(t *testing.T) {
	dir := t.TempDir()
	l := New(filepath.Join(t.TempDir(), "list"))
	waiting, err := l.Add(one(dir, "waiting"))
	must(t, err)
	part(t, waiting)
	must(t, l.Cancel(waiting.ID))

	r, err := l.Begin(t.Context(), one(dir, "fetched"))
	must(t, err)
	part(t, r.Download)
	go func() {
		<-r.Context().Done()
		if state, err := r.End(Outcome{State: Queued}); state != "" || err != nil {
			t.Errorf("got %q, %v", state, err)
		}
	}()
	must(t, l.Cancel(r.ID))

	done, err := l.Begin(t.Context(), one(dir, "done"))
	must(t, err)
	must(t, os.WriteFile(done.Target, nil, 0o600))
	if state, err := done.End(Outcome{State: Done}); state != Done || err != nil {
		t.Errorf("got %q, %v", state, err)
	}
	if err := l.Pause(done.ID); !errors.Is(err, lonja.Conflict) {
		t.Errorf("paused what is done: %v", err)
	}
	if err := l.Resume(done.ID); !errors.Is(err, lonja.Conflict) {
		t.Errorf("resumed what is done: %v", err)
	}
	must(t, l.Cancel(done.ID))
	if err := l.Cancel(done.ID); !errors.Is(err, lonja.Invalid) {
		t.Errorf("twice: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "done" {
		t.Errorf("left are %v, %v", left, err)
	}
	if all, err := l.All(); len(all) != 0 || err != nil {
		t.Errorf("got %v, %v", all, err)
	}
}

// TestDamaged: a record that is not one is told, and the others are as they were.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	l := New(filepath.Join(t.TempDir(), "list"))
	good, err := l.Add(one(dir, "good"))
	must(t, err)
	bad, err := l.Add(one(dir, "bad"))
	must(t, err)
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "{", "another's": string(must1(t, &good)), "of the future": `{"version":2}`,
		"no target": strings.ReplaceAll(string(must1(t, &bad)), dir, "x"), "long": strings.Repeat(" ", maxRecord+1),
	} {
		must(t, os.WriteFile(filepath.Join(l.dir(bad.ID), recordName), []byte(text), 0o600))
		if d := wantState(t, l, bad.ID, Damaged); !strings.Contains(d.Error, recordName) {
			t.Errorf("%s: got %+v", name, d)
		}
		wantState(t, l, good.ID, Queued)
		for does, err := range map[string]error{"pause": l.Pause(bad.ID), "resume": l.Resume(bad.ID), "priority": l.SetPriority(bad.ID, 1)} {
			if !errors.Is(err, lonja.Damaged) {
				t.Errorf("%s, %s: got %v", name, does, err)
			}
		}
	}
	if _, err := l.Claim(t.Context(), bad.ID, Queued); !errors.Is(err, lonja.Conflict) {
		t.Errorf("claimed: %v", err)
	}
	must(t, l.Cancel(bad.ID))
	if all, err := l.All(); len(all) != 1 || err != nil {
		t.Errorf("got %v, %v", all, err)
	}
}

func must1(t *testing.T, d *Download) []byte {
	t.Helper()
	b, err := d.marshal()
	must(t, err)
	return b
}

// TestKilledWhileAdding: what a crash leaves before there is a record, or after there
// was one, is no download, and goes.
func TestKilledWhileAdding(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "list"))
	for _, id := range []string{"aaaaaa", "bbbbbb"} {
		dir, err := private.Lock(l.dir(id), private.Hidden)
		must(t, err)
		must(t, dir.Close())
	}
	must(t, os.WriteFile(filepath.Join(l.dir("bbbbbb"), recordName+".new"), []byte("{"), 0o600))
	must(t, os.Chmod(l.path, 0o700))
	if all, err := l.All(); len(all) != 0 || err != nil {
		t.Errorf("got %v, %v", all, err)
	}
	_, err := l.Add(one(t.TempDir(), "film"))
	must(t, err)
	if left, err := os.ReadDir(l.path); len(left) != 1 || err != nil {
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestBounds: what is done for long is forgotten; what is not, is not.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	l := New(filepath.Join(dir, "list"))
	must(t, l.locked(func() error {
		for i := range MaxDownloads {
			d := one(dir, "open")
			d.ID, d.State, d.Target = idOf(i), Paused, d.Target+idOf(i)
			if i < MaxDone+1 {
				d.State = Done
			}
			b, err := d.marshal()
			must(t, err)
			must(t, os.Mkdir(l.dir(d.ID), 0o700)) // not by put: a thousand are not synced for this
			must(t, os.WriteFile(filepath.Join(l.dir(d.ID), recordName), b, 0o600))
		}
		return nil
	}))
	_, err := l.Add(one(dir, "new"))
	must(t, err)
	all, err := l.All()
	must(t, err)
	done := 0
	for _, d := range all {
		if d.State == Done {
			done++
		}
	}
	if len(all) != MaxDownloads-1 || done != MaxDone-1 {
		t.Errorf("there are %d, %d of them done", len(all), done)
	}
	cleared, err := l.Clear()
	if err != nil || len(cleared) != done {
		t.Errorf("cleared %d, %v", len(cleared), err)
	}
	for i := range MaxDownloads - (len(all) - done) {
		d := one(dir, "more"+idOf(i))
		d.ID, d.State = idOf(i), Failed
		b, err := d.marshal()
		must(t, err)
		must(t, os.Mkdir(l.dir(d.ID), 0o700))
		must(t, os.WriteFile(filepath.Join(l.dir(d.ID), recordName), b, 0o600))
	}
	if _, err := l.Add(one(dir, "too many")); !errors.Is(err, lonja.Limited) || !strings.Contains(err.Error(), "downloads clear") {
		t.Errorf("got %v", err)
	}
}

// idOf returns the id of that number.
func idOf(i int) string {
	b := []byte(strings.Repeat(idCharacters[:1], idLength))
	for at := idLength - 1; i > 0; at-- {
		b[at] = idCharacters[i%len(idCharacters)]
		i /= len(idCharacters)
	}
	return string(b)
}
