package folder_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/tree"
)

// encode returns the list of entries.
func encode(t testing.TB, entries []folder.Entry) ([]byte, error) {
	t.Helper()
	var b bytes.Buffer
	w := folder.NewWriter(&b)
	for _, e := range entries {
		if err := w.Add(e); err != nil {
			if !errors.Is(err, lonja.Invalid) {
				t.Errorf("got %v, want kind %v", err, lonja.Invalid)
			}
			return nil, err
		}
	}
	_, err := w.Close()
	return b.Bytes(), err
}

func decode(b []byte) (entries []folder.Entry, totals folder.Totals, err error) {
	r := folder.NewReader(bytes.NewReader(b))
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries, r.Totals(), nil
		}
		if err != nil {
			return entries, r.Totals(), err
		}
		entries = append(entries, e)
	}
}

// names are few, so that paths share beginnings and meet.
var names = rapid.SampledFrom([]string{"a", "b", "aa", "a!", "a b", "ä", ".x", "\u0001", "long" + strings.Repeat("g", 200)})

// anyEntries draws what makes a folder, in order.
func anyEntries(t *rapid.T) []folder.Entry {
	byPath := make(map[string]folder.Entry)
	for range rapid.IntRange(0, 200).Draw(t, "entries") {
		path := strings.Join(rapid.SliceOfN(names, 1, 4).Draw(t, "path"), "/")
		e := folder.Entry{Path: path, Kind: folder.Kind(rapid.IntRange(1, 3).Draw(t, "kind"))}
		if e.IsFile() {
			e.Size = rapid.Int64Range(0, 1<<41).Draw(t, "size")
			e.ID = lonja.FileID{1, byte(len(byPath))}
		}
		fits := true
		for other := range byPath {
			fits = fits && !strings.HasPrefix(other+"/", path+"/") && !strings.HasPrefix(path+"/", other+"/")
		}
		if fits {
			byPath[path] = e
		}
	}
	var entries []folder.Entry
	for _, e := range byPath {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b folder.Entry) int { return folder.Compare(a.Path, b.Path) })
	return entries
}

// TestRoundTrip: what was written is read back, all of it and from each block on.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := anyEntries(rt)
		list, err := encode(t, want)
		if err != nil {
			rt.Fatal(err)
		}
		got, totals, err := decode(list)
		if err != nil || !slices.Equal(got, want) {
			rt.Fatalf("got %v, %v; want %v", got, err, want)
		}
		var sum folder.Totals
		for _, e := range want {
			sum.Entries++
			if e.IsFile() {
				sum.Files++
				sum.Bytes += e.Size
			}
		}
		if totals != sum {
			rt.Fatalf("got %+v, want %+v", totals, sum)
		}
		r := folder.NewReader(bytes.NewReader(list))
		for i := range want {
			if _, err := r.Next(); err != nil {
				rt.Fatal(err)
			}
			if i%folder.BlockEntries != 0 {
				continue
			}
			var block []folder.Entry
			err := folder.ReadBlock(bytes.NewReader(list), r.Offset(), func(e folder.Entry) error {
				block = append(block, e)
				return nil
			})
			if end := min(len(want), i+folder.BlockEntries); err != nil || !slices.Equal(block, want[i:end]) {
				rt.Fatalf("block at %d: got %v, %v", i, block, err)
			}
		}
	})
}

// TestOrderIsThatOfWalking: a directory's entries stand together.
func TestOrderIsThatOfWalking(t *testing.T) {
	for _, c := range [][2]string{{"a", "b"}, {"a/b", "a!"}, {"a/b", "ab"}, {"a/b/c", "a/b!"}, {"a", "a/b"}} {
		if folder.Compare(c[0], c[1]) >= 0 || folder.Compare(c[1], c[0]) <= 0 || folder.Compare(c[0], c[0]) != 0 {
			t.Errorf("%q does not come before %q", c[0], c[1])
		}
	}
}

