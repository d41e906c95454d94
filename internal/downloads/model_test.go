package downloads

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lonja"
)

// TestAgainstModel: whatever is done to a list, by whomever, and whoever is killed
// meanwhile, it says what a simple model says.
func TestAgainstModel(t *testing.T) {
	parent := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(parent, "")
		must(rt, err)
		defer os.RemoveAll(dir)
		m := &model{dir: dir, list: New(filepath.Join(dir, "list")), all: make(map[string]*modelled)}
		defer m.killAll()
		rt.Repeat(map[string]func(*rapid.T){
			"add": m.add, "begin": m.begin, "claim": m.claim, "end": m.end, "kill": m.kill, "pause": m.pause, "resume": m.resume,
			"cancel": m.cancel, "priority": m.priority, "clear": m.clear, "": m.check,
		})
	})
}

type modelled struct {
	Download
	active *Active // nil while nobody fetches it
	parts  bool    // something has come of it
}

type model struct {
	dir  string
	list *List
	all  map[string]*modelled
}

// drawn returns what is to be fetched: few contents to few targets.
func (m *model) drawn(t *rapid.T) Download {
	d := one(m.dir, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "target"))
	d.File[0] = byte(rapid.IntRange(1, 2).Draw(t, "content"))
	d.Priority = rapid.IntRange(0, 2).Draw(t, "priority")
	return d
}

// takes returns the error for adding d, and what it takes up.
func (m *model) takes(d Download) (*modelled, bool) {
	for _, o := range m.all {
		if o.Target == d.Target {
			return o, o.State != Running && (o.is(Done) || o.File == d.File || o.is(Failed) && !o.parts)
		}
	}
	return nil, true
}

func (m *model) added(t *rapid.T, want, d Download, err error, state State) *modelled {
	known, may := m.takes(want)
	if !may {
		if !errors.Is(err, lonja.Conflict) {
			t.Fatalf("got %v, want a conflict with %+v", err, known)
		}
		return nil
	}
	must(t, err)
	if known == nil {
		known = &modelled{}
		m.all[d.ID] = known
	} else {
		if d.ID != known.ID {
			t.Fatalf("got %s, want %s", d.ID, known.ID)
		}
		if want.Priority == 0 {
			want.Priority = known.Priority
		}
	}
	want.ID, want.State = d.ID, state
	known.Download = want
	return known
}

func (m *model) add(t *rapid.T) {
	want := m.drawn(t)
	d, err := m.list.Add(want)
	m.added(t, want, d, err, Queued)
}

func (m *model) begin(t *rapid.T) {
	want := m.drawn(t)
	r, err := m.list.Begin(t.Context(), want)
	d := Download{}
	if err == nil {
		d = r.Download
	}
	if known := m.added(t, want, d, err, Running); known != nil {
		m.run(t, known, r)
	}
}

func (m *model) run(t *rapid.T, known *modelled, r *Active) {
	known.State, known.active = Running, r
	if rapid.Bool().Draw(t, "something comes") {
		part(t, r.Download)
		known.parts = true
	}
}

func (m *model) draw(t *rapid.T, which func(*modelled) bool) *modelled {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(m.all)) {
		if which(m.all[id]) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		t.Skip("there is none")
	}
	return m.all[rapid.SampledFrom(ids).Draw(t, "download")]
}

func any1(*modelled) bool           { return true }
func fetched(d *modelled) bool      { return d.State == Running }
func (d *modelled) is(s State) bool { return d.State == s }

func (m *model) claim(t *rapid.T) {
	d := m.draw(t, any1)
	r, err := m.list.Claim(t.Context(), d.ID, Queued, Interrupted)
	if may := d.is(Queued) || d.is(Interrupted); !may {
		if !errors.Is(err, lonja.Conflict) {
			t.Fatalf("%s: got %v", d.State, err)
		}
		return
	}
	must(t, err)
	m.run(t, d, r)
}

