package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
)

// A backup is a header, the records in the order of their revisions, and an
// end mark. Numbers are big-endian.
//
//	header   "lonja backup 1\n"
//	record   'R' (put) or 'D' (deleted), key length uint16, value length uint32,
//	         key, value, CRC-32C of all this uint32
//	end      'E', records uint64, CRC-32C of everything before it uint32
//
// A later record of a key replaces the earlier one: a feed that goes on while
// it is read may tell a key twice, or tell that it is gone. Nothing follows
// the end mark.
const backupHeader = "lonja backup 1\n"

const (
	putTag    = 'R'
	deleteTag = 'D'
	endTag    = 'E'
)

// recordHead is the size of what stands before a record's key.
const recordHead = 1 + 2 + 4

// errEnough ends a feed that has told what was wanted.
var errEnough = errors.New("enough")

// Backup writes all records of s to w, as they are at one moment between the
// call and its return, on any engine for any engine. The caller syncs what w
// writes to. It reads through a feed, so a record that is damaged ends it with
// kind Damaged; an error of w is returned as it is, and what was written then
// has no end mark.
func Backup(ctx context.Context, s Store, w io.Writer) error {
	b := newBackupWriter(w)
	if err := readUntilBarrier(ctx, s, b.event); err != nil {
		return err
	}
	return b.end()
}

// A backupWriter writes the parts of a backup; the first error stays.
type backupWriter struct {
	w     *bufio.Writer
	sum   hash.Hash32
	count uint64
	part  []byte
	err   error
}

func newBackupWriter(w io.Writer) *backupWriter {
	b := &backupWriter{w: bufio.NewWriter(w), sum: crc32.New(castagnoli)}
	b.part = append(b.part, backupHeader...)
	b.write()
	return b
}

// write writes part and begins a new one.
func (b *backupWriter) write() {
	if b.err == nil {
		_, _ = b.sum.Write(b.part) // never fails
		_, b.err = b.w.Write(b.part)
	}
	b.part = b.part[:0]
}

func (b *backupWriter) event(e Event) error {
	tag := byte(putTag)
	if e.Value == nil {
		tag = deleteTag
	}
	b.part = append(b.part, tag)
	b.part = binary.BigEndian.AppendUint16(b.part, uint16(len(e.Key)))
	b.part = binary.BigEndian.AppendUint32(b.part, uint32(len(e.Value)))
	b.part = append(b.part, e.Key...)
	b.part = append(b.part, e.Value...)
	b.part = binary.BigEndian.AppendUint32(b.part, crc32.Checksum(b.part, castagnoli))
	b.count++
	b.write()
	return b.err
}

func (b *backupWriter) end() error {
	b.part = append(b.part, endTag)
	b.part = binary.BigEndian.AppendUint64(b.part, b.count)
	sum := crc32.Update(b.sum.Sum32(), castagnoli, b.part)
	b.part = binary.BigEndian.AppendUint32(b.part, sum)
	b.write()
	if b.err == nil {
		b.err = b.w.Flush()
	}
	return b.err
}
