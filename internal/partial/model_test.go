package partial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A target's name holds what was committed last, or what others wrote since,
// whatever happens to partial files meanwhile; and nothing else is ever seen.
func TestTargetAgainstModel(t *testing.T) {
	parent := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(parent, "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := &model{target: filepath.Join(dir, "target"), dir: dir, pending: map[*File][]byte{}}
		defer m.abortAll()
		rt.Repeat(map[string]func(*rapid.T){
			"create": m.create, "write": m.write, "commit": m.commit, "abort": m.abort,
			"overwrite": m.overwrite, "remove": m.remove, "": m.check,
		})
	})
}

type model struct {
	dir, target string
	exists      bool
	content     string
	pending     map[*File][]byte
	order       []*File // the keys of pending, oldest first
}

func (m *model) create(t *rapid.T) {
	f, err := Create(m.target, Options{testOnlyHidden: rapid.Bool().Draw(t, "hidden")})
	if err != nil {
		t.Fatal(err)
	}
	m.pending[f] = nil
	m.order = append(m.order, f)
}

func (m *model) pick(t *rapid.T) *File {
	if len(m.order) == 0 {
		t.Skip("nothing pending")
	}
	return rapid.SampledFrom(m.order).Draw(t, "file")
}

func (m *model) write(t *rapid.T) {
	f := m.pick(t)
	data := rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "data")
	offset := rapid.IntRange(0, 100).Draw(t, "offset")
	h, err := f.Handle(int64(offset))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.Write(data); err != nil {
		t.Fatal(err)
	}
	grown := m.pending[f]
	if missing := offset + len(data) - len(grown); missing > 0 {
		grown = append(grown, make([]byte, missing)...)
	}
	copy(grown[offset:], data)
	m.pending[f] = grown
}

func (m *model) commit(t *rapid.T) {
	f := m.pick(t)
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	m.exists, m.content = true, string(m.pending[f])
	m.forget(f)
}

func (m *model) abort(t *rapid.T) {
	f := m.pick(t)
	f.Abort()
	m.forget(f)
}

func (m *model) overwrite(t *rapid.T) {
	m.exists, m.content = true, rapid.String().Draw(t, "content")
	if err := os.WriteFile(m.target, []byte(m.content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m *model) remove(t *rapid.T) {
	if !m.exists {
		t.Skip("no target")
	}
	m.exists = false
	if err := os.Remove(m.target); err != nil {
		t.Fatal(err)
	}
}

func (m *model) check(t *rapid.T) {
	got, err := os.ReadFile(m.target)
	if m.exists && (err != nil || string(got) != m.content) {
		t.Fatalf("target holds %q (%v), want %q", got, err, m.content)
	}
	if !m.exists && !os.IsNotExist(err) {
		t.Fatalf("target holds %q (%v), want none", got, err)
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	hidden := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".target.lonja-") {
			hidden++
		} else if e.Name() != "target" {
			t.Fatalf("unexpected %q", e.Name())
		}
	}
	if hidden > len(m.pending) {
		t.Fatalf("%d hidden files for %d pending ones", hidden, len(m.pending))
	}
}

func (m *model) forget(f *File) {
	delete(m.pending, f)
	for i, other := range m.order {
		if other == f {
			m.order = append(m.order[:i], m.order[i+1:]...)
			return
		}
	}
}

func (m *model) abortAll() {
	for f := range m.pending {
		f.Abort()
	}
}
