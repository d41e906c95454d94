package folder_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"lonja/internal/folder"
)

func locals(rules folder.Rules, paths ...string) []string {
	n := folder.NewNames(rules)
	var all []string
	for _, p := range paths {
		all = append(all, n.Local(p))
	}
	return all
}

// TestSafeNamesStay: most names are what they are.
func TestSafeNamesStay(t *testing.T) {
	paths := []string{"a", "b/c d.txt", "b/ñandú", "b/~x", "Ärger/x", "ärger/x"}
	if got := locals(folder.Rules{}, paths...); !slices.Equal(got, paths) {
		t.Errorf("got %q", got)
	}
}

// TestUnsafeNames get others, the same ones each time, with their endings.
func TestUnsafeNames(t *testing.T) {
	long := strings.Repeat("ä", 127)
	paths := []string{".lonja-part/x", "a\nb/c.txt", "a\x1b[31m.txt", "b\u202ejpg.exe", "c\\d", long + ".mkv"}
	rules := folder.Rules{MaxName: 143, Reserved: []string{".lonja-part"}}
	got := locals(rules, paths...)
	if !slices.Equal(got, locals(rules, paths...)) {
		t.Error("they are others the second time")
	}
	for i, local := range got {
		if local == paths[i] || strings.ContainsFunc(local, func(r rune) bool { return unicode.IsControl(r) || r == '\\' || r == '\u202e' }) {
			t.Errorf("%q is called %q", paths[i], local)
		}
		for part := range strings.SplitSeq(local, "/") {
			if len(part) > 143 {
				t.Errorf("%q is too long", part)
			}
		}
	}
	if !strings.HasSuffix(got[1], "/c.txt") || !strings.HasSuffix(got[5], ".mkv") || !strings.HasSuffix(got[3], ".exe") {
		t.Errorf("got %q", got)
	}
	if inside := locals(folder.Rules{Reserved: []string{"top"}}, "a/top"); inside[0] != "a/top" {
		t.Errorf("got %q for what is reserved at the top only", inside)
	}
	if folded := locals(folder.Rules{Folds: true, Reserved: rules.Reserved}, ".LONJA-part"); folded[0] == ".LONJA-part" {
		t.Error("a reserved name comes in other letters")
	}
}

// TestNamesOfWhatIsOnItsWay: nothing comes under a name that would be taken for the
// parts of another file, at whichever depth and in whichever letters.
func TestNamesOfWhatIsOnItsWay(t *testing.T) {
	for _, rules := range []folder.Rules{{}, {Folds: true}, {MaxName: 40}} {
		for _, name := range []string{
			".film.mkv.lonja-part", ".FILM.mkv.Lonja-Part", ".lonja-part", ".film.mkv.lonja-ABCDEFG7", ".film.lonja-abcdefg7",
			".film\n.lonja-part", ".film.lonja-part\u200c", "." + strings.Repeat("long", 50) + ".lonja-part",
		} {
			for _, path := range []string{name, "a/b/" + name, name + "/record"} {
				for part := range strings.SplitSeq(locals(rules, path)[0], "/") {
					low := strings.ToLower(part)
					if strings.HasSuffix(low, ".lonja-part") || strings.Contains(low, ".lonja-a") && !strings.Contains(low, "~") {
						t.Errorf("%q is called %q", path, part)
					}
				}
			}
		}
	}
	for _, name := range []string{"lonja-part", ".lonja-part.txt", "x.lonja-abcdefg1", "notes.lonja-parts"} {
		if got := locals(folder.Rules{}, name)[0]; got != name {
			t.Errorf("%q is called %q", name, got)
		}
	}
}

// TestFoldedNames: what the file system takes for one name are two files still.
func TestFoldedNames(t *testing.T) {
	got := locals(folder.Rules{Folds: true}, "A", "Dir/x", "a", "dir/x", "e\u0301", "\u00e9")
	if got[0] != "A" || got[1] != "Dir/x" || got[2] == "a" || got[3] == "dir/x" || got[5] == "\u00e9" {
		t.Errorf("got %q", got)
	}
}

// TestNamesNeverMeet: no two paths get one, whatever somebody thinks up, and none
// leads elsewhere.
func TestNamesNeverMeet(t *testing.T) {
	known := locals(folder.Rules{}, "a\n", "a\r", "B")
	parts := rapid.SampledFrom(append([]string{"a", "A", "a\n", "a\r", "a_", "b", "B", "é", "e\u0301", ".p", ".x.lonja-part", strings.Repeat("x", 255)}, known...))
	rapid.Check(t, func(t *rapid.T) {
		rules := folder.Rules{Folds: rapid.Bool().Draw(t, "folds"), MaxName: rapid.SampledFrom([]int{0, 40}).Draw(t, "most"), Reserved: []string{".p"}}
		paths := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(parts, 2, 2).Draw(t, "path"), "/")
		}), 1, 60).Draw(t, "paths")
		slices.SortFunc(paths, folder.Compare)
		paths = slices.Compact(paths)
		taken := make(map[string]string)
		for i, local := range locals(rules, paths...) {
			if err := folder.CheckPath(local); err != nil {
				t.Fatal(err)
			}
			key := local
			if rules.Folds {
				key = norm.NFC.String(cases.Fold().String(norm.NFD.String(local)))
			}
			if other, there := taken[key]; there {
				t.Fatalf("%q and %q are both %q", other, paths[i], local)
			}
			taken[key] = paths[i]
		}
	})
}