// TestRefused: what can be nobody's folder is neither written nor read.
func TestRefused(t *testing.T) {
	file := func(path string) folder.Entry {
		return folder.Entry{Path: path, Kind: folder.File, ID: lonja.FileID{1}}
	}
	for name, entries := range map[string][]folder.Entry{
		"up":                     {file("../a")},
		"up in between":          {file("a/../b")},
		"absolute":               {file("/etc/passwd")},
		"nothing":                {file("")},
		"an empty part":          {file("a//b")},
		"a slash at the end":     {file("a/")},
		"itself":                 {file("./a")},
		"NUL":                    {file("a\x00b")},
		"not UTF-8":              {file("a\xff")},
		"a long name":            {file(strings.Repeat("a", 256))},
		"a long path":            {file(strings.Repeat("abcdefg/", 600) + "a")},
		"too deep":               {file(strings.Repeat("a/", 200) + "a")},
		"twice":                  {file("a"), file("a")},
		"out of order":           {file("b"), file("a")},
		"a file and a directory": {file("a"), file("a/b")},
		"empty and not":          {{Path: "a", Kind: folder.EmptyDirectory}, file("a/b")},
		"another kind":           {{Path: "a", Kind: 4}},
		"below zero":             {{Path: "a", Kind: folder.File, Size: -1}},
		"a size of a directory":  {{Path: "a", Kind: folder.EmptyDirectory, Size: 1}},
		"an id of a directory":   {{Path: "a", Kind: folder.EmptyDirectory, ID: lonja.FileID{1}}},
		"too big":                {{Path: "a", Kind: folder.File, Size: 1 << 50}, {Path: "b", Kind: folder.File, Size: 1}},
	} {
		if _, err := encode(t, entries); err == nil {
			t.Errorf("%s: it is written", name)
		}
		b := []byte(folder.Magic)
		last := ""
		for _, e := range entries {
			b = handMade(b, e, last)
			last = e.Path
		}
		if _, _, err := decode(append(b, 0, byte(len(entries)), byte(len(entries)), 0)); !errors.Is(err, lonja.Malformed) {
			t.Errorf("%s: read with error %v, want kind %v", name, err, lonja.Malformed)
		}
	}
}

// handMade appends an entry without a look at it.
func handMade(b []byte, e folder.Entry, last string) []byte {
	shared := 0
	for shared < len(last) && shared < len(e.Path) && last[shared] == e.Path[shared] {
		shared++
	}
	number := func(n uint64) {
		for ; n >= 0x80; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		b = append(b, byte(n))
	}
	b = append(b, byte(e.Kind))
	number(uint64(shared))
	number(uint64(len(e.Path) - shared))
	b = append(b, e.Path[shared:]...)
	if e.IsFile() {
		number(uint64(e.Size))
		b = append(b, e.ID[:]...)
	}
	return b
}

// TestDamagedLists: each part of a list says whether it is one.
func TestDamagedLists(t *testing.T) {
	list, err := encode(t, []folder.Entry{{Path: "a", Kind: folder.File, Size: 300, ID: lonja.FileID{1}}, {Path: "b", Kind: folder.EmptyDirectory}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if _, _, err := decode(list[:i]); !errors.Is(err, lonja.Malformed) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, _, err := decode(append(slices.Clone(list), 0)); !errors.Is(err, lonja.Malformed) {
		t.Errorf("with something behind it: %v", err)
	}
	for _, total := range []int{len(list) - 4, len(list) - 3, len(list) - 1} {
		wrong := slices.Clone(list)
		wrong[total]++
		if _, _, err := decode(wrong); !errors.Is(err, lonja.Malformed) {
			t.Errorf("wrong totals at %d: %v", total, err)
		}
	}
	if _, _, err := decode([]byte("lonja folder v2\n\x00\x00\x00\x00")); !errors.Is(err, lonja.Malformed) {
		t.Errorf("another version: %v", err)
	}
	unreadable := folder.NewReader(io.MultiReader(strings.NewReader(folder.Magic), failing{}))
	if _, err := unreadable.Next(); !errors.Is(err, lonja.LocalFile) || !errors.Is(err, os.ErrPermission) {
		t.Errorf("unreadable: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, os.ErrPermission }

// FuzzList: what is read as a list is the one list that says that, and does not
// lead out of a folder.
func FuzzList(f *testing.F) {
	list, err := encode(f, []folder.Entry{
		{Path: "a", Kind: folder.EmptyDirectory},
		{Path: "b/c", Kind: folder.File, Size: 3, ID: lonja.FileID{1}},
		{Path: "b/d", Kind: folder.Executable, Size: 1 << 40, ID: lonja.FileID{2}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(list)
	f.Add([]byte(folder.Magic + "\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, _, err := decode(b)
		if err != nil {
			return
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Path, "/") || slices.Contains(strings.Split(e.Path, "/"), "..") {
				t.Errorf("path %q", e.Path)
			}
		}
		if again, err := encode(t, entries); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x is read as %v, which is %x (%v)", b, entries, again, err)
		}
	})
}

// TestDocumented: docs/protocol.md shows a list; other programs are written from it.
func TestDocumented(t *testing.T) {
	list, err := encode(t, []folder.Entry{{Path: "a/b", Kind: folder.File, Size: 1, ID: tree.Sum([]byte("x"))}})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	if shown := strings.ReplaceAll(string(doc), " ", ""); !strings.Contains(shown, hex.EncodeToString(list)) {
		t.Errorf("the document does not have\n%x", list)
	}
}
