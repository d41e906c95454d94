package shell

import (
	"math"
	"strings"
	"testing"

	"lonja"
)

func TestParseFind(t *testing.T) {
	for line, want := range map[string]Command{
		"find":                  {More: true},
		"FIND  ":                {More: true},
		"find a poem":           {Query: lonja.Query{Words: "a poem"}},
		"find  two   blanks":    {Query: lonja.Query{Words: "two blanks"}},
		"find ñandú http://x":   {Query: lonja.Query{Words: "ñandú http://x"}},
		"find online:no":        {},
		"find poem limit:2":     {Query: lonja.Query{Words: "poem", Limit: 2}},
		"find ext:.ogg":         {Query: lonja.Query{Extension: "ogg"}},
		"find base:/home/a/b.c": {Query: lonja.Query{Base: "b.c"}},
		"find min:1kB a MAX:10kB ext:ogg owner:ana b base:b.ogg Online:Yes limit:1000": {Query: lonja.Query{
			Words: "a b", Base: "b.ogg", Extension: "ogg", MinSize: 1000, MaxSize: 10_000,
			Owner: "ana", OnlineOnly: true, Limit: 1000,
		}},
	} {
		want.Verb = Find
		got, err := Parse(line)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", line, got, err, want)
		}
	}
}

func TestParseFindErrors(t *testing.T) {
	for line, want := range map[string]string{
		"find min:many":                    "Error: min:many: not a size like 500, 10MB or 1.5GiB",
		"find max:0":                       "Error: max:0: the largest size must be above zero",
		"find ext:":                        "Error: ext:: an extension like ogg is missing",
		"find base:/folder/":               "Error: base:/folder/: the name is that of a folder",
		"find owner:":                      "Error: owner:: user name is empty",
		"find online:perhaps":              "Error: online:perhaps: neither yes nor no",
		"find max:10 min:1k":               "Error: the largest size 10 is below the smallest, 1000",
		"find limit:0":                     "Error: limit:0: not a number from 1 to 1000",
		"find limit:1001":                  "Error: limit:1001: not a number from 1 to 1000",
		"find limit:\x1b[2J":               "Error: limit:\ufffd[2J: not a number from 1 to 1000",
		"find " + strings.Repeat("x", 256): "Error: search is too long: 256 bytes, at most 255",
	} {
		if got, err := Parse(line); err == nil || err.Error() != want {
			t.Errorf("%.30q: got %+v, %v; want %s", line, got, err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "500": 500, "500B": 500, "1k": 1000, "1kB": 1000, "1KiB": 1024, "10MB": 10_000_000, "10 mb": 10_000_000,
		"1.5GiB": 3 << 29, ".5M": 500_000, "2T": 2e12, "9223372036854775807": math.MaxInt64,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "MB", "1e3", "0x10", "NaN", "Inf", "1.2.3", "1 0", "1BB", "1MM", "9223372036854775808", "10000000TiB", "1ı"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_500_000: "1.5 MB", 999_949: "999.9 kB", 999_950: "1.0 MB", math.MaxInt64: "9.2 EB",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestFoundLines(t *testing.T) {
	found := func(owner, name, description string, size int64) lonja.Found {
		return lonja.Found{Owner: lonja.UserName(owner), Online: 1, Holders: 12, Listing: lonja.Listing{
			Name: lonja.FileName(name), Description: lonja.Description(description), Size: size,
		}}
	}
	const unknown = lonja.UnknownSize
	for name, c := range map[string]struct {
		page   lonja.FoundPage
		before int
		want   string
	}{
		"nothing":      {lonja.FoundPage{}, 0, "\tNOTHING FOUND\n"},
		"nothing more": {lonja.FoundPage{}, 50, "\tNOTHING MORE FOUND\n"},
		"sizes unknown, and more": {
			lonja.FoundPage{Found: []lonja.Found{found("ana", "/a/ñu.txt", "a\x1b[2J", unknown), found("luis", "/b", "", unknown)}, Next: "c"},
			50,
			"\tFOUND50: ñu.txt\t1 of 12 online\tana \t/a/ñu.txt\ta\ufffd[2J\n" +
				"\tFOUND51: b     \t1 of 12 online\tluis\t/b\n\tMORE WITH: FIND\n",
		},
		"one size known": {
			lonja.FoundPage{Found: []lonja.Found{found("ana", "/a", "", unknown), found("ana", "/b", "", 2500)}},
			0,
			"\tFOUND0: a\t1 of 12 online\t      \tana\t/a\n\tFOUND1: b\t1 of 12 online\t2.5 kB\tana\t/b\n",
		},
	} {
		if got := Found(c.page, c.before); got != c.want {
			t.Errorf("%s: got\n%q\nwant\n%q", name, got, c.want)
		}
	}
}
