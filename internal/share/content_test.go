package share

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"lonja"
)

// offer publishes content, signed, for audience; it signs with anything, since
// a Set believes its owner.
func offer(t *testing.T, s *Set, path, name string, id byte, audience ...lonja.UserName) lonja.Listing {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	listing := lonja.Listing{
		Name: lonja.FileName(name), Description: "said of it", Size: info.Size(),
		Proof: &lonja.Proof{File: lonja.FileID{id}, Date: 1, Audience: audience, Key: lonja.PublicKey{7}, Signature: lonja.Signature{id, 1}},
	}
	var known []lonja.Member
	for _, user := range audience {
		known = append(known, lonja.Member{User: user, Key: keyOf(user)})
	}
	must(t, s.Offer(path, Offering{listing, info, known}))
	return listing
}

// keyOf returns a key that is the user's in these tests.
func keyOf(user lonja.UserName) (key lonja.PublicKey) {
	if user == ana.User {
		return lonja.PublicKey{7}
	}
	copy(key[:], user)
	return key
}

func opens(t *testing.T, s *Set, id byte, user lonja.UserName) string {
	t.Helper()
	return opensFor(t, s, id, lonja.Member{User: user, Key: keyOf(user)}, nil)
}

// opensFor is opens for somebody with that key, from whom keys follow as told. What
// has changed is "changed".
func opensFor(t *testing.T, s *Set, id byte, member lonja.Member, follow []lonja.PublicKey) string {
	t.Helper()
	f, size, err := s.OpenContent(lonja.FileID{id}, member, func(known []lonja.PublicKey) bool {
		return slices.ContainsFunc(known, func(k lonja.PublicKey) bool { return slices.Contains(follow, k) })
	})
	switch {
	case errors.Is(err, lonja.Conflict):
		return "changed"
	case errors.Is(err, lonja.Limited) && errors.Is(err, ErrTouched):
		return "touched"
	case errors.Is(err, lonja.NoSuchFile):
		return "nothing"
	case err != nil:
		t.Errorf("%v, want one of kind NoSuchFile or Conflict", err)
		return "nothing"
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	if int64(len(b)) != size {
		t.Errorf("%d bytes, told %d", len(b), size)
	}
	return string(b)
}

// TestContentIsForItsAudience: who may not have it learns nothing, in either
// dialect, also after a restart.
func TestContentIsForItsAudience(t *testing.T) {
	dir, state := realTempDir(t), realTempDir(t)
	open, secret := write(t, filepath.Join(dir, "open"), "for all"), write(t, filepath.Join(dir, "secret"), "for luis")
	s := openSet(t, state, ana)
	offer(t, s, open, "poems/one.txt", 1)
	offer(t, s, secret, "two.txt", 2, "luis")
	for _, s := range []*Set{s, openSet(t, state, ana)} {
		for _, c := range []struct {
			id   byte
			user lonja.UserName
			want string
		}{
			{1, "eve", "for all"},
			{2, "luis", "for luis"},
			{2, "ana", "for luis"},
			{2, "eve", "nothing"},
			{2, "", "nothing"},
			{3, "ana", "nothing"},
		} {
			if got := opens(t, s, c.id, c.user); got != c.want {
				t.Errorf("%s opens %d: got %q, want %q", c.user, c.id, got, c.want)
			}
		}
		wantContent(t, s, "poems/one.txt", "for all")
		wantNoSuchFile(t, s, "two.txt")
	}
}

// TestKeysOfTheAudience: a name is nothing without one of the keys that were known,
// or one that follows from them.
func TestKeysOfTheAudience(t *testing.T) {
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "secret"), "for luis")
	s := openSet(t, state, ana)
	offer(t, s, path, "two.txt", 2, "luis", "rosa")
	other := lonja.PublicKey{99}
	for _, s := range []*Set{s, openSet(t, state, ana)} {
		for name, c := range map[string]struct {
			member lonja.Member
			follow []lonja.PublicKey
			want   string
		}{
			"his":                               {lonja.Member{User: "luis", Key: keyOf("luis")}, nil, "for luis"},
			"another":                           {lonja.Member{User: "luis", Key: other}, nil, "nothing"},
			"one that follows":                  {lonja.Member{User: "luis", Key: other}, []lonja.PublicKey{keyOf("luis")}, "for luis"},
			"one that follows from hers":        {lonja.Member{User: "luis", Key: other}, []lonja.PublicKey{keyOf("rosa"), keyOf("ana")}, "nothing"},
			"that of another user":              {lonja.Member{User: "luis", Key: keyOf("rosa")}, nil, "nothing"},
			"the owner's":                       {lonja.Member{User: "ana", Key: keyOf("ana")}, nil, "for luis"},
			"another of the owner":              {lonja.Member{User: "ana", Key: other}, nil, "nothing"},
			"one that follows from the owner's": {lonja.Member{User: "ana", Key: other}, []lonja.PublicKey{keyOf("ana")}, "for luis"},
			"the owner's, as another":           {lonja.Member{User: "eve", Key: keyOf("ana")}, []lonja.PublicKey{keyOf("ana")}, "nothing"},
		} {
			if got := opensFor(t, s, 2, c.member, c.follow); got != c.want {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
	}
}

// TestRecordWithoutKeys: what a program has published that remembered no keys is
// for its owner's key only, until it is published again.
func TestRecordWithoutKeys(t *testing.T) {
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "f"), "content")
	s := openSet(t, state, ana)
	listing := offer(t, s, path, "f", 1, "luis")
	b, err := os.ReadFile(s.store.path())
	must(t, err)
	older := regexp.MustCompile(`,"known":\[[^]]*\]`).ReplaceAll(bytes.Replace(b, []byte(`"version":5`), []byte(`"version":3`), 1), nil)
	if len(older) > len(b)-20 {
		t.Fatalf("no keys in %s", b)
	}
	must(t, os.WriteFile(s.store.path(), older, 0o600))
	s = openSet(t, state, ana)
	any := []lonja.PublicKey{{}, keyOf("luis")}
	if got := opensFor(t, s, 1, lonja.Member{User: "luis", Key: keyOf("luis")}, any); got != "nothing" {
		t.Errorf("luis: got %q", got)
	}
	if got := opens(t, s, 1, "ana"); got != "content" {
		t.Errorf("ana: got %q", got)
	}
	if got := offer(t, s, path, "f", 1, "luis"); got.Name != listing.Name {
		t.Fatal(got)
	}
	if got := opens(t, openSet(t, state, ana), 1, "luis"); got != "content" {
		t.Errorf("luis, when it is published again: got %q", got)
	}
}

