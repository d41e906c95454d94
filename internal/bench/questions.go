package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"

	"lonja"
)

// A Question is a kind of reading.
type Question uint8

// The questions. The first is the limit: what the clock and the machine show
// when nothing is asked at all.
const (
	NoQuestion Question = iota
	ContentQuestion
	HoldersQuestion
	SearchQuestion
	questionCount
)

// String returns the question's name.
func (q Question) String() string {
	return [...]string{
		NoQuestion: "nothing", ContentQuestion: "list content",
		HoldersQuestion: "holders", SearchQuestion: "search, two words",
	}[q]
}

// MarshalText makes JSON write the name.
func (q Question) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// questions are what to ask about the listings of a corpus, made before anything
// is timed.
type questions struct {
	asker   lonja.UserName // is connected
	owners  []lonja.UserName
	names   []lonja.FileName // of listings
	queries []lonja.Query
}

// questionsPerKind is enough that the answers do not stay in a processor's cache.
const questionsPerKind = 8192

// makeQuestions draws listings from a directory that holds a corpus, and asks
// about those.
func makeQuestions(ctx context.Context, d lonja.Lookups, c Corpus) (*questions, error) {
	q := &questions{asker: corpusUser(0)}
	rng := rand.New(rand.NewPCG(c.Seed, 2))
	for range questionsPerKind {
		owner := corpusUser(rng.IntN(c.Users))
		listings, err := d.ListContent(ctx, q.asker, owner)
		if err != nil {
			return nil, err
		}
		if len(listings) == 0 {
			return nil, errors.New("a user of the corpus has published nothing")
		}
		listing := listings[rng.IntN(len(listings))]
		q.owners = append(q.owners, owner)
		q.names = append(q.names, listing.Name)
		q.queries = append(q.queries, lonja.Query{Words: twoWords(rng, listing)})
	}
	return q, nil
}

// twoWords returns two words of a listing's base name and description, the
// second cut to a beginning of any length.
func twoWords(rng *rand.Rand, l lonja.Listing) string {
	words := strings.FieldsFunc(string(l.Name.Base())+" "+string(l.Description), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	order := rng.Perm(len(words))
	second := words[order[1]]
	return words[order[0]] + " " + second[:1+rng.IntN(len(second))]
}

// ask asks question number n of a kind. That nobody who is connected has a file
// is an answer too.
func (q *questions) ask(ctx context.Context, d reader, kind Question, n int) (err error) {
	n %= questionsPerKind
	switch kind {
	case NoQuestion:
		for began := time.Now(); time.Since(began) < idling; {
		}
	case ContentQuestion:
		_, err = d.ListContent(ctx, q.asker, q.owners[n])
	case HoldersQuestion:
		if _, err = d.Holders(ctx, q.asker, q.names[n]); errors.Is(err, lonja.NoHolder) {
			err = nil
		}
	case SearchQuestion:
		_, err = d.Search(ctx, q.asker, q.queries[n])
	}
	return err
}

// A reader answers questions.
type reader interface {
	lonja.Lookups
	lonja.Searcher
}

// keepAsking asks one question after the other until the window ends, and
// returns how long those took that began within it.
func (q *questions) keepAsking(ctx context.Context, d reader, kind Question, w window) ([]time.Duration, error) {
	var latencies []time.Duration
	for n := 0; ; n++ {
		start := time.Now()
		if !start.Before(w.to) {
			return latencies, nil
		}
		if err := q.ask(ctx, d, kind, n); err != nil {
			return nil, err
		}
		if end := time.Now(); w.has(start) {
			latencies = append(latencies, end.Sub(start))
		}
	}
}

// idling is how long it takes to ask nothing: no longer than a short answer.
const idling = 5 * time.Microsecond
