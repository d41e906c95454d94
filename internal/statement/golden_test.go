package statement_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/statement"
)

// seedOf returns a key that everybody can make again.
func seedOf(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func publicOf(key ed25519.PrivateKey) lonja.PublicKey {
	return lonja.PublicKey(key.Public().(ed25519.PublicKey))
}

// examples are the statements that docs/protocol.md shows.
func examples(t testing.TB) map[string]struct {
	statement []byte
	signature lonja.Signature
} {
	t.Helper()
	type example = struct {
		statement []byte
		signature lonja.Signature
	}
	laptop, phone := seedOf(1), seedOf(2)
	p, err := statement.SignPublication(lonja.Publication{
		Owner: "ana",
		Listing: lonja.Listing{
			Name: "poems/ozymandias.txt", Description: "by Shelley", Size: 631,
			Proof: &lonja.Proof{
				File: lonja.FileID(bytes.Repeat([]byte{0xab}, 32)), Date: 1795000000,
				Audience: []lonja.UserName{"luis", "eva"},
			},
		},
	}, laptop)
	if err != nil {
		t.Fatal(err)
	}
	f, err := statement.SignPublication(lonja.Publication{
		Owner: "ana",
		Listing: lonja.Listing{
			Name: "poems", Size: 1262,
			Proof: &lonja.Proof{
				File: lonja.FileID(bytes.Repeat([]byte{0xcd}, 32)), Date: 1795000000,
				Folder: &lonja.Folder{Files: 2, ListSize: 117},
			},
		},
	}, laptop)
	if err != nil {
		t.Fatal(err)
	}
	e, err := statement.SignEndorsement(lonja.Endorsement{
		User: "ana", Key: publicOf(phone), Label: "phone", Date: 1795000001,
	}, laptop)
	if err != nil {
		t.Fatal(err)
	}
	c, err := statement.SignConsent("ana", publicOf(laptop), phone)
	if err != nil {
		t.Fatal(err)
	}
	r, err := statement.SignRevocation(lonja.Revocation{User: "ana", Key: publicOf(laptop), Date: 1795000002}, phone)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]example{
		"publication": {statement.Publication(p), p.Proof.Signature},
		"folder":      {statement.Publication(f), f.Proof.Signature},
		"endorsement": {statement.Endorsement(e), e.Signature},
		"consent":     {statement.Consent("ana", publicOf(laptop), publicOf(phone)), c},
		"revocation":  {statement.Revocation(r), r.Signature},
	}
}

// TestGolden: docs/protocol.md shows the bytes of one statement of each kind,
// and what signs them; other programs are written from it.
func TestGolden(t *testing.T) {
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for kind, example := range examples(t) {
		want := hexBlock(t, string(doc), "<!-- "+kind+" -->")
		if !bytes.Equal(want, example.statement) {
			t.Errorf("%s: the document has\n%x, want\n%x", kind, want, example.statement)
		}
		signature := hexBlock(t, string(doc), "<!-- "+kind+" signature -->")
		if !bytes.Equal(signature, example.signature[:]) {
			t.Errorf("%s: the document has the signature\n%x, want\n%x", kind, signature, example.signature)
		}
	}
}

// hexBlock returns the bytes of the block of code behind mark: the hexadecimal
// pairs that each line begins with, up to two blanks.
func hexBlock(t *testing.T, doc, mark string) []byte {
	t.Helper()
	_, after, found := strings.Cut(doc, mark)
	_, after, opened := strings.Cut(after, "```\n")
	block, _, closed := strings.Cut(after, "```")
	if !found || !opened || !closed {
		t.Fatalf("docs/protocol.md has no block behind %s", mark)
	}
	var all []byte
	for line := range strings.Lines(block) {
		pairs, _, _ := strings.Cut(line, "  ")
		b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(pairs), " ", ""))
		if err != nil {
			t.Fatalf("%s: %v", mark, err)
		}
		all = append(all, b...)
	}
	return all
}
