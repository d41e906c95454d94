package statement_test

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/statement"
)

// A parser reads statements back, as docs/protocol.md describes them. Nothing
// but these tests needs to: that there is a way back from the bytes is what
// proves that no two statements have the same.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) length() int {
	if p.err != nil || len(p.rest) < 4 {
		p.err = errors.New("cut short")
		return 0
	}
	n := binary.BigEndian.Uint32(p.rest)
	p.rest = p.rest[4:]
	if uint64(n) > uint64(len(p.rest)) {
		p.err = errors.New("too long")
		return 0
	}
	return int(n)
}

func (p *parser) field() []byte {
	n := p.length()
	field := p.rest[:n]
	p.rest = p.rest[n:]
	return field
}

func (p *parser) fixed(to []byte) {
	if b := p.field(); len(b) == len(to) {
		copy(to, b)
	} else {
		p.err = errors.New("a field of the wrong size")
	}
}

func (p *parser) number() int64 {
	var b [8]byte
	p.fixed(b[:])
	return int64(binary.BigEndian.Uint64(b[:]))
}

func (p *parser) prefix(s string) {
	if len(p.rest) < len(s) || string(p.rest[:len(s)]) != s {
		p.err = errors.New("another kind")
		return
	}
	p.rest = p.rest[len(s):]
}

// parse reads a statement of whichever kind it is.
func parse(b []byte) (any, error) {
	for _, kind := range []func(*parser) any{parsePublication, parseFolder, parseEndorsement, parseConsent, parseRevocation} {
		p := &parser{rest: b}
		if v := kind(p); p.err == nil && len(p.rest) == 0 {
			return v, nil
		}
	}
	return nil, errors.New("not a statement")
}

func parsePublication(p *parser) any {
	p.prefix("lonja publication v1\x00")
	return parsePublished(p)
}

func parseFolder(p *parser) any {
	p.prefix("lonja publication v2\x00")
	v := parsePublished(p)
	if kind := p.field(); string(kind) != "folder" && p.err == nil {
		p.err = errors.New("another kind")
	}
	v.Proof.Folder = &lonja.Folder{Files: p.number(), ListSize: p.number()}
	return v
}

func parsePublished(p *parser) lonja.Publication {
	proof := new(lonja.Proof)
	var v lonja.Publication
	v.Owner = lonja.UserName(p.field())
	v.Name = lonja.FileName(p.field())
	v.Description = lonja.Description(p.field())
	v.Size = p.number()
	p.fixed(proof.File[:])
	proof.Date = p.number()
	for n := p.length(); n > 0 && p.err == nil; n-- {
		proof.Audience = append(proof.Audience, lonja.UserName(p.field()))
	}
	p.fixed(proof.Key[:])
	v.Proof = proof
	return v
}

func parseEndorsement(p *parser) any {
	p.prefix("lonja endorsement v1\x00")
	var v lonja.Endorsement
	v.User = lonja.UserName(p.field())
	p.fixed(v.Key[:])
	v.Label = string(p.field())
	v.Date = p.number()
	p.fixed(v.By[:])
	return v
}

// A consent is what statement.Consent takes.
type consent struct {
	user       lonja.UserName
	first, key lonja.PublicKey
}

func parseConsent(p *parser) any {
	p.prefix("lonja consent v1\x00")
	var v consent
	v.user = lonja.UserName(p.field())
	p.fixed(v.first[:])
	p.fixed(v.key[:])
	return v
}

func parseRevocation(p *parser) any {
	p.prefix("lonja revocation v1\x00")
	var v lonja.Revocation
	v.User = lonja.UserName(p.field())
	p.fixed(v.Key[:])
	v.Date = p.number()
	p.fixed(v.By[:])
	return v
}

func encode(v any) []byte {
	switch v := v.(type) {
	case lonja.Publication:
		return statement.Publication(v)
	case lonja.Endorsement:
		return statement.Endorsement(v)
	case consent:
		return statement.Consent(v.user, v.first, v.key)
	case lonja.Revocation:
		return statement.Revocation(v)
	}
	panic("not a statement")
}

// anyText is short, so that fields that run into each other would be found.
var anyText = rapid.StringOfN(rapid.RuneFrom([]rune("a\x00\x01 /é")), 0, 4, -1)

func draw32(t *rapid.T, label string) (b [32]byte) {
	copy(b[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
	return b
}

// anyStatement draws any value, also one that nobody would sign.
var anyStatement = rapid.Custom(func(t *rapid.T) any {
	user := lonja.UserName(anyText.Draw(t, "user"))
	date := rapid.Int64().Draw(t, "date")
	key, by := draw32(t, "key"), draw32(t, "by")
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return lonja.Endorsement{User: user, Key: key, Label: anyText.Draw(t, "label"), Date: date, By: by}
	case 2:
		return consent{user, by, key}
	case 1:
		return lonja.Revocation{User: user, Key: key, Date: date, By: by}
	}
	proof := &lonja.Proof{File: by, Date: date, Key: key}
	if rapid.Bool().Draw(t, "folder") {
		proof.Folder = &lonja.Folder{Files: rapid.Int64().Draw(t, "files"), ListSize: rapid.Int64().Draw(t, "list")}
	}
	for range rapid.IntRange(0, 3).Draw(t, "audience") {
		proof.Audience = append(proof.Audience, lonja.UserName(anyText.Draw(t, "member")))
	}
	return lonja.Publication{Owner: user, Listing: lonja.Listing{
		Name:        lonja.FileName(anyText.Draw(t, "name")),
		Description: lonja.Description(anyText.Draw(t, "description")),
		Size:        rapid.Int64().Draw(t, "size"),
		Proof:       proof,
	}}
})

// TestStatementsAreInjective: what was encoded can be read back whole, so no two
// values, of one kind or of two, have the same bytes.
func TestStatementsAreInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyStatement.Draw(t, "statement")
		got, err := parse(encode(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

// FuzzStatement: bytes that can be read as a statement are those of that
// statement, and of no other.
func FuzzStatement(f *testing.F) {
	for _, example := range examples(f) {
		f.Add(example.statement)
	}
	f.Add([]byte("lonja publication v1\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parse(b)
		if err == nil && string(encode(v)) != string(b) {
			t.Errorf("%x is read as %+v, which is encoded as %x", b, v, encode(v))
		}
	})
}
