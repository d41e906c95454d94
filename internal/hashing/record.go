package hashing

import (
	"crypto/subtle"
	"encoding/binary"
	"io"

	"lonja"
	"lonja/internal/tree"
)

// The file of a Cache is a header and then records, all of recordLen bytes, each
// appended when a file was hashed: the Stamp's five numbers, 8 bytes each, the
// most significant first; the id; and the first 8 bytes of the BLAKE3 hash of
// all that. In version 1 there was no Changed; such a file is begun anew. A record that does not match its hash is passed over, so damage costs
// the hashing of the files that it hit. Of two for one file the later counts.
const (
	header    = "lonja: hashes of files, version 2\n"
	recordLen = 5*8 + 32 + checkLen
	checkLen  = 8
	headerLen = recordLen // the header, filled up with zeros
)

func appendHeader(b []byte) []byte {
	return append(append(b, header...), make([]byte, headerLen-len(header))...)
}

// A record says that the file with this stamp has the content id.
type record struct {
	stamp Stamp
	id    lonja.FileID
}

func appendRecord(b []byte, r record) []byte {
	begin := len(b)
	for _, n := range []uint64{r.stamp.Device, r.stamp.Inode, uint64(r.stamp.Size), uint64(r.stamp.ModTime), uint64(r.stamp.Changed)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, r.id[:]...)
	check := tree.Sum(b[begin:])
	return append(b, check[:checkLen]...)
}

// parseRecord is the way back; false for what was not written as a record.
func parseRecord(b []byte) (r record, ok bool) {
	if len(b) != recordLen {
		return r, false
	}
	check := tree.Sum(b[:recordLen-checkLen])
	if subtle.ConstantTimeCompare(check[:checkLen], b[recordLen-checkLen:]) == 0 {
		return r, false
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	r.stamp = Stamp{Device: n(0), Inode: n(1), Size: int64(n(2)), ModTime: int64(n(3)), Changed: int64(n(4))}
	copy(r.id[:], b[5*8:])
	return r, true
}

// readRecords calls each with the sound records of src, which begins at one,
// and returns how many whole ones it read, sound or not.
func readRecords(src io.Reader, each func(record)) (count int, err error) {
	buf := make([]byte, 1000*recordLen)
	for {
		n, err := io.ReadFull(src, buf)
		for i := 0; i+recordLen <= n; i += recordLen {
			count++
			if r, ok := parseRecord(buf[i : i+recordLen]); ok {
				each(r)
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return count, nil
		default:
			return count, err
		}
	}
}
