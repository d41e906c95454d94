package signatures

import (
	"crypto/ed25519"
	"encoding/binary"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/statement"
)

// signed is a claim as it comes, and what must be said of it.
type signed struct {
	key       lonja.PublicKey
	statement []byte
	signature lonja.Signature
}

func sign(n uint64) signed {
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint64(seed, n%8) // some keys come again
	key := ed25519.NewKeyFromSeed(seed)
	s := signed{lonja.PublicKey(key.Public().(ed25519.PublicKey)), binary.BigEndian.AppendUint64([]byte("statement "), n), lonja.Signature{}}
	s.signature = lonja.Signature(ed25519.Sign(key, s.statement))
	return s
}

// smallOrder is a key that "signs" everything with a signature that anybody can
// make: the neutral element for R, and zero for S.
func smallOrder() signed {
	s := signed{statement: []byte("anything")}
	s.key[0], s.signature[0] = 1, 1
	return s
}

// TestSigned: of many claims at once, those are valid that are valid alone,
// whatever the others are.
func TestSigned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var claims []signed
		for i, kind := range rapid.SliceOfN(rapid.IntRange(0, 11), 1, 3*mostTogether).Draw(t, "kinds") {
			s := sign(uint64(i))
			switch kind {
			case 0:
				s.signature[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 1:
				s.statement = []byte("another")
			case 2:
				s.key = sign(uint64(i + 1)).key
			case 3:
				s = smallOrder()
			case 4:
				s.key[31] ^= 0xff // mostly no point
			}
			claims = append(claims, s)
		}
		c := New()
		c.most = 1 // the others have to wait, and are checked together
		got := make([]bool, len(claims))
		var asking sync.WaitGroup
		for i, s := range claims {
			asking.Go(func() { got[i] = c.Signed(s.key, s.statement, s.signature) })
		}
		asking.Wait()
		for i, s := range claims {
			if want := statement.Signed(s.key, s.statement, s.signature); got[i] != want {
				t.Errorf("claim %d is %v, alone it is %v", i, got[i], want)
			}
		}
		if c.working != 0 || len(c.waiting) != 0 {
			t.Errorf("%d still work, %d still wait", c.working, len(c.waiting))
		}
	})
}

// TestSignedTogether: what waits is checked together, and one bad signature does
// no harm to the others, nor hides among them.
func TestSignedTogether(t *testing.T) {
	t.Parallel()
	c := New()
	var together []*claim
	for i := range uint64(mostTogether) {
		s := sign(i)
		together = append(together, &claim{key: s.key, statement: s.statement, signature: s.signature})
	}
	bad := smallOrder()
	together[7] = &claim{key: bad.key, statement: bad.statement, signature: bad.signature}
	together[9].signature[40] ^= 1
	c.check(together)
	for i, one := range together {
		if want := i != 7 && i != 9; one.valid != want {
			t.Errorf("claim %d is %v", i, one.valid)
		}
	}
}

// BenchmarkSigned: many who wait at once, and one alone beside the function that
// checks each by itself.
func BenchmarkSigned(b *testing.B) {
	s := sign(1)
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			if !statement.Signed(s.key, s.statement, s.signature) {
				b.Fatal("it is not valid")
			}
		}
	})
	b.Run("checker alone", func(b *testing.B) {
		c := New()
		for b.Loop() {
			if !c.Signed(s.key, s.statement, s.signature) {
				b.Fatal("it is not valid")
			}
		}
	})
	b.Run("256 at once", func(b *testing.B) {
		c := New()
		b.SetParallelism(128)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if !c.Signed(s.key, s.statement, s.signature) {
					b.Error("it is not valid")
				}
			}
		})
	})
}