// TestChangedContentIsNotOpened: neither a byte more, nor other ones at another time;
// and it is withdrawn then, but for what is not there, which may come back.
func TestChangedContentIsNotOpened(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"longer":   func(path string) error { return os.WriteFile(path, []byte("longer content"), 0o600) },
		"new time": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1e9, 5)) },
		"another": func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, []byte("CONTENT"), 0o600), os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)))
		},
		"gone": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, filepath.Join(realTempDir(t), "f"), "content")
			s := New()
			offer(t, s, path, "f", 1)
			offer(t, s, path, "secret", 1, "rosa")
			other := write(t, filepath.Join(realTempDir(t), "f"), "content")
			if got := opens(t, s, 1, "luis"); got != "content" {
				t.Fatalf("before: %q", got)
			}
			if names, err := s.Recheck(lonja.FileID{1}, nil); len(names) > 0 || err != nil {
				t.Fatalf("before: %q is withdrawn, %v", names, err)
			}
			must(t, change(path))
			want, wantNames := "changed", []lonja.FileName{"f", "secret"}
			if name == "gone" {
				want, wantNames = "nothing", nil
			}
			if got := opens(t, s, 1, "luis"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			offer(t, s, other, "other", 1)
			if got := opens(t, s, 1, "luis"); got != "content" {
				t.Errorf("there is another: got %q", got)
			}
			names, err := s.Recheck(lonja.FileID{1}, nil)
			must(t, err)
			slices.Sort(names)
			if !slices.Equal(names, wantNames) || !slices.Equal(s.Withdrawn(), wantNames) || !s.Contains("other") {
				t.Errorf("withdrawn: %q, of them %q just now; want %q", s.Withdrawn(), names, wantNames)
			}
		})
	}
}

