package index

import (
	"iter"
	"slices"
	"sort"
)

// blockSize bounds the blocks of an order; a full one splits in two.
const blockSize = 512

// An order keeps numbers sorted by what they stand for, which the caller
// compares: a B-tree of two levels, at 4 bytes a number.
type order struct {
	blocks [][]uint32 // none is empty
	count  int
}

// A position in an order, good until the order changes.
type position struct{ block, slot int }

// newOrder makes an order of numbers that are sorted already.
func newOrder(sorted []uint32) order {
	o := order{count: len(sorted)}
	for part := range slices.Chunk(sorted, blockSize*3/4) {
		o.blocks = append(o.blocks, append(make([]uint32, 0, blockSize), part...))
	}
	return o
}

// search returns the position of the first number that is not before what is
// looked for.
func (o *order) search(before func(number uint32) bool) position {
	block := sort.Search(len(o.blocks), func(i int) bool {
		b := o.blocks[i]
		return !before(b[len(b)-1])
	})
	if block == len(o.blocks) {
		return position{block, 0}
	}
	b := o.blocks[block]
	return position{block, sort.Search(len(b), func(i int) bool { return !before(b[i]) })}
}

// insert adds a number behind those that are before it. It returns the block
// that has it, or the first of the two that this has become.
func (o *order) insert(number uint32, before func(number uint32) bool) (block int, split bool) {
	o.count++
	at := o.search(before)
	if at.block == len(o.blocks) {
		if at.block == 0 {
			o.blocks = append(o.blocks, append(make([]uint32, 0, blockSize), number))
			return 0, false
		}
		at.block--
		at.slot = len(o.blocks[at.block])
	}
	b := slices.Insert(o.blocks[at.block], at.slot, number)
	if len(b) < blockSize {
		o.blocks[at.block] = b
		return at.block, false
	}
	second := append(make([]uint32, 0, blockSize), b[blockSize/2:]...)
	o.blocks[at.block] = b[:blockSize/2]
	o.blocks = slices.Insert(o.blocks, at.block+1, second)
	return at.block, true
}

// remove takes out the number at the position that search returns for before. It
// returns the block that had it, and whether the block has gone with it.
func (o *order) remove(before func(number uint32) bool) (block int, emptied bool) {
	at := o.search(before)
	o.count--
	b := slices.Delete(o.blocks[at.block], at.slot, at.slot+1)
	o.blocks[at.block] = b
	if len(b) == 0 {
		o.blocks = slices.Delete(o.blocks, at.block, at.block+1)
	}
	return at.block, len(b) == 0
}

// from returns the numbers from a position on.
func (o *order) from(at position) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for ; at.block < len(o.blocks); at.block, at.slot = at.block+1, 0 {
			for _, number := range o.blocks[at.block][at.slot:] {
				if !yield(number) {
					return
				}
			}
		}
	}
}

// backward returns the numbers before a position, the last first.
func (o *order) backward(end position) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for block := min(end.block, len(o.blocks)-1); block >= 0; block-- {
			b := o.blocks[block]
			if block == end.block {
				b = b[:end.slot]
			}
			for _, number := range slices.Backward(b) {
				if !yield(number) {
					return
				}
			}
		}
	}
}
