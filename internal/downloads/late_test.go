package downloads

import (
	"errors"
	"path/filepath"
	"testing"

	"lonja"
	"lonja/internal/private"
)

// TestPauseWhileItEnds: what comes of a download is not written down yet, so a pause
// is heard.
func TestPauseWhileItEnds(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "list"))
	r, err := l.Begin(t.Context(), one(t.TempDir(), "film"))
	must(t, err)
	list, err := private.Lock(l.path, private.Hidden) // somebody looks at it: End waits
	must(t, err)
	ended := make(chan State)
	go func() {
		state, _ := r.End(Outcome{State: Queued, Err: lonja.E(lonja.Unavailable, "", errors.New("nobody has it"))})
		ended <- state
	}()
	paused := make(chan error)
	go func() {
		_, err := ask(l.dir(r.ID), wordPause)
		paused <- err
	}()
	<-r.Context().Done()
	must(t, list.Close())
	state, err := <-ended, <-paused
	if d, _ := l.Find(r.ID); state != Paused || d.State != Paused || err != nil {
		t.Errorf("it ends as %s, the list says %s, pause says %v", state, d.State, err)
	}
}

// TestPauseTooLate is not told as done: whoever asks looks at the list again.
func TestPauseTooLate(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "list"))
	r, err := l.Begin(t.Context(), one(t.TempDir(), "film"))
	must(t, err)
	if _, err := r.End(Outcome{State: Queued}); err != nil {
		t.Fatal(err)
	}
	if a := r.control.do(wordPause); !a.Late || a.Error != "" {
		t.Errorf("got %+v", a)
	}
}
