package apiserver_test

import (
	"context"
	"errors"
	"testing"

	"lonja"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
)

// claimed is a directory in which a name is bound to somebody's key between the
// moment that it is asked who may read, and the reading.
type claimed struct {
	lonja.MemberDirectory
	claim func()
}

func (c *claimed) ContentPage(ctx context.Context, user, owner lonja.UserName, after lonja.Cursor, limit int) ([]lonja.Listing, lonja.Cursor, error) {
	c.claim()
	return c.MemberDirectory.ContentPage(ctx, user, owner, after, limit)
}

// TestReadersAreAskedTwice: whoever read for a name while that became somebody
// else's learns nothing.
func TestReadersAreAskedTwice(t *testing.T) {
	dir := &claimed{MemberDirectory: directorytest.New(t)}
	s := site(t, apitest.Setup{Directory: dir})
	owner := apitest.Certificate(t)
	stranger, ana := client(t, s, apitest.Certificate(t)), client(t, s, owner)
	ctx := t.Context()
	for _, err := range []error{ana.Register(ctx, "ana"), ana.Connect(ctx, "ana", here[0])} {
		if err != nil {
			t.Fatal(err)
		}
	}
	dir.claim = func() {
		if err := ana.Claim(ctx, lonja.Member{User: "ana", Key: apitest.KeyOf(owner)}, here[0].Addr()); err != nil {
			t.Error(err)
		}
	}
	if listings, _, err := stranger.ContentPage(ctx, "ana", "ana", "", 0); !errors.Is(err, lonja.OtherKey) {
		t.Errorf("a stranger got %v, %v", listings, err)
	}
}
