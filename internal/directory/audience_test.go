package directory

import (
	"slices"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/memstore"
)

// TestAudiencesTravel: who was meant by an audience, and who has only taken a
// name since, is the same after a restart; an import takes along what all who
// are named may still see, and leaves out the rest.
func TestAudiencesTravel(t *testing.T) {
	s := memstore.New()
	d := open(t, s)
	ctx := t.Context()
	ana, luis, next, eva := newSigner("ana", "ana"), newSigner("luis", "luis"), newSigner("luis", "next"), newSigner("eva", "eva")
	join(t, d, ana, luis, eva)
	must(t, d.Publish(ctx, "ana", ana.listing(t, "to luis", "luis", "eva")),
		d.Publish(ctx, "ana", ana.listing(t, "to eva", "eva")),
		d.Unregister(ctx, "luis"), d.RegisterMember(ctx, next.Member, ""))
	sees := func(what string, d *Directory, user lonja.UserName, want ...lonja.FileName) {
		t.Helper()
		listings, err := d.ListContent(ctx, user, "ana")
		must(t, err)
		var names []lonja.FileName
		for _, l := range listings {
			names = append(names, l.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %s sees %q, want %q", what, user, names, want)
		}
	}
	again := open(t, s)
	for what, d := range map[string]*Directory{"at first": d, "after a restart": again} {
		sees(what, d, "luis")
		sees(what, d, "eva", "to eva", "to luis")
		sees(what, d, "ana", "to eva", "to luis")
	}
	imported := open(t, memstore.New())
	_, err := imported.Import(ctx, strings.NewReader(export(t, d)))
	must(t, err)
	sees("imported", imported, "luis")
	sees("imported", imported, "eva", "to eva")
}
