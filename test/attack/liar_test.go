package attack_test

import (
	"io"
	"log"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/statement"
)

// nobodyReads is the log of servers that attack.
var nobodyReads = log.New(io.Discard, "", 0)

func endpoint(at string) lonja.Endpoint {
	return lonja.Endpoint{AddrPort: netip.MustParseAddrPort(at)}
}

// each returns a lie about each holder.
func each(lie func(*lonja.Holder)) func([]lonja.Holder) []lonja.Holder {
	return func(holders []lonja.Holder) []lonja.Holder {
		for i := range holders {
			proof := *holders[i].Proof // the directory's own is shared
			holders[i].Proof = &proof
			lie(&holders[i])
		}
		return holders
	}
}

// TestForgedPublications: a directory that changes anything of what an owner has
// signed is found out before the owner is asked.
func TestForgedPublications(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	ana.offers("f", "the content")
	other := ana.offers("g", "another content")
	luis.gets("ana", "f", "the content")
	for name, lie := range map[string]func(*lonja.Holder){
		"another content of hers": func(h *lonja.Holder) { h.Proof.File, h.Size = other.Proof.File, other.Size },
		"another proof of hers":   func(h *lonja.Holder) { *h.Proof, h.Size = *other.Proof, other.Size },
		"another description":     func(h *lonja.Holder) { h.Description = "quite another thing" },
		"another size":            func(h *lonja.Holder) { h.Size++ },
		"another date":            func(h *lonja.Holder) { h.Proof.Date-- },
		"another audience":        func(h *lonja.Holder) { h.Proof.Audience = []lonja.UserName{"luis"} },
		"another signature":       func(h *lonja.Holder) { h.Proof.Signature[7] ^= 1 },
		"no proof":                func(h *lonja.Holder) { h.Proof, h.Description, h.Size = nil, "", 0 },
	} {
		v.rules.lies(nil, each(lie))
		if got, err := luis.fetch("ana", "f"); lonja.KindOf(err) != lonja.Untrusted {
			t.Errorf("%s: got %q, %v, want Untrusted", name, got, err)
		}
		if err := luis.FetchMulti(t.Context(), "f", t.TempDir()+"/got", nil); lonja.KindOf(err) != lonja.Untrusted {
			t.Errorf("%s, from anybody: got %v, want Untrusted", name, err)
		}
	}
	var honest []lonja.Holder
	v.rules.lies(nil, func(holders []lonja.Holder) []lonja.Holder { honest = holders; return holders })
	luis.gets("ana", "f", "the content")
	v.rules.lies(nil, func([]lonja.Holder) []lonja.Holder {
		renamed := honest[0]
		renamed.Name = "report"
		return []lonja.Holder{renamed}
	})
	if _, err := luis.fetch("ana", "report"); lonja.KindOf(err) != lonja.Untrusted {
		t.Errorf("another name: got %v, want Untrusted", err)
	}
	v.rules.lies(nil, nil)
	luis.gets("ana", "f", "the content")
}

// TestSwappedKey: a directory that gives a user another key than the one that was
// met cannot have anything fetched in the user's name, although it can issue
// certificates for any key.
func TestSwappedKey(t *testing.T) {
	v := newTown(t)
	ana, luis, eve := v.resident("ana"), v.resident("luis"), v.resident("eve")
	ana.offers("f", "the content")
	luis.gets("ana", "f", "the content") // from here on her key is pinned
	at := v.poses(eve.certificate(v.authority, "ana", time.Hour), "the content")
	signed, err := statement.SignPublication(lonja.Publication{Owner: "ana", Listing: ana.listed("f")}, eve.key)
	v.ok(err)
	forged := each(func(h *lonja.Holder) {
		h.Proof, h.Reach = signed.Proof, &lonja.Reach{Key: eve.member.Key, Ways: []lonja.Endpoint{at}}
	})
	first := func(key lonja.PublicKey) lonja.KeyRecord {
		return lonja.KeyRecord{Endorsement: lonja.Endorsement{User: "ana", Key: key, Date: 1}}
	}
	unsigned := lonja.KeyRecord{Endorsement: lonja.Endorsement{User: "ana", Key: eve.member.Key, Date: time.Now().Unix(), By: ana.member.Key}}
	for name, ring := range map[string][]lonja.KeyRecord{
		"hers":                            {first(ana.member.Key)},
		"another one in its place":        {first(eve.member.Key)},
		"another one beside it":           {first(ana.member.Key), unsigned},
		"another one, and hers behind it": {first(eve.member.Key), first(ana.member.Key)},
		"none":                            nil,
	} {
		v.rules.lies(func([]lonja.KeyRecord) []lonja.KeyRecord { return ring }, forged)
		got, err := luis.fetch("ana", "f")
		if lonja.KindOf(err) != lonja.Untrusted {
			t.Errorf("%s: got %q, %v, want Untrusted", name, got, err)
		}
		if err != nil && name == "another one in its place" && !strings.Contains(err.Error(), "forget") {
			t.Errorf("%v does not say what to do", err)
		}
	}
	// A proper endorsement of hers, which the other key has agreed to, is believed.
	e := unsigned.Endorsement
	e, err = statement.SignEndorsement(e, ana.key)
	v.ok(err)
	e.Consent, err = statement.SignConsent("ana", ana.member.Key, eve.key)
	v.ok(err)
	v.rules.lies(func([]lonja.KeyRecord) []lonja.KeyRecord {
		return []lonja.KeyRecord{first(ana.member.Key), {Endorsement: e}}
	}, forged)
	luis.gets("ana", "f", "the content")
}

// TestDirectoryAsHolder: a directory that says that it has somebody's file itself
// is not asked for it, and what it could send is not the file.
func TestDirectoryAsHolder(t *testing.T) {
	v := newTown(t)
	ana, luis, eve := v.resident("ana"), v.resident("luis"), v.resident("eve")
	ana.offers("f", "the content")
	luis.gets("ana", "f", "the content")
	own := v.poses(eve.certificate(v.authority, "ana", time.Hour), "something else")
	for name, lie := range map[string]func(*lonja.Holder){
		"with its own key": func(h *lonja.Holder) {
			h.Reach = &lonja.Reach{Key: eve.member.Key, Ways: []lonja.Endpoint{own}}
		},
		"with the owner's key": func(h *lonja.Holder) {
			h.Reach = &lonja.Reach{Key: h.Reach.Key, Ways: []lonja.Endpoint{own}}
		},
	} {
		v.rules.lies(nil, each(lie))
		if got, err := luis.fetch("ana", "f"); lonja.KindOf(err) != lonja.Untrusted {
			t.Errorf("%s: got %q, %v, want Untrusted", name, got, err)
		}
	}
	// As a user of its own it may offer what it likes, but not under an id that
	// the content does not have.
	liar := v.poses(eve.certificate(v.authority, "eve", time.Hour), "something else")
	signed, err := statement.SignPublication(lonja.Publication{Owner: "eve", Listing: ana.listed("f")}, eve.key)
	v.ok(err)
	v.rules.lies(nil, func([]lonja.Holder) []lonja.Holder {
		l := signed.Listing
		return []lonja.Holder{{
			User: "eve", Name: l.Name, Description: l.Description, Size: l.Size, Proof: l.Proof,
			Reach: &lonja.Reach{Key: eve.member.Key, Ways: []lonja.Endpoint{liar}},
		}}
	})
	if got, err := luis.fetch("eve", "f"); lonja.KindOf(err) != lonja.Untrusted {
		t.Errorf("another content: got %q, %v, want Untrusted", got, err)
	}
}
