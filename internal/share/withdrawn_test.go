package share

import (
	"path/filepath"
	"slices"
	"testing"

	"lonja"
)

// TestWithdrawn: it is served no more, and remembered until the directory knows or
// it is published again.
func TestWithdrawn(t *testing.T) {
	dir, state := realTempDir(t), realTempDir(t)
	path := write(t, filepath.Join(dir, "f"), "content")
	kept, memory := openSet(t, state, ana), New()
	for _, s := range []*Set{kept, memory} {
		offer(t, s, path, "one", 1)
		two := offer(t, s, path, "two", 2)
		offer(t, s, path, "three", 3)
		must(t, s.Withdraw("one"))
		must(t, s.Withdraw("three"))
		must(t, s.Withdraw("three"))
		want := lonja.ContentDigest{}
		want.Add(two.Proof.Signature)
		if got := s.Digest(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	for _, s := range []*Set{kept, memory, openSet(t, state, ana)} {
		wantNames(t, s, "two")
		wantWithdrawn(t, s, "one", "three")
		if got := opens(t, s, 1, "luis"); got != "nothing" {
			t.Errorf("got %q", got)
		}
		if _, there := s.PathOf("one"); there || s.Contains("one") {
			t.Error("it is there still")
		}
		if got := s.NamesOf(path); !slices.Equal(got, []lonja.FileName{"two"}) {
			t.Errorf("names of the path: %q", got)
		}
	}
	other := openSet(t, state, ana)
	must(t, other.Remove("one"))
	offer(t, other, path, "three", 3)
	for _, s := range []*Set{kept, other, openSet(t, state, ana)} {
		wantNames(t, s, "three", "two")
		wantWithdrawn(t, s)
		if got := opens(t, s, 3, "luis"); got != "content" {
			t.Errorf("got %q", got)
		}
	}
}

func wantWithdrawn(t *testing.T, s *Set, want ...lonja.FileName) {
	t.Helper()
	if got := s.Withdrawn(); !slices.Equal(got, want) {
		t.Errorf("withdrawn: got %q, want %q", got, want)
	}
	for _, name := range want {
		if !s.IsWithdrawn(name) {
			t.Errorf("%s is not withdrawn", name)
		}
	}
}
