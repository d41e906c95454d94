package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"lonja"
)

// TestPeersOfManyBlocks has so many users come, move and go that blocks of the
// order split and end, and asks for all of them now and then.
func TestPeersOfManyBlocks(t *testing.T) {
	const users = 4 * blockSize
	x := New()
	x.Complete()
	name := func(i int) lonja.UserName { return lonja.UserName(fmt.Sprint("user", i)) }
	for i := range users {
		x.SetAccount(name(i), uint64(i+1), 1)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	at := map[int]lonja.Endpoint{}
	compare := func() {
		t.Helper()
		var want []lonja.Peer
		for i := users - 1; i >= 0; i-- {
			if at[i].IsValid() {
				want = append(want, lonja.Peer{User: name(i), At: at[i]})
			}
		}
		if got := allPeers(x, 1+rng.IntN(blockSize)); !slices.Equal(got, want) {
			t.Fatalf("got %d users, want %d, or others", len(got), len(want))
		}
	}
	// Most come, most go, and so again.
	for round, staying := range []int{90, 2, 70, 0} {
		for n := range 3 * users {
			i := rng.IntN(users)
			if rng.IntN(100) < staying {
				at[i] = lonja.EndpointFrom(somewhere.Addr(), uint16(1+rng.IntN(60_000)))
				x.Connect(name(i), at[i])
			} else {
				delete(at, i)
				x.Disconnect(name(i))
			}
			if n%97 == 0 {
				compare()
			}
		}
		if compare(); round == 0 && len(x.online.blocks) < 3 {
			t.Fatalf("%d blocks show nothing", len(x.online.blocks))
		}
	}
}