func (m *model) end(t *rapid.T) {
	d := m.draw(t, fetched)
	o := Outcome{
		State: rapid.SampledFrom([]State{Queued, Paused, Failed, Done}).Draw(t, "state"),
		Again: time.Now().Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "when")) * time.Hour),
	}
	state, err := d.active.End(o)
	must(t, err)
	if state != o.State {
		t.Fatalf("got %s, want %s", state, o.State)
	}
	if o.State == Done { // its parts are the target now
		must(t, os.RemoveAll(m.partsOf(d)))
		d.parts = false
	}
	d.State, d.active = o.State, nil
}

func (m *model) partsOf(d *modelled) string {
	return filepath.Join(m.dir, "."+filepath.Base(d.Target)+".lonja-part")
}

// kill ends the process that fetches one.
func (m *model) kill(t *rapid.T) {
	d := m.draw(t, fetched)
	d.active.crash()
	d.State, d.active = Interrupted, nil
}

func (m *model) killAll() {
	for _, d := range m.all {
		if d.active != nil {
			d.active.crash()
		}
	}
}

// told has whoever fetches one stop when it is told to.
func (d *modelled) told(t *rapid.T) (wait func()) {
	r := d.active
	if r == nil {
		return func() {}
	}
	ended := make(chan error, 1)
	go func() {
		<-r.Context().Done()
		_, err := r.End(Outcome{State: Failed})
		ended <- err
	}()
	d.active = nil
	return func() { must(t, <-ended) }
}

func (m *model) pause(t *rapid.T) {
	d := m.draw(t, any1)
	wait := d.told(t)
	err := m.list.Pause(d.ID)
	wait()
	if d.is(Done) {
		if !errors.Is(err, lonja.Conflict) {
			t.Fatalf("got %v", err)
		}
		return
	}
	must(t, err)
	d.State = Paused
}

func (m *model) resume(t *rapid.T) {
	d := m.draw(t, any1)
	err := m.list.Resume(d.ID)
	switch {
	case d.is(Done):
		if !errors.Is(err, lonja.Conflict) {
			t.Fatalf("got %v", err)
		}
	case d.is(Running):
		must(t, err)
	default:
		must(t, err)
		d.State = Queued
	}
}

func (m *model) cancel(t *rapid.T) {
	d := m.draw(t, any1)
	wait := d.told(t)
	must(t, m.list.Cancel(d.ID))
	wait()
	m.gone(t, d)
}

func (m *model) gone(t *rapid.T, d *modelled) {
	delete(m.all, d.ID)
	if _, err := os.Lstat(m.partsOf(d)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("what had come of %+v: %v", d, err)
	}
}

func (m *model) priority(t *rapid.T) {
	d := m.draw(t, any1)
	d.Priority = rapid.IntRange(-2, 2).Draw(t, "priority")
	must(t, m.list.SetPriority(d.ID, d.Priority))
}

func (m *model) clear(t *rapid.T) {
	cleared, err := m.list.Clear()
	must(t, err)
	for _, d := range cleared {
		if known := m.all[d.ID]; known == nil || !known.is(Done) && !known.is(Failed) {
			t.Fatalf("cleared %+v", d)
		}
		m.gone(t, m.all[d.ID])
	}
	for _, d := range m.all {
		if d.is(Done) || d.is(Failed) {
			t.Fatalf("not cleared: %+v", d)
		}
	}
}

func (m *model) check(t *rapid.T) {
	all, err := m.list.All()
	must(t, err)
	if len(all) != len(m.all) {
		t.Fatalf("got %d, want %d", len(all), len(m.all))
	}
	for _, d := range all {
		known := m.all[d.ID]
		if known == nil || d.State != known.State || d.Priority != known.Priority || d.Target != known.Target || d.File != known.File {
			t.Fatalf("got %+v, want %+v", d, known)
		}
		_, there, err := m.list.StatusOf(d.ID)
		if err != nil || there != known.is(Running) {
			t.Fatalf("%s: somebody answers: %v, %v", d.State, there, err)
		}
		for _, next := range Next(all, time.Now(), 10) {
			if s := m.all[next.ID].State; s != Queued && s != Interrupted {
				t.Fatalf("%s is due", s)
			}
		}
	}
}
