package natsstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"

	"lonja"
	"lonja/internal/store"
)

// A record is what a message of a record's subject holds, sealed:
//
//	kind      1 byte: 'c' for the value of a key that stood for nothing, 'v'
//	          for any other value, 'd' for a tombstone
//	nonce    16 bytes, one per Apply
//	replaces uvarint, the sequence of the message that it came after
//	value    the rest
//
// The nonce tells whose write it is when an answer was lost. What it replaced
// tells, when it is not ours, whether ours can have been there before it.
type record struct {
	kind     byte
	nonce    nonce
	replaces uint64
	value    []byte
}

// The kinds of records.
const (
	created = 'c'
	changed = 'v'
	deleted = 'd'
)

// kindOf returns the kind of record that a change makes.
func kindOf(c store.Change) byte {
	switch {
	case c.Value == nil:
		return deleted
	case c.Expect == 0:
		return created
	}
	return changed
}

// A nonce is unique to one Apply of one process.
type nonce [16]byte

// newNonce returns a nonce that no other process makes either.
func (s *Store) newNonce() nonce {
	n := s.nonces.base
	binary.BigEndian.PutUint64(n[8:], s.nonces.count.Add(1))
	return n
}

// nonceBase returns what the nonces of one process begin with.
func nonceBase() (n nonce) {
	_, _ = rand.Read(n[:8]) // never fails
	return n
}

// seal returns what goes into the message of key.
func (r record) seal(key store.Key) []byte {
	body := make([]byte, 0, 1+len(r.nonce)+binary.MaxVarintLen64+len(r.value))
	body = append(append(body, r.kind), r.nonce[:]...)
	body = binary.AppendUvarint(body, r.replaces)
	return store.Seal(nil, key, append(body, r.value...))
}

// unseal is the way back. The value is a part of sealed, and never nil.
func unseal(key store.Key, sealed []byte) (record, error) {
	body, err := store.Unseal(key, sealed)
	if err != nil {
		return record{}, err
	}
	var r record
	if len(body) < 1+len(r.nonce) || body[0] != created && body[0] != changed && body[0] != deleted {
		return record{}, errMalformed
	}
	r.kind = body[0]
	body = body[1+copy(r.nonce[:], body[1:]):]
	replaces, n := binary.Uvarint(body)
	if n <= 0 {
		return record{}, errMalformed
	}
	r.replaces, r.value = replaces, body[n:len(body):len(body)]
	return r, nil
}

var errMalformed = lonja.E(lonja.Damaged, "read record", errors.New("it is whole, but of no form that this version knows"))
