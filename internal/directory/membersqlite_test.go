package directory

import (
	"testing"

	"lonja/internal/dirtest"
	"lonja/internal/sqlitestore"
)

// TestMemberContractOnDisk: the same on the engine that most directories have.
func TestMemberContractOnDisk(t *testing.T) {
	dirtest.RunMembers(t, func(t *testing.T, opts dirtest.MemberOptions) dirtest.MemberDirectory {
		s, err := sqlitestore.Open(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		d := openWith(t, s, memberOptions(opts))
		return asMembers(t, d, d)
	})
}
