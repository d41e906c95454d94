package oncrpc

import (
	"encoding/binary"
	"fmt"

	"lonja"
)

// unit is the size in bytes to which XDR pads everything (RFC 4506 §3).
const unit = 4

// malformed is the error of every decoder: the bytes are not a what.
func malformed(what string) error {
	return lonja.E(lonja.Malformed, "decode", fmt.Errorf("not a valid %s", what))
}

// appendUint32 adds an unsigned int (RFC 4506 §4.2), or a bool or an enum,
// which look the same.
func appendUint32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// appendString adds a string or variable opaque: length, bytes, zeros up to
// the next unit (RFC 4506 §4.10, §4.11).
func appendString(b []byte, s string) []byte {
	b = appendUint32(b, uint32(len(s)))
	b = append(b, s...)
	return append(b, make([]byte, padding(len(s)))...)
}

// padding is how many zeros follow n bytes.
func padding(n int) int { return -n & (unit - 1) }

// A cursor reads XDR from the front of a slice. The first part that is cut
// short or over its limit fails it, and from then on every part reads as zero:
// callers read all they want and ask err once.
type cursor struct {
	rest   []byte
	failed bool
}

func (c *cursor) fail() {
	c.rest, c.failed = nil, true
}

// err is nil, or says that the bytes are not a what.
func (c *cursor) err(what string) error {
	if c.failed {
		return malformed(what)
	}
	return nil
}

func (c *cursor) uint32() uint32 {
	if len(c.rest) < unit {
		c.fail()
		return 0
	}
	v := binary.BigEndian.Uint32(c.rest)
	c.rest = c.rest[unit:]
	return v
}

// bool fails on anything but 0 and 1, as RFC 4506 §4.4 has it.
func (c *cursor) bool() bool {
	v := c.uint32()
	if v > 1 {
		c.fail()
	}
	return v == 1
}

// bytes reads a variable opaque of at most limit bytes. The result aliases
// the input. What the padding holds is not looked at: libtirpc does not either.
func (c *cursor) bytes(limit int) []byte {
	n := c.uint32()
	if uint64(n) > uint64(limit) {
		c.fail()
		return nil
	}
	length := int(n)
	if length+padding(length) > len(c.rest) {
		c.fail()
		return nil
	}
	s := c.rest[:length:length]
	c.rest = c.rest[length+padding(length):]
	return s
}

// string is bytes, copied.
func (c *cursor) string(limit int) string { return string(c.bytes(limit)) }
