package node

import (
	"sync"
	"sync/atomic"

	"lonja/internal/swarm"
)

// A FolderProgress is how it goes with a folder that is fetched. Its methods may be
// called by any number of goroutines at once.
type FolderProgress struct {
	crowd *folderCrowd

	size, files atomic.Int64 // that are wanted, as far as it is known
	come        atomic.Int64 // bytes of files that are here
	here        atomic.Int64 // and how many files that is

	mu   sync.Mutex // guards list
	list *swarm.Swarm
}

// Received returns how many bytes are here of the files that are wanted.
func (p *FolderProgress) Received() int64 { return p.crowd.underWay(p.come.Load) }

// Size returns how many bytes the files have that are wanted: all of the folder, until
// its list is here.
func (p *FolderProgress) Size() int64 { return p.size.Load() }

// Count returns how many files are here, and how many are wanted.
func (p *FolderProgress) Count() (here, all int64) { return p.here.Load(), p.files.Load() }

// Speed returns how many bytes per second came in the last seconds.
func (p *FolderProgress) Speed() (sum int64) {
	for _, h := range p.Holders() {
		sum += h.Speed
	}
	return sum
}

// Holders returns how it goes with each holder, those that sent most first. What came
// of the list counts while that is fetched.
func (p *FolderProgress) Holders() []swarm.HolderState {
	p.mu.Lock()
	list := p.list
	p.mu.Unlock()
	if list != nil {
		return list.Holders()
	}
	return p.crowd.states()
}

// fetchesList tells that the list is what is fetched now; nil that it is no more.
func (p *FolderProgress) fetchesList(list *swarm.Swarm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
}
