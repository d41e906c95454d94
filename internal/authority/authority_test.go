package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

// epoch is when tests begin.
var epoch = time.Date(2026, 11, 27, 18, 0, 0, 0, time.UTC)

// A clock is set by the test that reads it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func open(t testing.TB, c *clock) *Authority {
	t.Helper()
	a, made, err := Open(Options{Dir: filepath.Join(t.TempDir(), "data"), Clock: c.Now})
	if err != nil || !made {
		t.Fatalf("made: %t, %v", made, err)
	}
	return a
}

func reopen(a *Authority) (*Authority, error) {
	again, made, err := Open(a.opts)
	if made {
		err = errors.Join(err, errors.New("it was made anew"))
	}
	return again, err
}

func TestMadeAtFirstStart(t *testing.T) {
	a := open(t, newClock())
	again, err := reopen(a)
	if err != nil || again.Fingerprint() != a.Fingerprint() || !bytes.Equal(again.Export(), a.Export()) {
		t.Errorf("second start: another one, or %v", err)
	}
	for path, want := range map[string]fs.FileMode{a.opts.Dir: 0o700, a.Path(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if loaded, err := Load(a.opts); err != nil || loaded.Fingerprint() != a.Fingerprint() {
		t.Errorf("loaded: another one, or %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if _, err := Load(Options{Dir: empty}); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("nothing there: got error %v, want %v", err, lonja.LocalFile)
	}
	if _, err := os.Stat(empty); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading has made something: %v", err)
	}
	if set, err := ParseSet(a.Set().PEM()); err != nil || set.Fingerprint() != a.Fingerprint() {
		t.Errorf("the set as PEM: %v", err)
	}
	if bytes.Contains(a.Set().PEM(), []byte("PRIVATE")) {
		t.Error("the public part has a private key")
	}
}

// TestStartedTwiceAtOnce: nodes that share a new data directory make one.
func TestStartedTwiceAtOnce(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	var all sync.WaitGroup
	ids := make([]lonja.PeerID, 8)
	for i := range ids {
		all.Go(func() {
			if a, _, err := Open(o); err != nil {
				t.Error(err)
			} else {
				ids[i] = a.Fingerprint()
			}
		})
	}
	all.Wait()
	for i, id := range ids {
		if id != ids[0] {
			t.Errorf("%d has %v, and the first %v", i, id, ids[0])
		}
	}
}

func TestOpenRightsAreRefused(t *testing.T) {
	a := open(t, newClock())
	for _, c := range []struct {
		path string
		mode fs.FileMode
		ok   bool
	}{
		{a.Path(), 0o644, false},
		{a.Path(), 0o620, false},
		{a.Path(), 0o600, true},
		{a.opts.Dir, 0o777, false},
		{a.opts.Dir, 0o755, true}, // others may see that there is a directory's data
	} {
		if err := os.Chmod(c.path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, errOpen := reopen(a)
		_, errReload := a.Reload()
		for _, err := range []error{errOpen, errReload, a.Rotate(time.Hour)} {
			if (err == nil) != c.ok || err != nil && (!errors.Is(err, lonja.LocalFile) || !strings.Contains(err.Error(), "chmod")) {
				t.Errorf("%s with mode %v: got error %v, want none: %t", c.path, c.mode, err, c.ok)
			}
			if c.ok {
				break
			}
		}
	}
}

// TestDamagedIsNeverMadeAnew: whatever became of the file, it is told and kept.
func TestDamagedIsNeverMadeAnew(t *testing.T) {
	c := newClock()
	a := open(t, c)
	if err := a.Rotate(time.Hour); err != nil {
		t.Fatal(err)
	}
	whole := a.Export()
	damages := map[string][]byte{
		"another's key": append(bytes.Clone(a.Set().PEM()), keyPart(t, open(t, c))...),
		"only the key":  keyPart(t, a),
		"no pair":       append(bytes.Clone(firstBlocks(whole, 2)), keyPart(t, a)...),
		"something on":  append(bytes.Clone(whole), whole...),
	}
	for n := 0; n < len(whole)-2; n += 40 {
		damages[fmt.Sprint("cut at ", n)] = whole[:n]
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		if _, err := parseState(flipped); err != nil { // some bits of base64 and of line ends say nothing
			damages[fmt.Sprint("flipped at ", n)] = flipped
		}
	}
	for name, text := range damages {
		if err := os.WriteFile(a.Path(), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := reopen(a); !errors.Is(err, lonja.Damaged) || !strings.Contains(err.Error(), a.Path()) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Damaged)
		}
		if changed, err := a.Reload(); changed || !errors.Is(err, lonja.Damaged) {
			t.Errorf("%s: reload: got %t, error %v", name, changed, err)
		}
		if err := a.Rotate(time.Hour); !errors.Is(err, lonja.Damaged) {
			t.Errorf("%s: rotate: got error %v", name, err)
		}
		if now, err := os.ReadFile(a.Path()); err != nil || !bytes.Equal(now, text) {
			t.Errorf("%s: the file has changed", name)
		}
	}
	if err := os.Remove(a.Path()); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(a); !errors.Is(err, lonja.Damaged) || !strings.Contains(err.Error(), a.Fingerprint().String()) {
		t.Errorf("missing: got error %v, want %v", err, lonja.Damaged)
	}
	if _, err := Import(a.opts, whole, false); err != nil {
		t.Errorf("its copy: %v", err)
	}
	if again, err := reopen(a); err != nil || again.Fingerprint() != a.Fingerprint() {
		t.Errorf("after the copy: %v", err)
	}
}

func keyPart(t *testing.T, a *Authority) []byte {
	t.Helper()
	_, key, found := strings.Cut(string(a.Export()), "-----BEGIN PRIVATE KEY")
	if !found {
		t.Fatal("no key")
	}
	return []byte("-----BEGIN PRIVATE KEY" + key)
}

func firstBlocks(text []byte, n int) []byte {
	const begin = "-----BEGIN"
	return []byte(begin + strings.Join(strings.Split(string(text), begin)[1:n+1], begin))
}

func TestImport(t *testing.T) {
	c := newClock()
	a, b := open(t, c), open(t, c)
	fresh := Options{Dir: filepath.Join(t.TempDir(), "fresh"), Clock: c.Now}
	if id, err := Import(fresh, a.Export(), false); err != nil || id != a.Fingerprint() {
		t.Fatalf("got %v, %v", id, err)
	}
	second, made, err := Open(fresh)
	if err != nil || made {
		t.Fatalf("made: %t, %v", made, err)
	}
	if err := second.CheckSame("a", a.Fingerprint()); err != nil {
		t.Error(err)
	}
	err = b.CheckSame("node a", a.Fingerprint())
	if !errors.Is(err, lonja.Untrusted) || !strings.Contains(err.Error(), b.Path()) || !strings.Contains(err.Error(), "node a") {
		t.Errorf("two authorities: got error %v", err)
	}
	if _, err := Import(b.opts, a.Export(), false); !errors.Is(err, lonja.Conflict) {
		t.Errorf("over another one: got error %v, want %v", err, lonja.Conflict)
	}
	if again, err := reopen(b); err != nil || again.Fingerprint() != b.Fingerprint() {
		t.Errorf("after that: %v", err)
	}
	if _, err := Import(b.opts, a.Export()[:100], true); !errors.Is(err, lonja.Damaged) {
		t.Errorf("rubbish: got error %v", err)
	}
	if _, err := Import(b.opts, a.Export(), true); err != nil {
		t.Error(err)
	}
	if changed, err := b.Reload(); err != nil || !changed || b.Fingerprint() != a.Fingerprint() {
		t.Errorf("forced: changed: %t, %v", changed, err)
	}
}

func TestRotate(t *testing.T) {
	c := newClock()
	a := open(t, c)
	if err := errors.Join(a.Rotate(-1), a.Rotate(MaxOverlap+1)); !errors.Is(err, lonja.Invalid) {
		t.Errorf("odd overlaps: got error %v", err)
	}
	var ids []lonja.PeerID
	for range MaxPredecessors + 2 {
		ids = append(ids, a.Fingerprint())
		if err := a.Rotate(DefaultOverlap); err != nil {
			t.Fatal(err)
		}
		c.set(c.Now().Add(time.Hour))
	}
	again, err := reopen(a)
	if err != nil || again.Fingerprint() != a.Fingerprint() {
		t.Fatal(err)
	}
	earlier := a.Set().Earlier(c.Now())
	if len(earlier) != MaxPredecessors {
		t.Fatalf("got %d earlier ones, want %d", len(earlier), MaxPredecessors)
	}
	for i, e := range earlier {
		if want := ids[len(ids)-1-i]; e.ID != want {
			t.Errorf("earlier %d: got %v, want %v", i, e.ID, want)
		}
	}
	// One that was stolen: nothing joins it to the next.
	stolen := a.Fingerprint()
	if err := a.Rotate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Set().FollowsFrom([]lonja.PeerID{stolen}, c.Now()); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("a stolen one: got error %v, want %v", err, lonja.Untrusted)
	}
	if earlier := a.Set().Earlier(c.Now()); len(earlier) != 0 {
		t.Errorf("it still holds: %v", earlier)
	}
}

// TestFollowsFrom: each earlier fingerprint leads to the present one, as long as
// all overlaps on the way last, and no other does.
func TestFollowsFrom(t *testing.T) {
	c := newClock()
	a := open(t, c)
	first := a.Fingerprint()
	if err := a.Rotate(10 * time.Hour); err != nil {
		t.Fatal(err)
	}
	second := a.Fingerprint()
	c.set(epoch.Add(time.Hour))
	if err := a.Rotate(2 * time.Hour); err != nil {
		t.Fatal(err)
	}
	third := a.Fingerprint()
	stranger := open(t, c).Fingerprint()
	for _, q := range []struct {
		pinned lonja.PeerID
		after  time.Duration
		ok     bool
	}{
		{first, time.Hour, true},
		{second, 2 * time.Hour, true},
		{third, 1000 * time.Hour, true},
		{stranger, time.Hour, false},
		{second, 3*time.Hour + time.Second, false},
		{first, 4 * time.Hour, false}, // its own lasts, but not that of the second
		{first, -time.Hour, false},
	} {
		r, err := a.Set().FollowsFrom([]lonja.PeerID{stranger, q.pinned}, epoch.Add(q.after))
		unknown, isUnknown := errors.AsType[*UnknownAuthorityError](err)
		switch {
		case (err == nil) != q.ok:
			t.Errorf("%v after %v: got error %v, want none: %t", q.pinned, q.after, err, q.ok)
		case !q.ok && (!isUnknown || unknown.Found != third || !errors.Is(err, lonja.Untrusted) ||
			!strings.Contains(err.Error(), third.String()) || !strings.Contains(err.Error(), q.pinned.String())):
			t.Errorf("%v after %v: got error %v", q.pinned, q.after, err)
		case q.ok && (r == nil) != (q.pinned == third):
			t.Errorf("%v: got rotation %v", q.pinned, r)
		case q.ok && r != nil && (r.From != q.pinned || r.To != third || !r.Until.Equal(epoch.Add(3*time.Hour))):
			t.Errorf("%v: got rotation %v", q.pinned, r)
		}
	}
}

// TestForgedSets: certificates that are not joined as they should be are none.
func TestForgedSets(t *testing.T) {
	c := newClock()
	a, mallory := open(t, c), open(t, c)
	for _, x := range []*Authority{a, mallory} {
		if err := x.Rotate(DefaultOverlap); err != nil {
			t.Fatal(err)
		}
	}
	good, bad := a.Set(), mallory.Set()
	key := mallory.now.Load().key
	earlier := *good.pairs[0].bond
	earlier.PublicKey = nil // which she has not, and signs in its name all the same
	falseProof, err := sign(until(good.current, epoch, epoch.Add(time.Hour)), &earlier, good.current.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ownProof, err := sign(until(good.current, epoch, epoch.Add(time.Hour)), bad.current, good.current.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]*Set{
		"another's pair":          {good.current, bad.pairs},
		"another's proof":         {good.current, []pair{{bad.pairs[0].proof, good.pairs[0].bond}}},
		"another's bond":          {bad.current, []pair{{bad.pairs[0].proof, good.pairs[0].bond}}},
		"proof that was not made": {bad.current, []pair{{good.pairs[0].proof, good.pairs[0].bond}}},
		"a proof signed by her":   {good.current, []pair{{falseProof, good.pairs[0].bond}}},
		"herself as predecessor":  {good.current, []pair{{ownProof, bad.current}}},
		"proof and bond swapped":  {good.current, []pair{{good.pairs[0].bond, good.pairs[0].proof}}},
		"not its own signature":   {good.pairs[0].proof, nil},
		"too many":                {good.current, make20(good.pairs[0])},
	} {
		if _, err := ParseSet(forged.PEM()); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
	}
	if _, err := ParseSet(good.PEM()); err != nil {
		t.Error(err)
	}
	if _, err := ParseSet(a.Export()); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("with a private key: got error %v", err)
	}
}

func make20(p pair) []pair {
	all := make([]pair, 20)
	for i := range all {
		all[i] = p
	}
	return all
}

// TestFollow: a running directory notices what another process has done.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		running, _, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		command, _, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { running.Follow(ctx, slog.New(slog.NewTextHandler(&log, nil))) })
		if err := command.Rotate(time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(followEvery)
		synctest.Wait()
		if running.Fingerprint() != command.Fingerprint() {
			t.Error("it was not noticed")
		}
		if err := os.WriteFile(running.Path(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(followEvery)
		synctest.Wait()
		cancel()
		done.Wait()
		if running.Fingerprint() != command.Fingerprint() || !strings.Contains(log.String(), "cannot be read") {
			t.Errorf("a damaged file: the log says %s", log.String())
		}
	})
}

// FuzzParseState: whatever is read, it ends, and what is taken is a whole
// authority that signs.
func FuzzParseState(f *testing.F) {
	c := newClock()
	a := open(f, c)
	f.Add(a.Export())
	if err := a.Rotate(time.Hour); err != nil {
		f.Fatal(err)
	}
	f.Add(a.Export())
	f.Fuzz(func(t *testing.T, text []byte) {
		st, err := parseState(text)
		if err != nil {
			return
		}
		if _, err := st.rotate(time.Hour, epoch); err != nil {
			t.Error(err)
		}
		if _, err := parseState(newState(st.set, st.key).text); err != nil {
			t.Errorf("its own text: %v", err)
		}
	})
}

// FuzzReadSet: whatever a directory sends, it is an authority or an error, and what
// is taken is taken again.
func FuzzReadSet(f *testing.F) {
	a := open(f, newClock())
	if err := a.Rotate(time.Hour); err != nil {
		f.Fatal(err)
	}
	der := a.Set().DER()
	f.Add(der[0], der[1], der[2])
	f.Add(der[0], []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		der := [][]byte{one, two, three}
		if len(two)+len(three) == 0 {
			der = der[:1]
		}
		s, err := ReadSet(der)
		if err != nil {
			if !errors.Is(err, lonja.Untrusted) {
				t.Errorf("got error %v", err)
			}
			return
		}
		again, err := ReadSet(s.DER())
		if err != nil || !bytes.Equal(again.PEM(), s.PEM()) {
			t.Errorf("its own certificates: %v", err)
		}
	})
}

// FuzzParseSet: whatever is read, it ends, and what is taken is written as it is
// and taken again.
func FuzzParseSet(f *testing.F) {
	a := open(f, newClock())
	if err := a.Rotate(time.Hour); err != nil {
		f.Fatal(err)
	}
	f.Add(a.Set().PEM())
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSet(text)
		if err != nil {
			return
		}
		again, err := ParseSet(s.PEM())
		if err != nil || !bytes.Equal(again.PEM(), s.PEM()) {
			t.Errorf("its own text: %v", err)
		}
		_, _ = s.FollowsFrom(nil, epoch)
	})
}
