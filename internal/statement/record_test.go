package statement_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/statement"
)

func TestProofsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &lonja.Proof{File: draw32(t, "file"), Date: rapid.Int64().Draw(t, "date"), Key: draw32(t, "key")}
		copy(want.Signature[:], rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "signature"))
		name := rapid.StringMatching(`[a-zé ]{1,6}`)
		for _, user := range slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(name, 0, 5).Draw(t, "audience")))) {
			want.Audience = append(want.Audience, lonja.UserName(user))
		}
		if rapid.Bool().Draw(t, "folder") {
			size := rapid.Int64Range(0, math.MaxInt64)
			want.Folder = &lonja.Folder{Files: size.Draw(t, "files"), ListSize: size.Draw(t, "list")}
		}
		got, err := statement.DecodeProof(statement.AppendProof(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

// TestRecordsAreExact: what is cut short, goes on, is of another version or has
// a number in a longer form is damaged.
func TestRecordsAreExact(t *testing.T) {
	proof := statement.AppendProof(nil, signed(t, publication(), 1).Proof)
	keys, err := statement.AppendKeys(nil, revoked(endorsed(t, first(1), 1, 2, 200), 1, 300))
	if err != nil {
		t.Fatal(err)
	}
	decodeProof := func(b []byte) error { _, err := statement.DecodeProof(b); return err }
	decodeKeys := func(b []byte) error { _, err := statement.DecodeKeys("ana", b); return err }
	for name, c := range map[string]struct {
		decode func([]byte) error
		whole  []byte
	}{"proof": {decodeProof, proof}, "keys": {decodeKeys, keys}} {
		if err := c.decode(c.whole); err != nil {
			t.Fatal(err)
		}
		for n := range c.whole {
			if err := c.decode(c.whole[:n]); !errors.Is(err, lonja.Damaged) {
				t.Errorf("%s: the first %d bytes: got error %v, want %v", name, n, err, lonja.Damaged)
			}
		}
		if err := c.decode(append(bytes.Clone(c.whole), 0)); !errors.Is(err, lonja.Damaged) {
			t.Errorf("%s: one byte more: got error %v, want %v", name, err, lonja.Damaged)
		}
		if err := c.decode(append([]byte{3}, c.whole[1:]...)); !errors.Is(err, lonja.Damaged) {
			t.Errorf("%s: of version 3: got error %v, want %v", name, err, lonja.Damaged)
		}
	}
	if err := decodeKeys([]byte{2, 0}); !errors.Is(err, lonja.Damaged) {
		t.Errorf("of version 2, without consents: got error %v, want %v", err, lonja.Damaged)
	}
	long := append([]byte{1}, 0x80, 0) // no keys, said in two bytes
	if err := decodeKeys(long); !errors.Is(err, lonja.Damaged) {
		t.Errorf("a longer number: got error %v, want %v", err, lonja.Damaged)
	}
	if b, err := statement.AppendKeys(nil, endorsed(t, first(1), 1, 2, 200)[1:]); !errors.Is(err, lonja.Untrusted) || b != nil {
		t.Errorf("a ring without its first key: got %x, error %v, want %v", b, err, lonja.Untrusted)
	}
}

// FuzzDecodeProof: what is taken is what AppendProof makes, to the byte.
func FuzzDecodeProof(f *testing.F) {
	f.Add(statement.AppendProof(nil, signed(f, publication(), 1).Proof))
	f.Add(statement.AppendProof(nil, &lonja.Proof{Date: math.MinInt64}))
	f.Add(statement.AppendProof(nil, &lonja.Proof{Folder: &lonja.Folder{Files: 3, ListSize: 1 << 40}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := statement.DecodeProof(b)
		if err == nil && !bytes.Equal(statement.AppendProof(nil, p), b) {
			t.Errorf("%x is read as %+v, which is encoded otherwise", b, p)
		}
	})
}

// FuzzDecodeKeys: likewise, and the keys are in order.
func FuzzDecodeKeys(f *testing.F) {
	b, err := statement.AppendKeys(nil, endorsed(f, endorsed(f, first(1), 1, 2, 200), 1, 3, 300))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(keysOfBefore)
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		ring, err := statement.DecodeKeys("ana", b)
		if err != nil {
			return
		}
		again, err := statement.AppendKeys(nil, ring)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x is read as %+v, which is encoded as %x, %v", b, ring, again, err)
		}
		_ = statement.CheckRing(ring) // must end
	})
}

// TestKeysOfBefore: what was written when keys did not have to agree is read, and
// written again as it was.
func TestKeysOfBefore(t *testing.T) {
	ring, err := statement.DecodeKeys("ana", keysOfBefore)
	if err != nil {
		t.Fatal(err)
	}
	want := unagreed(endorsed(t, first(1), 1, 2, 200))
	if !slices.Equal(ring, want) {
		t.Errorf("got %+v, want %+v", ring, want)
	}
	if err := statement.CheckRing(ring); err != nil {
		t.Error(err)
	}
	if again, err := statement.AppendKeys(nil, ring); err != nil || !bytes.Equal(again, keysOfBefore) {
		t.Errorf("got %x, %v; want %x", again, err, keysOfBefore)
	}
}

// keysOfBefore are the keys of seeds 1 and 2 as they were written before there
// were consents.
var keysOfBefore = must(hex.DecodeString("" +
	"01028a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f" +
	"6f5cc8010000008139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25d" +
	"f60f5b8fc9b394900300086465766963652032015894eb893e6e9c4a3737e5fc" +
	"cf00d808dd4eab56f2386b6befb9ea8af9d1e22bbae2ee7a464a46d6e8fb82eb" +
	"e1b3c295a2ff26b8a9ea0e1d1d688675d35b2a0c"))

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
