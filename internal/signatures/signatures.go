// Package signatures checks the Ed25519 signatures of many who wait at once:
// those that came while others were being checked are checked together, which
// costs about half of checking each, and who comes alone waits for nobody. It
// says the same of a signature as statement.Signed does, whatever it is checked
// beside.
//
// What is signed, and whose word a key is, are questions for package statement.
// Directories use it.
package signatures

import (
	"runtime"
	"sync"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519/extra/cache"

	"lonja"
)

const (
	// mostTogether bounds what is checked at once: more gain nothing, and all
	// wait for the last.
	mostTogether = 64
	// keysKept is how many keys are kept in the form that is quicker to check
	// with, of some 1.5 KiB each.
	keysKept = 4096
)

// A Checker checks signatures. Its methods may be called by any number of
// goroutines at once; it has none of its own, and needs no closing.
type Checker struct {
	keys *cache.Verifier

	mu      sync.Mutex
	working int      // callers that check for all
	most    int      // how many may
	waiting []*claim // what none of them has taken yet
}

// New returns a Checker.
func New() *Checker {
	return &Checker{keys: cache.NewVerifier(cache.NewLRUCache(keysKept)), most: max(1, runtime.GOMAXPROCS(0)/2)}
}

// A claim is that a key has signed a statement.
type claim struct {
	key       lonja.PublicKey
	statement []byte
	signature lonja.Signature

	valid bool
	// turn tells who waits for it that the claim was checked (true), or that it
	// is for them to check what waits (false).
	turn chan bool
}

// Signed reports whether key has signed a statement, as statement.Signed does.
func (c *Checker) Signed(key lonja.PublicKey, statement []byte, signature lonja.Signature) bool {
	own := &claim{key: key, statement: statement, signature: signature, turn: make(chan bool, 1)}
	if c.mayWork(own) || !<-own.turn {
		c.work(own)
	}
	return own.valid
}

// mayWork reports whether who has a claim may check it now. If not, it waits with
// the others.
func (c *Checker) mayWork(own *claim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working < c.most {
		c.working++
		return true
	}
	c.waiting = append(c.waiting, own)
	return false
}

// work checks own and what waits, and leaves what comes meanwhile to the first of
// those who wait for that.
func (c *Checker) work(own *claim) {
	runtime.Gosched() // whoever else is ready to ask comes first; alone it costs nothing
	c.mu.Lock()
	n := min(len(c.waiting), mostTogether-1)
	together := append([]*claim{own}, c.waiting[:n]...)
	c.waiting = c.waiting[n:]
	c.mu.Unlock()
	c.check(together)
	for _, one := range together[1:] {
		one.turn <- true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.waiting = nil
		c.working--
		return
	}
	next := c.waiting[0]
	c.waiting = c.waiting[1:]
	next.turn <- false
}

func (c *Checker) check(together []*claim) {
	if len(together) == 1 {
		one := together[0]
		one.valid = c.keys.Verify(one.key[:], one.statement, one.signature[:])
		return
	}
	batch := ed25519.NewBatchVerifierWithCapacity(len(together))
	for _, one := range together {
		c.keys.Add(batch, one.key[:], one.statement, one.signature[:])
	}
	_, valid := batch.Verify(nil)
	for i, one := range together {
		one.valid = valid[i]
	}
}
