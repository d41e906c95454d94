package index

// pageBits makes pages of 1024 elements: small enough for a directory of ten
// users, and growing never copies what is there.
const (
	pageBits = 10
	pageSize = 1 << pageBits
)

// A vec holds elements at numbers from 1 up, in pages that never move. Number
// 0 is nobody's. Released numbers are given again.
type vec[T any] struct {
	pages []*[pageSize]T
	next  uint32 // the first number that was never given, less 1
	free  []uint32
}

// at returns the element with number i, which was added and not released.
func (v *vec[T]) at(i uint32) *T {
	return &v.pages[i>>pageBits][i&(pageSize-1)]
}

// add returns the number of a new zero element.
func (v *vec[T]) add() uint32 {
	if n := len(v.free); n > 0 {
		i := v.free[n-1]
		v.free = v.free[:n-1]
		return i
	}
	v.next++
	if int(v.next>>pageBits) >= len(v.pages) {
		v.pages = append(v.pages, new([pageSize]T))
	}
	return v.next
}

// reach has number i be there: for elements that go by others' numbers.
func (v *vec[T]) reach(i uint32) {
	for v.next < i {
		v.add()
	}
}

// release gives number i back.
func (v *vec[T]) release(i uint32) {
	var zero T
	*v.at(i) = zero
	v.free = append(v.free, i)
}

// len returns how many elements there are.
func (v *vec[T]) len() int { return int(v.next) - len(v.free) }
