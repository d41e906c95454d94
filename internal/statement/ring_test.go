package statement_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/statement"
)

// first returns the first key of a ring of ana: that of seed n.
func first(n byte) []lonja.KeyRecord {
	return []lonja.KeyRecord{{Endorsement: lonja.Endorsement{User: "ana", Key: publicOf(seedOf(n)), Date: 100}}}
}

// agreed returns e with the consent of its key, which is that of seed n, to speak
// for the account of ring.
func agreed(t testing.TB, ring []lonja.KeyRecord, e lonja.Endorsement, n byte) lonja.Endorsement {
	t.Helper()
	var err error
	if e.Consent, err = statement.SignConsent(e.User, ring[0].Key, seedOf(n)); err != nil {
		t.Fatal(err)
	}
	return e
}

// endorsed returns ring with the key of seed n, which agrees, endorsed at date by
// that of seed by.
func endorsed(t testing.TB, ring []lonja.KeyRecord, by, n byte, date int64) []lonja.KeyRecord {
	t.Helper()
	e, err := statement.SignEndorsement(lonja.Endorsement{
		User: "ana", Key: publicOf(seedOf(n)), Label: fmt.Sprint("device ", n), Date: date,
	}, seedOf(by))
	if err != nil {
		t.Fatal(err)
	}
	return append(slices.Clip(ring), lonja.KeyRecord{Endorsement: agreed(t, ring, e, n)})
}

func revoked(ring []lonja.KeyRecord, n byte, date int64) []lonja.KeyRecord {
	ring = slices.Clone(ring)
	for i := range ring {
		if ring[i].Key == publicOf(seedOf(n)) {
			ring[i].Revoked = date
		}
	}
	return ring
}

// TestRing: 1 endorses 2, 2 endorses 3, 1 endorses 4; 1 is revoked later.
func TestRing(t *testing.T) {
	ring := endorsed(t, endorsed(t, endorsed(t, first(1), 1, 2, 200), 2, 3, 300), 1, 4, 400)
	ring = revoked(ring, 1, 500)
	if err := statement.CheckRing(ring); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[byte]bool{1: false, 2: true, 3: true, 4: true, 5: false} {
		if got := statement.Speaks(ring, publicOf(seedOf(n))); got != want {
			t.Errorf("key %d speaks: %t, want %t", n, got, want)
		}
	}
	for _, c := range []struct {
		pinned, key byte
		want        bool
	}{
		{1, 2, true},
		{1, 3, true},
		{1, 4, true},
		{2, 2, true},
		{2, 3, true},
		{1, 1, false}, // revoked
		{2, 4, false}, // who trusts 2 need not trust what 1 says
		{3, 2, false},
		{2, 1, false},
		{5, 2, false},
		{1, 5, false},
	} {
		err := statement.Follows(publicOf(seedOf(c.pinned)), ring, publicOf(seedOf(c.key)))
		if got := err == nil; got != c.want || err != nil && !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%d follows from %d: got error %v, want none: %t", c.key, c.pinned, err, c.want)
		}
	}
}

// TestRevokedEndorser: what a key signed after it was revoked counts nothing,
// nor what follows from that; the rest of the ring stays good.
func TestRevokedEndorser(t *testing.T) {
	ring := endorsed(t, endorsed(t, endorsed(t, first(1), 1, 2, 200), 2, 3, 300), 3, 4, 301)
	ring = revoked(ring, 2, 300)
	if err := statement.CheckRing(ring); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[byte]bool{1: true, 2: false, 3: false, 4: false} {
		key := publicOf(seedOf(n))
		if got := statement.Speaks(ring, key); got != want {
			t.Errorf("key %d speaks: %t, want %t", n, got, want)
		}
		if err := statement.Follows(publicOf(seedOf(1)), ring, key); (err == nil) != want {
			t.Errorf("key %d follows: got error %v, want none: %t", n, err, want)
		}
	}
	if err := statement.Follows(publicOf(seedOf(3)), ring, publicOf(seedOf(4))); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("who trusts 3 takes 4, though neither speaks for ana: %v", err)
	}
}

