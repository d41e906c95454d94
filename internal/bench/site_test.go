package bench

import (
	"path/filepath"
	"testing"
)

// TestServersKeepTheirDataWhereTheyAreTold, and leave nothing there.
func TestServersKeepTheirDataWhereTheyAreTold(t *testing.T) {
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		data string
		kept int
	}{{t.TempDir(), 1}, {InMemory, 0}} {
		emptyTemp(t)
		s, err := openSite(t.Context(), Options{Executable: file, Data: test.data}, Trial{Target: Lonja})
		if err != nil {
			t.Fatal(err)
		}
		found := func() int {
			there, err := filepath.Glob(filepath.Join(test.data, "*", serverData, "directory.db"))
			if err != nil {
				t.Fatal(err)
			}
			return len(there)
		}
		if got := found(); got != test.kept {
			t.Errorf("%s: %d databases while it runs, want %d", test.data, got, test.kept)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		if got := found(); got != 0 {
			t.Errorf("%s: %d databases are left", test.data, got)
		}
	}
}
