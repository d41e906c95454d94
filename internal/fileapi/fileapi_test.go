package fileapi

import (
	"strings"
	"testing"

	"lonja"
)

func TestPath(t *testing.T) {
	id := lonja.FileID{0xab, 31: 1}
	if got, ok := ParsePath(Path(id)); !ok || got != id {
		t.Errorf("%s: %v, %v", Path(id), got, ok)
	}
	for _, bad := range []string{
		"", "/", prefix, Path(id) + "/", Path(id) + "0", Path(id)[:len(prefix)+63], strings.ToUpper(Path(id)),
		strings.Replace(Path(id), "ab", "AB", 1), strings.Replace(Path(id), "ab", "xy", 1), "/v2/files/" + id.String(),
		prefix + "../" + id.String()[3:], "/" + Path(id),
	} {
		if _, ok := ParsePath(bad); ok {
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
		lonja.LocalFile: lonja.Refused, lonja.Untrusted: lonja.Forbidden,
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
	f.Add(Path(lonja.FileID{1}))
	f.Add("/v1/files/../../etc/passwd")
	f.Fuzz(func(t *testing.T, path string) {
		if id, ok := ParsePath(path); ok && Path(id) != path {
			t.Errorf("%q is taken for %q", path, Path(id))
		}
	})
}
