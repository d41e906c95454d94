package share

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sort"
	"sync"

	"lonja"
	"lonja/internal/folder"
)

// A folderTree finds the files of a folder by their content: some 20 bytes of
// memory for each. Their paths stay in the list, on disk, but for some that were
// asked for lately. It is not changed otherwise once it is made.
type folderTree struct {
	blocks []int64  // where in the list each block begins
	ids    []uint64 // the beginnings of the ids, in order
	at     []uint32 // which entry each of those is
	seen   []int64  // when each entry was changed last, when it was hashed: nanoseconds since 1970
	recent recentBlocks
}

// beginning is as much of an id as tells most apart.
func beginning(id lonja.FileID) uint64 { return binary.BigEndian.Uint64(id[:]) }

// readTree reads a list, and the times that belong to it.
func readTree(list, seen io.Reader) (*folderTree, error) {
	t := &folderTree{}
	r, times := folder.NewReader(list), bufio.NewReader(seen)
	for n := uint32(0); ; n++ {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if n%folder.BlockEntries == 0 {
			t.blocks = append(t.blocks, r.Offset())
		}
		var b [8]byte
		if _, err := io.ReadFull(times, b[:]); err != nil {
			return nil, err
		}
		t.seen = append(t.seen, int64(binary.BigEndian.Uint64(b[:])))
		if e.IsFile() {
			t.ids = append(t.ids, beginning(e.ID))
			t.at = append(t.at, n)
		}
	}
	t.blocks, t.seen = slices.Clip(t.blocks), slices.Clip(t.seen)
	t.ids, t.at = slices.Clip(t.ids), slices.Clip(t.at)
	sort.Stable(byID{t})
	return t, nil
}

type byID struct{ *folderTree }

func (t byID) Len() int           { return len(t.ids) }
func (t byID) Less(i, j int) bool { return t.ids[i] < t.ids[j] }
func (t byID) Swap(i, j int) {
	t.ids[i], t.ids[j] = t.ids[j], t.ids[i]
	t.at[i], t.at[j] = t.at[j], t.at[i]
}

// mayHave reports whether there may be a file with that content.
func (t *folderTree) mayHave(id lonja.FileID) bool {
	_, found := slices.BinarySearch(t.ids, beginning(id))
	return found
}

// find calls each with the files that have that content, and when each was changed
// last, until each returns false. read reads a block that begins there.
func (t *folderTree) find(id lonja.FileID, read func(offset int64) ([]folder.Entry, error), each func(e folder.Entry, modified int64) bool) error {
	want := beginning(id)
	i, _ := slices.BinarySearch(t.ids, want)
	for ; i < len(t.ids) && t.ids[i] == want; i++ {
		number := int64(t.at[i])
		block, within := number/folder.BlockEntries, int(number%folder.BlockEntries)
		entries, err := t.recent.get(block, func() ([]folder.Entry, error) { return read(t.blocks[block]) })
		if err != nil || within >= len(entries) {
			return errors.Join(err, errors.New("the list of the folder is damaged: publish it again"))
		}
		if found := entries[within]; found.ID == id && !each(found, t.seen[number]) {
			return nil
		}
	}
	return nil
}

// recentBlocks are those blocks of a list that were read last: files are asked for in
// the order of the list, as a rule, on some connections at once. Any number of
// goroutines may use them.
type recentBlocks struct {
	mu     sync.Mutex // guards the rest
	blocks [16]readBlock
	next   int // that gives way
}

// A readBlock is a block of a list, or none: it has no entries then.
type readBlock struct {
	number  int64
	entries []folder.Entry
}

// get returns the entries of a block, which read reads if need be.
func (r *recentBlocks) get(number int64, read func() ([]folder.Entry, error)) ([]folder.Entry, error) {
	r.mu.Lock()
	for _, b := range r.blocks {
		if b.number == number && len(b.entries) > 0 {
			r.mu.Unlock()
			return b.entries, nil
		}
	}
	r.mu.Unlock()
	entries, err := read()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks[r.next] = readBlock{number, entries}
	r.next = (r.next + 1) % len(r.blocks)
	return entries, nil
}
