package index

import (
	"slices"
	"sync/atomic"

	"lonja"
)

// An online has the connected accounts by age, and what is told of them: who asks
// is mostly told what was made for others.
type online struct {
	order
	told []*peersRow // of each block
}

// A peersRow is what is told of a block of accounts, the newest first, once somebody
// has asked. It is not changed once it is made.
type peersRow struct{ peers atomic.Pointer[[]lonja.Peer] }

func (o *online) insert(number uint32, before func(number uint32) bool) {
	block, split := o.order.insert(number, before)
	if split || len(o.told) == 0 {
		o.told = slices.Insert(o.told, block, new(peersRow))
	}
	o.told[block] = new(peersRow)
	if split {
		o.told[block+1] = new(peersRow)
	}
}

func (o *online) remove(before func(number uint32) bool) {
	block, emptied := o.order.remove(before)
	if emptied {
		o.told = slices.Delete(o.told, block, block+1)
		return
	}
	o.told[block] = new(peersRow)
}

// changed tells that something else is to be told of a connected account.
func (o *online) changed(before func(number uint32) bool) {
	o.told[o.search(before).block] = new(peersRow)
}

// Peers returns up to n connected users, often fewer, the newest account first and
// only accounts older than that at the place; the zero Place is for all. Others
// get the same ones, so they must not be changed. It returns where to go on, the
// zero Place if there are no more.
func (x *Index) Peers(older Place, n int) (peers []lonja.Peer, next Place) {
	if x.online.count == 0 {
		return nil, Place{}
	}
	end := position{block: len(x.online.blocks)}
	if older != (Place{}) {
		end = x.online.search(x.olderThan(older))
	}
	if end.slot == 0 {
		if end.block == 0 {
			return nil, Place{}
		}
		end.block--
		end.slot = len(x.online.blocks[end.block])
	}
	begin := max(end.slot-n, 0)
	block := x.online.blocks[end.block]
	if end.block > 0 || begin > 0 {
		next = x.place(block[begin])
	}
	return x.peersOf(end.block)[len(block)-end.slot : len(block)-begin : len(block)-begin], next
}

// place returns where an account is in the order of age.
func (x *Index) place(number uint32) Place {
	return Place{x.accounts.at(number).incarnation, number}
}

// peersOf returns what is told of a block.
func (x *Index) peersOf(block int) []lonja.Peer {
	row := x.online.told[block]
	if peers := row.peers.Load(); peers != nil {
		return *peers
	}
	numbers := x.online.blocks[block]
	peers := make([]lonja.Peer, 0, len(numbers))
	var names nameArena
	for _, number := range slices.Backward(numbers) {
		a := x.accounts.at(number)
		peers = append(peers, lonja.Peer{User: lonja.UserName(names.add(x.texts.bytes(a.user))), At: a.endpoint(), Reach: x.secure.reach[number]})
	}
	row.peers.Store(&peers)
	return peers
}
