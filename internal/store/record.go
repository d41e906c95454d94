package store

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"lonja"
)

// segments encodes parts of keys: letters and digits only, in the order of the
// bytes, without the case that some engines might fold.
var segments = base32.HexEncoding.WithPadding(base32.NoPadding)

// Segment makes a part of a key of any bytes.
func Segment[T ~string](s T) string { return segments.EncodeToString([]byte(s)) }

// ParseSegment is the way back.
func ParseSegment(s string) (string, error) {
	b, err := segments.DecodeString(s)
	// Only the last group may have bits that mean nothing.
	if last := len(b) / 5 * 5; err == nil && segments.EncodeToString(b[last:]) != s[last/5*8:] {
		err = errors.New("not in its canonical form")
	}
	if err != nil {
		return "", fmt.Errorf("segment %q: %w", lonja.Printable(s), err)
	}
	return string(b), nil
}

// castagnoli is the polynomial of CRC-32C, which processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealSize is what Seal adds.
const sealSize = 4

// Seal appends value to b, guarded by a CRC-32C over key and value: engines
// read on over a flipped bit without noticing, so each record tells by itself
// whether it is whole and in its place.
func Seal(b []byte, key Key, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, checksum(key, value)), value...)
}

// Unseal returns the value that was sealed under key, as a part of sealed. An
// error of kind Damaged means that it is not what was written.
func Unseal(key Key, sealed []byte) ([]byte, error) {
	if len(sealed) < sealSize || binary.BigEndian.Uint32(sealed) != checksum(key, sealed[sealSize:]) {
		return nil, lonja.E(lonja.Damaged, "read record", fmt.Errorf("the checksum of %s is wrong", key))
	}
	return sealed[sealSize:], nil
}

func checksum(key Key, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(key))
	return crc32.Update(sum, castagnoli, value)
}

const keySigns = "-/_=.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Check reports, as an error of kind Invalid, what no engine would take.
func Check(batch []Change) error {
	if len(batch) == 0 || len(batch) > MaxBatch {
		return lonja.E(lonja.Invalid, "apply", fmt.Errorf("%d changes in a batch, not 1 to %d", len(batch), MaxBatch))
	}
	seen := make(map[Key]bool, len(batch))
	for _, c := range batch {
		switch {
		case c.Key == "" || len(c.Key) > MaxKey || strings.Trim(string(c.Key), keySigns) != "":
			return lonja.E(lonja.Invalid, "apply", fmt.Errorf("key %.100q cannot be one", string(c.Key)))
		case len(c.Value) > MaxValue:
			return lonja.E(lonja.Invalid, "apply", fmt.Errorf("the value of %s has %d bytes, at most %d", c.Key, len(c.Value), MaxValue))
		case c.Value == nil && c.Expect == 0:
			return lonja.E(lonja.Invalid, "apply", fmt.Errorf("%s is deleted and expected to be nothing", c.Key))
		case seen[c.Key]:
			return lonja.E(lonja.Invalid, "apply", fmt.Errorf("%s is twice in a batch", c.Key))
		}
		seen[c.Key] = true
	}
	return nil
}