func TestBadRings(t *testing.T) {
	good := endorsed(t, endorsed(t, first(1), 1, 2, 200), 2, 3, 300)
	many := first(1)
	for n := range byte(lonja.MaxKeys) {
		many = endorsed(t, many, 1, n+10, 200)
	}
	spoiled := func(i int, spoil func(*lonja.KeyRecord)) []lonja.KeyRecord {
		ring := slices.Clone(good)
		spoil(&ring[i])
		return ring
	}
	for name, ring := range map[string][]lonja.KeyRecord{
		"none":                {},
		"first not there":     good[1:],
		"order":               {good[0], good[2], good[1]},
		"twice":               append(slices.Clip(good), good[1]),
		"too many":            many,
		"two first ones":      append(slices.Clip(good), first(4)...),
		"first one signed":    spoiled(0, func(r *lonja.KeyRecord) { r.Signature[0] = 1 }),
		"another user's":      spoiled(2, func(r *lonja.KeyRecord) { r.User = "eva" }),
		"another key":         spoiled(2, func(r *lonja.KeyRecord) { r.Key = publicOf(seedOf(9)) }),
		"another label":       spoiled(2, func(r *lonja.KeyRecord) { r.Label = "x" }),
		"a label too long":    spoiled(0, func(r *lonja.KeyRecord) { r.Label = strings.Repeat("x", 64) }),
		"a label that clears": spoiled(0, func(r *lonja.KeyRecord) { r.Label = "\x1b[2J" }),
		"another date":        spoiled(1, func(r *lonja.KeyRecord) { r.Date-- }),
		"another endorser":    spoiled(2, func(r *lonja.KeyRecord) { r.By = good[0].Key }),
		"another's consent":   spoiled(1, func(r *lonja.KeyRecord) { r.Consent = good[2].Consent }),
		"first one agrees":    spoiled(0, func(r *lonja.KeyRecord) { r.Consent = good[1].Consent }),
		"no signature":        spoiled(1, func(r *lonja.KeyRecord) { r.Signature = lonja.Signature{} }),
		"a weak first key":    {{Endorsement: lonja.Endorsement{User: "ana"}}},
	} {
		if err := statement.CheckRing(ring); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
		if err := statement.Follows(publicOf(seedOf(1)), ring, publicOf(seedOf(1))); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: follows: got error %v, want %v", name, err, lonja.Untrusted)
		}
	}
}

func TestEndorse(t *testing.T) {
	ring := revoked(endorsed(t, endorsed(t, first(1), 1, 2, 200), 1, 3, 300), 3, 400)
	endorse := func(by, n byte) lonja.Endorsement {
		e, err := statement.SignEndorsement(lonja.Endorsement{User: "ana", Key: publicOf(seedOf(n)), Date: 350}, seedOf(by))
		if err != nil {
			t.Fatal(err)
		}
		return agreed(t, ring, e, n)
	}
	for name, c := range map[string]struct {
		e  lonja.Endorsement
		ok bool
	}{
		"by the first":                  {endorse(1, 9), true},
		"by the second":                 {endorse(2, 9), true},
		"by one revoked meanwhile":      {endorse(3, 9), false},
		"by a stranger":                 {endorse(8, 9), false},
		"there already":                 {endorse(1, 2), false},
		"revoked, back again":           {endorse(1, 3), false},
		"another user's":                {func() lonja.Endorsement { e := endorse(1, 9); e.User = "eva"; return e }(), false},
		"not signed":                    {func() lonja.Endorsement { e := endorse(1, 9); e.Signature[5]++; return e }(), false},
		"not agreed to":                 {func() lonja.Endorsement { e := endorse(1, 9); e.Consent = lonja.Signature{}; return e }(), false},
		"agreed to by another":          {agreed(t, ring, endorse(1, 9), 1), false},
		"agreed to for another account": {agreed(t, first(2), endorse(1, 9), 9), false},
	} {
		next, err := statement.Endorse(ring, c.e)
		if err == nil && (len(next) != len(ring)+1 || next[len(ring)].Endorsement != c.e) {
			t.Errorf("%s: got %+v", name, next)
		}
		if (err == nil) != c.ok || err != nil && !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want none: %t", name, err, c.ok)
		}
	}
	if len(ring) != 3 {
		t.Error("the ring has changed")
	}
	full := first(1)
	for n := range byte(lonja.MaxKeys - 1) {
		full = endorsed(t, full, 1, n+10, 200)
	}
	if _, err := statement.Endorse(full, endorse(1, 9)); !errors.Is(err, lonja.Limited) {
		t.Errorf("one too many: got error %v, want %v", err, lonja.Limited)
	}
}