// hashing returns a Hash that says of each file that it has what is in it in the
// place of its id, and counts.
func hashing(t *testing.T, count *int) Hash {
	return func(f *os.File, touched bool) (lonja.FileID, bool) {
		if !touched {
			return lonja.FileID{}, false
		}
		*count++
		b, err := io.ReadAll(f)
		must(t, err)
		return map[string]lonja.FileID{"content": {1}, "CONTENT": {2}}[string(b)], true
	}
}

// TestTouchedContent: a file of the same size and time in the place of the one that was
// published is not opened until it was hashed; then it is withdrawn, or opened as
// before, also by the next run.
func TestTouchedContent(t *testing.T) {
	when := time.Unix(1e9, 0)
	for name, content := range map[string]string{"another": "CONTENT", "a copy": "content"} {
		t.Run(name, func(t *testing.T) {
			dir, state := realTempDir(t), realTempDir(t)
			path := write(t, filepath.Join(dir, "f"), "content")
			must(t, os.Chtimes(path, when, when))
			s := openSet(t, state, ana)
			offer(t, s, path, "f", 1)
			next := write(t, filepath.Join(dir, "next"), content)
			must(t, errors.Join(os.Chtimes(next, when, when), os.Rename(next, path)))
			if got := opens(t, s, 1, "luis"); got != "touched" {
				t.Fatalf("before it was looked at: %q", got)
			}
			info, err := os.Stat(path)
			must(t, err)
			if s.OffersAs("f", path, info) {
				t.Error("it is taken for what was published")
			}
			if names, err := s.Recheck(lonja.FileID{1}, func(*os.File, bool) (lonja.FileID, bool) { return lonja.FileID{}, false }); err != nil || len(names) > 0 || opens(t, s, 1, "luis") != "touched" {
				t.Errorf("it could not be hashed: %q, %v", names, err)
			}
			hashed := 0
			want, withdrawn := "content", []lonja.FileName(nil)
			if content != "content" {
				want, withdrawn = "nothing", []lonja.FileName{"f"}
			}
			for i, of := range []*Set{s, s, openSet(t, state, ana)} {
				names, err := of.Recheck(lonja.FileID{1}, hashing(t, &hashed))
				if must(t, err); i == 0 && !slices.Equal(names, withdrawn) {
					t.Errorf("withdrawn: %q", names)
				}
				if got := opens(t, of, 1, "luis"); got != want || hashed != 1 {
					t.Errorf("time %d: got %q, hashed %d times", i, got, hashed)
				}
			}
		})
	}
}

// TestTouchedInPlace: what was written into the file itself, whose time was set back
// then, is noticed as well; and so is that nothing is known of it.
func TestTouchedInPlace(t *testing.T) {
	path := write(t, filepath.Join(realTempDir(t), "f"), "content")
	when := time.Unix(1e9, 0)
	must(t, os.Chtimes(path, when, when))
	s := New()
	offer(t, s, path, "f", 1)
	late := time.Now().Add(20 * time.Second)
	for opens(t, s, 1, "luis") != "touched" { // the clock of the file system may go in steps
		write(t, path, "CONTENT")
		must(t, os.Chtimes(path, when, when))
		if time.Now().After(late) {
			t.Fatal("it is not noticed")
		}
	}
	write(t, path, "content")
	must(t, os.Chtimes(path, when, when))
	offer(t, s, path, "f", 1)
	if got := opens(t, s, 1, "luis"); got != "content" {
		t.Fatalf("published anew: %q", got)
	}
	s.current["f"].content.seen.mark = 0 // as an older program has left it
	if got := opens(t, s, 1, "luis"); got != "touched" {
		t.Errorf("without a mark: %q", got)
	}
	hashed := 0
	if names, err := s.Recheck(lonja.FileID{1}, hashing(t, &hashed)); err != nil || len(names) > 0 || hashed != 1 {
		t.Errorf("withdrawn: %q, %v", names, err)
	}
	if got := opens(t, s, 1, "luis"); got != "content" {
		t.Errorf("looked at: %q", got)
	}
}

