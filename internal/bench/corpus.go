package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"

	"lonja"
	"lonja/internal/operator"
)

// A Corpus is made-up accounts and listings, the same for the same values. The
// words of names and descriptions come as often as in natural language: by
// Zipf's law.
type Corpus struct {
	Users   int    `json:"users"`
	PerUser int    `json:"per_user"` // listings of each
	Unique  bool   `json:"unique"`   // no two listings have a base name in common
	Seed    uint64 `json:"seed"`
}

// Shape says in a word which of the two kinds of corpus it is.
func (c Corpus) Shape() string {
	if c.Unique {
		return "unique"
	}
	return "shared"
}

// corpusUser names the users of a corpus. No script has any of these.
func corpusUser(i int) lonja.UserName { return lonja.UserName(fmt.Sprintf("person%06d", i)) }

// The words of a corpus, and how many listings share a base name on average
// where they do.
const (
	vocabularySize = 20_000
	zipfExponent   = 1.1
	zipfOffset     = 5
	sharedBy       = 10
)

// A scribe makes up names and descriptions.
type scribe struct {
	rng        *rand.Rand
	vocabulary []string
	zipf       *rand.Zipf
}

func newScribe(seed uint64) *scribe {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := &scribe{rng: rng, vocabulary: make([]string, vocabularySize)}
	for i := range s.vocabulary {
		word := make([]byte, 3+rng.IntN(7))
		for j := range word {
			word[j] = byte('a' + rng.IntN(26))
		}
		s.vocabulary[i] = string(word)
	}
	s.zipf = rand.NewZipf(rng, zipfExponent, zipfOffset, vocabularySize-1)
	return s
}

func (s *scribe) word() string { return s.vocabulary[s.zipf.Uint64()] }

// base returns a base name. The last of its words may be given.
func (s *scribe) base(last string) string {
	extensions := [...]string{"mp3", "pdf", "txt", "ogg", "mkv", "zip"}
	return fmt.Sprintf("%s_%s_%s.%s", s.word(), s.word(), last, extensions[s.rng.IntN(len(extensions))])
}

func (s *scribe) description() string {
	return fmt.Sprintf("%s %s %s %s", s.word(), s.word(), s.word(), s.word())
}

// The lines of an export, as docs/operating.md describes them.
type (
	exportHeader struct {
		Lonja struct {
			Export int `json:"export"`
		} `json:"lonja"`
	}
	exportAccount struct {
		Account struct {
			User   operator.Text `json:"user"`
			Number uint64        `json:"number"`
		} `json:"account"`
	}
	exportPublication struct {
		Publication struct {
			User        operator.Text `json:"user"`
			Name        operator.Text `json:"name"`
			Description operator.Text `json:"description"`
			Size        int64         `json:"size"`
		} `json:"publication"`
	}
	exportEnd struct {
		End struct {
			Accounts     int `json:"accounts"`
			Publications int `json:"publications"`
		} `json:"end"`
	}
)

// export writes the corpus as an export that a directory imports.
func (c Corpus) export(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	lines := json.NewEncoder(out)
	var header exportHeader
	header.Lonja.Export = 1
	if err := lines.Encode(header); err != nil {
		return err
	}
	s := newScribe(c.Seed)
	shared := make([]string, max(c.Users*c.PerUser/sharedBy, 1))
	for i := range shared {
		shared[i] = s.base(s.word())
	}
	for i := range c.Users {
		if err := c.exportUser(lines, s, shared, i); err != nil {
			return err
		}
	}
	var end exportEnd
	end.End.Accounts, end.End.Publications = c.Users, c.Users*c.PerUser
	if err := lines.Encode(end); err != nil {
		return err
	}
	return out.Flush()
}

func (c Corpus) exportUser(lines *json.Encoder, s *scribe, shared []string, i int) error {
	var account exportAccount
	account.Account.User, account.Account.Number = operator.Text(corpusUser(i)), uint64(i+1)
	if err := lines.Encode(account); err != nil {
		return err
	}
	var line exportPublication
	p := &line.Publication
	p.User = operator.Text(corpusUser(i))
	for f := range c.PerUser {
		base := shared[s.rng.IntN(len(shared))]
		if c.Unique {
			base = s.base(fmt.Sprint(i*c.PerUser + f))
		}
		// A folder each, so that nobody has one path twice.
		p.Name = operator.Text(fmt.Sprintf("/home/%s/%s%d/%s", p.User, s.vocabulary[f%vocabularySize], f, base))
		p.Description = operator.Text(s.description())
		p.Size = s.rng.Int64N(1 << 30)
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