func TestCheckRevocation(t *testing.T) {
	ring := revoked(endorsed(t, endorsed(t, endorsed(t, first(1), 1, 2, 200), 2, 3, 300), 1, 4, 300), 4, 400)
	revoke := func(by, n byte, date int64) lonja.Revocation {
		r, err := statement.SignRevocation(lonja.Revocation{User: "ana", Key: publicOf(seedOf(n)), Date: date}, seedOf(by))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, c := range map[string]struct {
		r  lonja.Revocation
		ok bool
	}{
		"itself":                {revoke(3, 3, 500), true},
		"the second the first":  {revoke(2, 1, 500), true},
		"the first the last":    {revoke(1, 3, 500), true},
		"by one revoked":        {revoke(4, 1, 500), false},
		"one revoked, again":    {revoke(1, 4, 500), false},
		"by a stranger":         {revoke(8, 1, 500), false},
		"of a stranger":         {revoke(1, 8, 500), false},
		"before it endorsed me": {revoke(2, 1, 200), false},
		"another user's":        {func() lonja.Revocation { r := revoke(1, 2, 500); r.User = "eva"; return r }(), false},
		"another date":          {func() lonja.Revocation { r := revoke(1, 2, 500); r.Date++; return r }(), false},
		"another key":           {func() lonja.Revocation { r := revoke(1, 2, 500); r.Key = publicOf(seedOf(3)); return r }(), false},
	} {
		err := statement.CheckRevocation(ring, c.r)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want none: %t", name, err, c.ok)
		}
	}
	if _, err := statement.SignRevocation(lonja.Revocation{User: "ana"}, seedOf(1)); !errors.Is(err, lonja.Invalid) {
		t.Errorf("no date: got error %v, want %v", err, lonja.Invalid)
	}
}

// TestRingAgainstModel: rings that grow by what Endorse and
// CheckRevocation let through are good ones, survive being stored, always leave
// somebody who speaks unless that one took itself back, and Follows agrees with
// a plain search.
func TestRingAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ring := first(0)
		byKey := func(label string) byte { return rapid.ByteRange(0, 3).Draw(rt, label) }
		for date := int64(200); date < 210; date++ {
			by, n := byKey("by"), byKey("key")
			if rapid.Bool().Draw(rt, "revoke") {
				r, err := statement.SignRevocation(lonja.Revocation{User: "ana", Key: publicOf(seedOf(n)), Date: date}, seedOf(by))
				if err == nil && statement.CheckRevocation(ring, r) == nil {
					ring = revoked(ring, n, date)
					if by != n && !statement.Speaks(ring, r.By) {
						rt.Fatal("who revoked another does not speak any more")
					}
				}
				continue
			}
			skew := rapid.Int64Range(-3, 3).Draw(rt, "skew")
			e, err := statement.SignEndorsement(lonja.Endorsement{User: "ana", Key: publicOf(seedOf(n)), Date: date + skew}, seedOf(by))
			if err != nil {
				continue
			}
			if !rapid.Bool().Draw(rt, "agrees") { // as it was once taken
				if next := append(slices.Clip(ring), lonja.KeyRecord{Endorsement: e}); statement.Speaks(ring, e.By) && statement.CheckRing(next) == nil {
					ring = next
				}
				continue
			}
			if next, err := statement.Endorse(ring, agreed(t, ring, e, n)); err == nil {
				ring = next
			}
		}
		checkRoundTrip(rt, ring)
		for pinned := range byte(4) {
			for n := range byte(4) {
				err := statement.Follows(publicOf(seedOf(pinned)), ring, publicOf(seedOf(n)))
				if got, want := err == nil, reaches(ring, pinned, n); got != want {
					rt.Fatalf("%d follows from %d: %v, want none: %t", n, pinned, err, want)
				}
			}
		}
	})
}

// reaches spreads trust from pinned, and speech from the first key, as far as
// they go.
func reaches(ring []lonja.KeyRecord, pinned, n byte) bool {
	spread := func(from lonja.PublicKey) map[lonja.PublicKey]bool {
		reached := map[lonja.PublicKey]bool{}
		ends := map[lonja.PublicKey]int64{}
		for _, r := range ring {
			if end := ends[r.By]; r.Key == from || reached[r.By] && statement.Agreed(r.Endorsement) && (end == 0 || r.Date < end) {
				reached[r.Key] = true
			}
			ends[r.Key] = r.Revoked
		}
		return reached
	}
	key := publicOf(seedOf(n))
	if !spread(publicOf(seedOf(pinned)))[key] || !spread(ring[0].Key)[key] {
		return false
	}
	i := slices.IndexFunc(ring, func(r lonja.KeyRecord) bool { return r.Key == key })
	return ring[i].Revoked == 0
}

func checkRoundTrip(t *rapid.T, ring []lonja.KeyRecord) {
	if err := statement.CheckRing(ring); err != nil {
		t.Fatal(err)
	}
	b, err := statement.AppendKeys(nil, ring)
	if err != nil {
		t.Fatal(err)
	}
	got, err := statement.DecodeKeys("ana", b)
	if err != nil || !slices.Equal(got, ring) {
		t.Fatalf("got %+v, %v; want %+v", got, err, ring)
	}
}
