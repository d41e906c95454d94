package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lonja"
)

// A corpus is publications whose words are as unevenly used as in a language.
type corpus struct {
	random *rand.Rand
	words  []string
	zipf   *rand.Zipf
	shared []string // base names, if users share them
}

func newCorpus(seed uint64, shared int) *corpus {
	c := &corpus{random: rand.New(rand.NewPCG(seed, 1))}
	for range 20_000 {
		word := make([]byte, 3+c.random.IntN(7))
		for i := range word {
			word[i] = byte('a' + c.random.IntN(26))
		}
		c.words = append(c.words, string(word))
	}
	c.zipf = rand.NewZipf(c.random, 1.1, 5, uint64(len(c.words)-1))
	for range shared {
		c.shared = append(c.shared, c.base(""))
	}
	return c
}

func (c *corpus) word() string { return c.words[c.zipf.Uint64()] }

func (c *corpus) base(unique string) string {
	return fmt.Sprintf("%s_%s%s.%s", c.word(), c.word(), unique, []string{"mp3", "pdf", "ogg", "mkv"}[c.random.IntN(4)])
}

func (c *corpus) publication(user lonja.UserName, n int) lonja.Listing {
	base := c.base(fmt.Sprint("_", n))
	if len(c.shared) > 0 {
		base = c.shared[c.random.IntN(len(c.shared))]
	}
	return lonja.Listing{
		Name:        lonja.FileName(fmt.Sprintf("/home/%s/%d/%s", user, n, base)),
		Description: lonja.Description(c.word() + " " + c.word() + " " + c.word()),
		Size:        int64(c.random.IntN(1 << 30)),
	}
}

const filesOfUser = 20

// load returns an index of so many publications, a third of whose owners are
// connected.
func (c *corpus) load(publications int) *Index {
	x := New()
	for n := range publications {
		user := lonja.UserName(fmt.Sprintf("user%d", n/filesOfUser))
		if n%filesOfUser == 0 {
			x.SetAccount(user, uint64(n+1), uint64(n+1))
		}
		_, a := x.account(user)
		x.SetPublication(user, a.incarnation, uint64(n+1), c.publication(user, n))
	}
	x.Complete()
	for n := 0; n < publications/filesOfUser; n += 3 {
		x.Connect(lonja.UserName(fmt.Sprintf("user%d", n)), somewhere)
		for x.Settle(1000) {
		}
	}
	return x
}

// query returns two words of one publication, the second perhaps only begun.
func (c *corpus) query(x *Index) lonja.Query {
	d := x.docs.at(1 + c.random.Uint32N(x.docs.next))
	said := slices.Collect(words(x.texts.str(d.description)))
	last := said[len(said)-1]
	return lonja.Query{Words: said[0] + " " + last[:1+c.random.IntN(len(last))]}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		newCorpus(1, 0).load(100_000)
	}
}

func BenchmarkSearch(b *testing.B) {
	for name, shared := range map[string]int{"unique": 0, "shared": 10_000} {
		b.Run(name, func(b *testing.B) {
			c := newCorpus(1, shared)
			x := c.load(200_000)
			var took []time.Duration
			for b.Loop() {
				q := c.query(x)
				start := time.Now()
				if _, err := x.Search(&q); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}

func BenchmarkConnect(b *testing.B) {
	x := newCorpus(1, 0).load(100_000)
	for b.Loop() {
		x.Disconnect("user0")
		for x.Settle(1000) {
		}
		x.Connect("user0", somewhere)
		for x.Settle(1000) {
		}
	}
}

// BenchmarkPeers lists a hundred thousand connected users, a page after the
// other.
func BenchmarkPeers(b *testing.B) {
	const users = 100_000
	x := New()
	x.Complete()
	for n := range users {
		user := lonja.UserName(fmt.Sprintf("person%06d", n))
		x.SetAccount(user, uint64(n+1), 1)
		x.SetPublication(user, uint64(n+1), 1, lonja.Listing{Name: lonja.FileName(fmt.Sprintf("/home/%s/file", user))})
		x.Connect(user, somewhere)
		for x.Settle(100) {
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if peers := allPeers(x, 1024); len(peers) != users {
			b.Fatalf("got %d users, want %d", len(peers), users)
		}
	}
}
