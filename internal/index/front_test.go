package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// TestFronts: whatever comes and goes, the fronts are what is ranked first, and
// searches find in them what they find without them.
func TestFronts(t *testing.T) {
	const users, names, changes = 60, 400, 6000
	rng := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rng, 1.2, 3, names-1)
	x := New()
	for u := range users {
		x.SetAccount(frontUser(u), uint64(u+1), 1)
	}
	publish := func(n int) {
		u := rng.IntN(users)
		x.SetPublication(frontUser(u), uint64(u+1), uint64(n), lonja.Listing{
			Name:        lonja.FileName(fmt.Sprintf("/%d/some_%d.mp3", rng.IntN(3), zipf.Uint64())),
			Description: lonja.Description(fmt.Sprint([]string{"so", "other", "thing"}[rng.IntN(3)], " ", rng.IntN(9))),
		})
	}
	for n := range changes / 3 {
		publish(n)
	}
	x.Complete()
	checkFronts(t, x)
	found := 0
	for n := range changes {
		switch user := frontUser(rng.IntN(users)); rng.IntN(4) {
		case 0:
			publish(n)
		case 1:
			x.Connect(user, somewhere)
		case 2:
			x.Disconnect(user)
		default:
			if listings := x.Listings(user); len(listings) > 0 {
				a, _ := x.Account(user)
				x.RemovePublication(user, a.Incarnation, listings[rng.IntN(len(listings))].Name)
			}
		}
		for x.Settle(100) {
		}
		if n%50 == 0 {
			checkFronts(t, x)
			found += compareFronts(t, x)
		}
	}
	if found == 0 {
		t.Error("no search was answered from a front")
	}
}

func frontUser(n int) lonja.UserName { return lonja.UserName(fmt.Sprint("user", n)) }

// checkFronts compares each front with the order of the bases.
func checkFronts(t *testing.T, x *Index) {
	t.Helper()
	ranked := slices.Collect(x.ranked.from(position{}))
	for i, f := range x.fronts {
		want, large := roaring.New(), 0
		for n, base := range ranked {
			if in := x.frontsOf(base)&(1<<i) != 0; in != (n < f.bases) {
				t.Fatalf("front %d of %d bases: base %d is in it: %v", i, f.bases, n, in)
			}
			var alone [1]uint32
			docs := x.documents(base, &alone)
			if len(docs) > largeBase {
				large++
			}
			if n < f.bases || len(docs) > largeBase {
				want.AddMany(docs)
			}
		}
		if large == 0 || large == len(ranked) {
			t.Fatalf("%d of %d bases are large", large, len(ranked))
		}
		if !f.docs.Equals(want) {
			t.Fatalf("front %d has %d documents, want the %d of its %d bases", i, f.docs.GetCardinality(), want.GetCardinality(), f.bases)
		}
		if size := x.frontSize(i); f.bases > size+size/4+frontSteps || f.bases < size-size/4-frontSteps {
			t.Errorf("front %d has %d bases, want about %d", i, f.bases, size)
		}
	}
}

// compareFronts asks with fronts and without, page after page. It returns how
// many searches a front has answered.
func compareFronts(t *testing.T, x *Index) (found int) {
	t.Helper()
	without := *x
	for i := range without.fronts {
		without.fronts[i].end = nil
	}
	for _, q := range []lonja.Query{
		{Words: "so some", Limit: 3},
		{Words: "mp3 t", Limit: 5},
		{Words: "th", Limit: 2, OnlineOnly: true},
		{Words: "other 3", Limit: 1},
		{Words: "some", Extension: "mp3", Limit: 9},
	} {
		for more := true; more; more = q.After != "" {
			s := newSearch(t, x, &q)
			if s.prepare() && s.lookInFronts() {
				found++
			}
			got, err := x.Search(&q)
			want, err2 := without.Search(&q)
			if err != nil || err2 != nil || !sameFound(got, want) {
				t.Fatalf("%+v: with fronts %v, %v; without %v, %v", q, got, err, want, err2)
			}
			q.After = got.Next
		}
	}
	return found
}

func newSearch(t *testing.T, x *Index, q *lonja.Query) *search {
	t.Helper()
	after, err := parseCursor(q.After)
	if err != nil {
		t.Fatal(err)
	}
	return &search{x: x, q: q, start: after, hits: hits{x: x, after: after, most: 1 + q.Limit}, filters: q.OnlineOnly}
}

// sameFound compares pages but for which publication is shown of a base that
// several have.
func sameFound(a, b lonja.FoundPage) bool {
	return a.Next == b.Next && slices.EqualFunc(a.Found, b.Found, func(a, b lonja.Found) bool {
		return a.Online == b.Online && a.Holders == b.Holders && a.Listing.Name.Base() == b.Listing.Name.Base()
	})
}
