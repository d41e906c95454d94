package bench

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/directory"
	"lonja/internal/memstore"
)

// fewListings are enough to see that all is there.
func fewListings(t *testing.T) IndexOptions {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	emptyTemp(t)
	return IndexOptions{
		Executable: file, Users: 100, PerUser: 10, Unique: []bool{false, true}, Seed: 1,
		Asked: shortly, Writers: 4, Rounds: 2, Duration: shortly / 5,
	}
}

func TestRunIndexMeasuresEverything(t *testing.T) {
	o := fewListings(t)
	report, err := RunIndex(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkIndexReport(t, report, o)
}

func checkIndexReport(t *testing.T, r *IndexReport, o IndexOptions) {
	t.Helper()
	if len(r.Shapes) != len(o.Unique) {
		t.Fatalf("%d shapes", len(r.Shapes))
	}
	for i, s := range r.Shapes {
		if s.Unique != o.Unique[i] || len(s.Starts) != o.Rounds || len(s.Reads) != 2*int(questionCount) {
			t.Fatalf("shape %d: %+v", i, s)
		}
		for n, x := range s.Starts {
			if x.Round != n+1 || x.Bare <= 0 || x.Ready <= 0 || x.Memory < 1<<20 || x.Peak < x.Memory ||
				(x.MemoryAsked > 0) != (x.Round == o.Rounds) || (x.PeakAsked >= x.MemoryAsked) != true {
				t.Errorf("implausible start: %+v", x)
			}
		}
		for _, p := range s.Reads {
			if p.Rate <= 0 || !ascends(p.Latency) || (p.Writes > 0) != p.Writing {
				t.Errorf("implausible answers: %+v", p)
			}
		}
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Error(err)
	}
	for _, want := range []string{r.Engine, "base names shared", "listens after", "search, two words"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}

func TestListingsAreKeptForTheNextRun(t *testing.T) {
	data := t.TempDir()
	c := Corpus{Users: 10, PerUser: 3, Seed: 1}
	told := 0
	open := func(c Corpus) (*loaded, error) {
		return openLoaded(t.Context(), c, data, nil, func(string) { told++ })
	}
	for range 2 {
		l, err := open(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.readAll(t.Context()); err != nil {
			t.Error(err)
		}
		if err := l.discard(); err != nil {
			t.Error(err)
		}
	}
	if told != 1 {
		t.Errorf("they were written %d times", told)
	}
	other := c
	other.Seed++
	if _, err := open(other); !errors.Is(err, lonja.Invalid) {
		t.Errorf("other listings in their place: %v", err)
	}
	if err := os.Remove(filepath.Join(data, c.Shape(), noteFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := open(c); !errors.Is(err, lonja.Invalid) {
		t.Errorf("listings of a run that was ended: %v", err)
	}
}

// TestCorpusIsWhatItSays loads both shapes.
func TestCorpusIsWhatItSays(t *testing.T) {
	for _, unique := range []bool{false, true} {
		c := Corpus{Users: 40, PerUser: 5, Unique: unique, Seed: 7}
		d := corpusDirectory(t, c)
		bases := make(map[string]int)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range c.Users {
			listings, err := d.ListContent(t.Context(), corpusUser(0), corpusUser(i))
			if err != nil || len(listings) != c.PerUser {
				t.Fatalf("%d listings, %v", len(listings), err)
			}
			for _, l := range listings {
				bases[l.Name.Base()]++
			}
			words := twoWords(rng, listings[0])
			page, err := d.Search(t.Context(), corpusUser(0), lonja.Query{Words: words})
			if err != nil || len(page.Found) == 0 {
				t.Errorf("%q of a listing that is there finds %v, %v", words, page.Found, err)
			}
		}
		if all := c.Users * c.PerUser; (len(bases) == all) != unique {
			t.Errorf("%s: %d base names of %d listings", c.Shape(), len(bases), all)
		}
	}
}

// corpusDirectory returns a directory that holds a corpus, in memory, with all
// users connected.
func corpusDirectory(t *testing.T, c Corpus) *directory.Directory {
	t.Helper()
	kept := memstore.New()
	d, err := directory.Open(t.Context(), directory.Options{Store: kept})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = d.Close(), kept.Close() })
	if err := importCorpus(t.Context(), d, c); err != nil {
		t.Fatal(err)
	}
	if err := connectCorpus(t.Context(), d, c, 1); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRunIndexRefusesNonsense(t *testing.T) {
	right := IndexOptions{Users: 100, PerUser: 1, Unique: []bool{true}, Writers: 4, Rounds: 1, Duration: shortly}
	tests := map[string]func(*IndexOptions){
		"too few users": func(o *IndexOptions) { o.Users = 12 },
		"no listings":   func(o *IndexOptions) { o.PerUser = 0 },
		"no writers":    func(o *IndexOptions) { o.Writers = 0 },
		"no shape":      func(o *IndexOptions) { o.Unique = nil },
		"no rounds":     func(o *IndexOptions) { o.Rounds = 0 },
	}
	for name, spoil := range tests {
		o := right
		spoil(&o)
		if _, err := RunIndex(t.Context(), o); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
