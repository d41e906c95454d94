package classic

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"

	"lonja"
)

// The requests between peers.
const (
	fetchFile  = "GET_FILE"
	fetchSlice = "GET_MULTIFILE"
)

// MaxSlices is the largest number of slices that a file is asked for in.
const MaxSlices = 255

// A Slice is one of Total parts of a file, counted from 0. The zero Slice is
// the whole file, as GET_FILE asks for it.
type Slice struct {
	Index, Total int
}

// IsWhole reports whether s stands for a GET_FILE.
func (s Slice) IsWhole() bool { return s.Total == 0 }

// Range returns where the slice of a file of size bytes begins and how many
// bytes it has. The last slice takes what the integer division leaves over.
func (s Slice) Range(size int64) (offset, length int64) {
	if s.IsWhole() {
		return 0, size
	}
	each := size / int64(s.Total)
	offset = each * int64(s.Index)
	if s.Index == s.Total-1 {
		return offset, size - offset
	}
	return offset, each
}

// A PeerRequest is one request of a peer to another: a file, by the name under
// which its owner published it, or a slice of it.
type PeerRequest struct {
	Name  lonja.FileName
	Slice Slice
}

// ReadPeerRequest reads one request of a peer. Its error is of kind Invalid.
func ReadPeerRequest(r *bufio.Reader) (PeerRequest, error) {
	op, err := readField(r, lonja.MaxOperation)
	if err != nil {
		return PeerRequest{}, invalid("operation", err)
	}
	if op != fetchFile && op != fetchSlice {
		return PeerRequest{}, invalid("operation", fmt.Errorf("no operation is called %q", lonja.Printable(op)))
	}
	name, err := readField(r, lonja.MaxFileName)
	if err != nil {
		return PeerRequest{}, invalid("file name", err)
	}
	req := PeerRequest{Name: lonja.FileName(name)}
	if op == fetchSlice {
		req.Slice, err = readSlice(r)
	}
	return req, err
}

func readSlice(r *bufio.Reader) (Slice, error) {
	var parts [2]uint64
	for i, what := range []string{"slice", "total"} {
		text, err := readField(r, lonja.MaxOperation)
		if err != nil {
			return Slice{}, invalid(what, err)
		}
		if parts[i], err = parseNumber(what, text, MaxSlices); err != nil {
			return Slice{}, invalid(what, err)
		}
	}
	if parts[0] >= parts[1] {
		return Slice{}, invalid("slice", fmt.Errorf("there is no slice %d of %d", parts[0], parts[1]))
	}
	return Slice{Index: int(parts[0]), Total: int(parts[1])}, nil
}

// AppendPeerRequest appends the request in its wire form.
func AppendPeerRequest(b []byte, req PeerRequest) []byte {
	if req.Slice.IsWhole() {
		return appendField(appendField(b, fetchFile), string(req.Name))
	}
	b = appendField(appendField(b, fetchSlice), string(req.Name))
	b = appendNumber(b, uint64(req.Slice.Index))
	return appendNumber(b, uint64(req.Slice.Total))
}

// MaxSizePrefix is the length of the longest size that some peers send before
// the content of a whole file: 19 digits and a NUL.
const MaxSizePrefix = 20

// AppendSize appends the size in the form that some peers send before the
// content of a whole file.
func AppendSize(b []byte, size int64) []byte { return appendNumber(b, uint64(size)) }

// SplitSize looks whether a transfer begins with a size: decimal digits and a
// NUL. It returns the size and the length of that prefix, or ok false. A file
// may begin like that by itself: the prefix is one only if exactly size bytes
// follow it.
func SplitSize(head []byte) (size int64, length int, ok bool) {
	end := bytes.IndexByte(head[:min(len(head), MaxSizePrefix)], 0)
	if end < 1 {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(string(head[:end]), 10, 63)
	if err != nil {
		return 0, 0, false
	}
	return int64(n), end + 1, true
}
