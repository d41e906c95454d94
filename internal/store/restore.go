package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/maphash"
	"io"
	"slices"
	"strings"

	"lonja"
)

// Restore reads a backup from r into s, which must be empty, else it is
// refused with kind Conflict. It returns how many records of the backup it has
// applied, also beside an error. An error of r is returned as it is.
//
// A stream cannot be read twice, so records are applied while they are read,
// each after its own checksum was compared. What is cut short or is not what
// was written ends with kind Damaged, what is no backup at all with Invalid;
// a part of the records before that is in s then, which is to be thrown away.
// Nobody else may write to s meanwhile.
func Restore(ctx context.Context, s Store, r io.Reader) (n int, err error) {
	if err := checkEmpty(ctx, s); err != nil {
		return 0, err
	}
	to := &restorer{store: s, inBatch: make(map[Key]bool), seed: maphash.MakeSeed(), revs: make(map[uint64]Rev)}
	from := &backupReader{r: bufio.NewReader(r), sum: crc32.New(castagnoli)}
	err = from.readAll(func(c Change) error { return to.take(ctx, c) })
	if err == nil {
		err = to.flush(ctx)
	}
	if errors.Is(err, lonja.Damaged) {
		err = fmt.Errorf("%w; %d records were restored", err, to.applied)
	}
	return to.applied, err
}

// checkEmpty refuses a store that has records.
func checkEmpty(ctx context.Context, s Store) error {
	return readUntilBarrier(ctx, s, func(e Event) error {
		if e.Value != nil {
			return lonja.E(lonja.Conflict, "restore", errors.New("the store is not empty"))
		}
		return nil
	})
}

// readUntilBarrier tells what s has, as Feed does, up to a barrier.
func readUntilBarrier(ctx context.Context, s Store, tell func(Event) error) error {
	barrier, err := s.Barrier(ctx)
	if err != nil {
		return err
	}
	var told error
	err = s.Feed(ctx, func(e Event) error {
		switch {
		case e.Key != "":
			told = tell(e)
		case e.Rev >= barrier:
			// One moment is complete. If it was before the barrier, the
			// changes until then followed it.
			told = errEnough
		}
		return told
	})
	switch {
	case errors.Is(told, errEnough):
		return nil
	case told != nil:
		return told // not as the engine wraps it
	}
	return err
}

// A restorer applies the records of a backup to a store, in their order: on a
// cluster other nodes see them as they come, and a publication before its
// account would be one of nobody.
type restorer struct {
	store   Store
	batch   []Change
	inBatch map[Key]bool
	bytes   int // of the values in batch
	applied int
	seed    maphash.Seed
	revs    map[uint64]Rev // of the keys that were applied, by their hashes
}

// maxRestoreBytes bounds the values in a batch.
const maxRestoreBytes = 4 << 20

// take applies c, now or with others. A key that comes again changed while the
// backup was made.
func (t *restorer) take(ctx context.Context, c Change) error {
	if t.inBatch[c.Key] {
		if err := t.flush(ctx); err != nil {
			return err
		}
	}
	c.Expect = t.revs[t.hash(c.Key)]
	if c.Value == nil && c.Expect == 0 {
		return nil // it came and went
	}
	t.batch = append(t.batch, c)
	t.inBatch[c.Key] = true
	t.bytes += len(c.Value)
	if len(t.batch) < MaxBatch && t.bytes < maxRestoreBytes {
		return nil
	}
	return t.flush(ctx)
}

// flush applies what take has gathered.
func (t *restorer) flush(ctx context.Context) error {
	if len(t.batch) == 0 {
		return nil
	}
	last, err := t.store.Apply(ctx, t.batch)
	switch {
	case errors.Is(err, lonja.Conflict):
		return lonja.E(lonja.Conflict, "restore", errors.New("somebody else writes to the store"))
	case err != nil:
		return err
	}
	// The revisions of a batch follow one another.
	for i, c := range t.batch {
		if rev := last - Rev(len(t.batch)-1-i); c.Value != nil {
			t.revs[t.hash(c.Key)] = rev
		} else {
			delete(t.revs, t.hash(c.Key))
		}
	}
	t.applied += len(t.batch)
	t.batch, t.bytes = t.batch[:0], 0
	clear(t.inBatch)
	return nil
}

func (t *restorer) hash(key Key) uint64 { return maphash.String(t.seed, string(key)) }

// A backupReader reads the parts of a backup.
type backupReader struct {
	r     *bufio.Reader
	sum   hash.Hash32 // of what was read before part
	part  []byte
	count uint64
}

func broken(format string, args ...any) error {
	return lonja.E(lonja.Damaged, "read backup", fmt.Errorf(format, args...))
}

// readAll tells each record of the backup and checks its end.
func (b *backupReader) readAll(tell func(Change) error) error {
	if err := b.read(len(backupHeader)); err != nil {
		return err
	}
	if string(b.part) != backupHeader {
		return lonja.E(lonja.Invalid, "read backup", errors.New("this is not a backup, or one of a newer version"))
	}
	for {
		b.next()
		if err := b.read(1); err != nil {
			return err
		}
		if b.part[0] == endTag {
			return b.end()
		}
		c, err := b.record()
		if err != nil {
			return err
		}
		b.count++
		if err := tell(c); err != nil {
			return err
		}
	}
}

// read adds n bytes to part.
func (b *backupReader) read(n int) error {
	have := len(b.part)
	b.part = slices.Grow(b.part, n)[:have+n]
	switch _, err := io.ReadFull(b.r, b.part[have:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return broken("it is cut short after %d records", b.count)
	case err != nil:
		return err
	}
	return nil
}

// next begins a new part.
func (b *backupReader) next() {
	_, _ = b.sum.Write(b.part) // never fails
	b.part = b.part[:0]
}

// record reads the rest of a record whose tag is in part.
func (b *backupReader) record() (Change, error) {
	tag := b.part[0]
	if err := b.read(recordHead - 1); err != nil {
		return Change{}, err
	}
	keySize, valueSize := int(binary.BigEndian.Uint16(b.part[1:])), int64(binary.BigEndian.Uint32(b.part[3:]))
	if tag != putTag && tag != deleteTag || keySize > MaxKey || valueSize > MaxValue {
		return Change{}, broken("record %d is not what was written", b.count+1)
	}
	if err := b.read(keySize + int(valueSize) + crc32.Size); err != nil {
		return Change{}, err
	}
	body := b.part[:len(b.part)-crc32.Size]
	key, value := Key(body[recordHead:recordHead+keySize]), body[recordHead+keySize:]
	if binary.BigEndian.Uint32(b.part[len(body):]) != crc32.Checksum(body, castagnoli) ||
		key == "" || strings.Trim(string(key), keySigns) != "" || tag == deleteTag && len(value) > 0 {
		return Change{}, broken("record %d is not what was written", b.count+1)
	}
	if tag == deleteTag {
		return Change{Key: key}, nil
	}
	return Change{Key: key, Value: append([]byte{}, value...)}, nil
}

// end reads the rest of the end mark, whose tag is in part.
func (b *backupReader) end() error {
	if err := b.read(8 + crc32.Size); err != nil {
		return err
	}
	body := b.part[:len(b.part)-crc32.Size]
	sum := crc32.Update(b.sum.Sum32(), castagnoli, body)
	if binary.BigEndian.Uint64(body[1:]) != b.count || binary.BigEndian.Uint32(b.part[len(body):]) != sum {
		return broken("its end does not fit its %d records", b.count)
	}
	switch _, err := b.r.ReadByte(); {
	case err == nil:
		return broken("something follows its end")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}
