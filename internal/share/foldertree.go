package share

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"lonja"
	"lonja/internal/folder"
)

// A folderTree finds the files of a folder by their content: some 30 bytes of
// memory for each. Their paths stay in the list, on disk, but for some that were
// asked for lately. Otherwise nothing but marks changes once it is made.
type folderTree struct {
	blocks []int64  // where in the list each block begins
	ids    []uint64 // the beginnings of the ids, in order
	at     []uint32 // which entry each of those is
	times  []int64  // when each entry was changed last, when it was hashed: nanoseconds since 1970
	marks  []uint64 // and its mark, 0 where none is known; used atomically
	recent recentBlocks

	file   fs.FileInfo // where times and marks were read
	marked bool        // there are marks in it
}

// A treeFile is a file of a folder, and what it was when it was hashed.
type treeFile struct {
	folder.Entry
	number int64 // of the entry
	seen   seen
}

// beginning is as much of an id as tells most apart.
func beginning(id lonja.FileID) uint64 { return binary.BigEndian.Uint64(id[:]) }

// readTree reads a list, and the times and marks that belong to it.
func readTree(list, known io.Reader) (*folderTree, error) {
	t := &folderTree{}
	r, times := folder.NewReader(list), bufio.NewReader(known)
	length := 8
	if begin, _ := times.Peek(len(seenMagic)); string(begin) == seenMagic {
		_, _ = times.Discard(len(seenMagic)) // they are there
		t.marked, length = true, seenLen
	}
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
		var b [seenLen]byte
		if _, err := io.ReadFull(times, b[:length]); err != nil {
			return nil, err
		}
		t.times = append(t.times, int64(binary.BigEndian.Uint64(b[:])))
		t.marks = append(t.marks, binary.BigEndian.Uint64(b[8:]))
		if e.IsFile() {
			t.ids = append(t.ids, beginning(e.ID))
			t.at = append(t.at, n)
		}
	}
	t.blocks, t.times, t.marks = slices.Clip(t.blocks), slices.Clip(t.times), slices.Clip(t.marks)
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

// find calls each with the files that have that content, until each returns false.
// read reads a block that begins there.
func (t *folderTree) find(id lonja.FileID, read func(offset int64) ([]folder.Entry, error), each func(treeFile) bool) error {
	want := beginning(id)
	i, _ := slices.BinarySearch(t.ids, want)
	for ; i < len(t.ids) && t.ids[i] == want; i++ {
		number := int64(t.at[i])
		block, within := number/folder.BlockEntries, int(number%folder.BlockEntries)
		entries, err := t.recent.get(block, func() ([]folder.Entry, error) { return read(t.blocks[block]) })
		if err != nil || within >= len(entries) {
			return errors.Join(err, errors.New("the list of the folder is damaged: publish it again"))
		}
		was := seen{t.times[number], atomic.LoadUint64(&t.marks[number])}
		if found := entries[within]; found.ID == id && !each(treeFile{found, number, was}) {
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
