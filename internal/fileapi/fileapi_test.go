package fileapi

import (
	"strings"
	"testing"

	"lonja"
)

func TestPath(t *testing.T) {
	id := lonja.FileID{0xab, 31: 1}
	paths := map[string]bool{}
	for part := range parts {
		path := part.Path(id)
		paths[path] = true
		if got, gotPart, ok := ParsePath(path); !ok || got != id || gotPart != part {
			t.Errorf("%s: %v, %v, %v", path, got, gotPart, ok)
		}
		for _, bad := range []string{
			path + "/", path + "0", path + "?x=1", path[:len(path)-1], path[1:], "/" + path, strings.ToUpper(path),
			strings.Replace(path, "ab", "AB", 1), strings.Replace(path, "ab", "xy", 1), strings.Replace(path, "v1", "v2", 1),
			prefix + "../" + path[len(prefix)+3:],
		} {
			if _, _, ok := ParsePath(bad); ok {
				t.Errorf("%q is taken for a path", bad)
			}
		}
	}
	if len(paths) != int(parts) {
		t.Errorf("two parts have one path: %v", paths)
	}
	for _, bad := range []string{"", "/", prefix, Tree.Path(id) + "/have", Path(id) + "/Tree", Path(id) + "//tree", Path(id) + "/pieces"} {
		if _, _, ok := ParsePath(bad); ok {
			t.Errorf("%q is taken for a path", bad)
		}
	}
}

// Every kind has a status that is a failure, and no status that the server gives
// is taken for something worse than it is.
func TestStatuses(t *testing.T) {
	want := map[lonja.Kind]lonja.Kind{
		lonja.Invalid: lonja.Invalid, lonja.Forbidden: lonja.Forbidden, lonja.NoSuchFile: lonja.NoSuchFile,
		lonja.Conflict: lonja.Conflict, lonja.Limited: lonja.Limited, lonja.Internal: lonja.Refused,
		lonja.LocalFile: lonja.Refused, lonja.Untrusted: lonja.Forbidden, lonja.NoHolder: lonja.NoHolder,
	}
	for _, kind := range lonja.Kinds() {
		status := Status(kind)
		if status < 400 || status > 599 {
			t.Errorf("%v has status %d", kind, status)
		}
		if back, listed := want[kind]; listed && Kind(status) != back {
			t.Errorf("%v comes back as %v, want %v", kind, Kind(status), back)
		}
	}
	if Kind(410) != lonja.Conflict || Kind(429) != lonja.Limited || Kind(302) != lonja.Refused {
		t.Error("statuses of other servers are not understood")
	}
}

func FuzzParsePath(f *testing.F) {
	for part := range parts {
		f.Add(part.Path(lonja.FileID{1}))
	}
	f.Add("/v1/files/../../etc/passwd")
	f.Fuzz(func(t *testing.T, path string) {
		if id, part, ok := ParsePath(path); ok && part.Path(id) != path {
			t.Errorf("%q is taken for %q", path, part.Path(id))
		}
	})
}