// TestChangedContentThatWasPublishedAnew is not withdrawn with what it was before,
// nor does somebody learn of it who may not have it.
func TestChangedContentThatWasPublishedAnew(t *testing.T) {
	path := write(t, filepath.Join(realTempDir(t), "f"), "content")
	s := New()
	offer(t, s, path, "f", 1, "rosa")
	before := s.withContent(lonja.FileID{1})[0].content
	write(t, path, "another content")
	if got := opens(t, s, 1, "luis"); got != "nothing" {
		t.Errorf("luis: got %q", got)
	}
	if got := opens(t, s, 1, "rosa"); got != "changed" {
		t.Errorf("rosa: got %q", got)
	}
	offer(t, s, path, "f", 2, "rosa")
	if gone, err := s.withdrawThis(before); gone || err != nil {
		t.Errorf("withdrawn: %v, %v", gone, err)
	}
	if got := opens(t, s, 2, "rosa"); got != "another content" {
		t.Errorf("anew: got %q", got)
	}
}

// TestDigestFollows: of what is offered, whatever comes and goes and however.
func TestDigestFollows(t *testing.T) {
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "f"), "content")
	s := openSet(t, state, ana)
	one, two := offer(t, s, path, "one", 1), offer(t, s, path, "two", 1)
	must(t, s.Add(lonja.FileName(path), path)) // classic: not signed
	want := lonja.ContentDigest{}
	want.Add(one.Proof.Signature)
	want.Add(two.Proof.Signature)
	if got := s.Digest(); got != want {
		t.Errorf("two: got %+v, want %+v", got, want)
	}
	if got := s.NamesOf(path); !slices.Equal(got, []lonja.FileName{lonja.FileName(path), "one", "two"}) {
		t.Errorf("names of the path: %q", got)
	}
	must(t, s.Remove("one"))
	want.Remove(one.Proof.Signature)
	again := openSet(t, state, ana)
	if s.Digest() != want || again.Digest() != want {
		t.Errorf("one: got %+v and %+v, want %+v", s.Digest(), again.Digest(), want)
	}
	if got := opens(t, again, 1, "luis"); got != "content" {
		t.Errorf("the other name: %q", got)
	}
	names := []lonja.FileName{}
	for l := range again.Offered() {
		names = append(names, l.Name)
	}
	if !slices.Equal(names, []lonja.FileName{"two"}) {
		t.Errorf("offered: %q", names)
	}
	must(t, again.Clear())
	if got := again.Digest(); got != (lonja.ContentDigest{}) {
		t.Errorf("nothing: got %+v", got)
	}
}

// TestOlderRecordIsWrittenAnew: an older program must not take what is for some
// as being for all.
func TestOlderRecordIsWrittenAnew(t *testing.T) {
	state := realTempDir(t)
	path := write(t, filepath.Join(realTempDir(t), "f"), "content")
	record := write(t, filepath.Join(state, ana.fileName()), version2)
	s := openSet(t, state, ana)
	offer(t, s, path, "f", 1, "luis")
	b, err := os.ReadFile(record)
	must(t, err)
	if head, err := readHeader(record); err != nil || head.Version != recordVersion {
		t.Errorf("version %d, %v in %s", head.Version, err, b)
	}
}
