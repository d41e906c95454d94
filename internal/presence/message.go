package presence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"lonja"
)

// The first byte of each message is its version. A message is of the first one
// that has what it says: those without sessions are understood by nodes that
// know none.
const (
	version         = 1
	versionSessions = 2 // at least one record is a session
)

// kinds of messages; the package comment has their layout.
type kind uint8

const (
	beat kind = iota + 1
	delta
	ask
	page
	bye
)

// An ack says up to which number a node's deltas are known.
type ack struct{ node, seq uint64 }

// A message is what nodes publish. Which fields count depends on its kind.
type message struct {
	kind    kind
	from    uint64
	seq     uint64 // beat, delta, page
	count   uint64 // beat: leases held by the sender
	digest  uint64 // beat
	acks    []ack
	nodes   []uint64 // ask
	number  uint64   // page
	last    bool     // page
	records []wireRecord
}

// A wireRecord is a record of the sender's. Its name is a part of the message
// it was read from.
type wireRecord struct {
	user  []byte
	at    lonja.Endpoint
	terms *Session // of its own
	stamp Stamp
	epoch uint32
	flags flags
}

// MaxMessage bounds a message, in bytes: it is what a store publishes.
const MaxMessage = 256 << 10

const (
	// maxEpoch bounds what is taken from others, so that there is a next one.
	maxEpoch = 1 << 31
	// maxRecord is the size of the largest record, in bytes: flags, length,
	// name, stamp, epoch, address, port. A session adds up to maxSession.
	maxRecord = 1 + 1 + lonja.MaxUserName + 8 + 5 + 16 + 2
	// maxHead is more than what comes before a message's list.
	maxHead = 64
)

// appendHead begins a message.
func appendHead(b []byte, k kind, from uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, version, byte(k)), from)
}

// appendMessage appends all of m. Flush builds deltas and pages itself, from
// the same parts, without holding their records twice.
func appendMessage(b []byte, m *message) []byte {
	first := len(b)
	b = appendHead(b, m.kind, m.from)
	switch m.kind {
	case beat:
		b = binary.AppendUvarint(b, m.seq)
		b = binary.AppendUvarint(b, m.count)
		b = binary.BigEndian.AppendUint64(b, m.digest)
		for _, a := range m.acks {
			b = binary.BigEndian.AppendUint64(b, a.node)
			b = binary.AppendUvarint(b, a.seq)
		}
	case ask:
		for _, n := range m.nodes {
			b = binary.BigEndian.AppendUint64(b, n)
		}
	case delta:
		b = binary.AppendUvarint(b, m.seq)
	case page:
		b = appendPageHead(b, m.seq, m.number, m.last)
	}
	for i := range m.records {
		if b = appendRecord(b, &m.records[i]); m.records[i].terms != nil {
			b[first] = versionSessions
		}
	}
	return b
}

func appendPageHead(b []byte, seq, n uint64, last bool) []byte {
	b = binary.AppendUvarint(b, seq)
	b = binary.AppendUvarint(b, n)
	return append(b, number(last))
}

func appendRecord(b []byte, r *wireRecord) []byte {
	addr := r.at.Addr()
	f := r.flags & wireState
	if f&online != 0 && addr.Is4() {
		f |= v4
	} else if f&online != 0 && addr.Is6() {
		f |= v6
	}
	if r.terms != nil {
		f |= session
	}
	b = append(b, byte(f), byte(len(r.user)))
	b = append(b, r.user...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.stamp))
	b = binary.AppendUvarint(b, uint64(r.epoch))
	if f&online == 0 {
		return b
	}
	b = append(b, addr.WithZone("").AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, r.at.Port())
	return r.terms.append(b)
}

var errMessage = errors.New("a message does not follow its layout")

// parseMessage reads a message. The error is of kind Malformed. The records'
// names are parts of b.
func parseMessage(b []byte) (*message, error) {
	r := reader{rest: b}
	v := r.byte()
	if v != version && v != versionSessions {
		return nil, lonja.E(lonja.Malformed, "presence", fmt.Errorf("a message of version %d, which is not known here", v))
	}
	m := &message{kind: kind(r.byte()), from: r.fixed64()}
	switch m.kind {
	case beat:
		m.seq, m.count, m.digest = r.uvarint(), r.uvarint(), r.fixed64()
		for r.more() {
			m.acks = append(m.acks, ack{r.fixed64(), r.uvarint()})
		}
	case ask:
		for r.more() {
			m.nodes = append(m.nodes, r.fixed64())
		}
	case delta:
		m.seq = r.uvarint()
		m.records = r.records()
	case page:
		m.seq, m.number = r.uvarint(), r.uvarint()
		m.last = r.bool()
		m.records = r.records()
	case bye:
	default:
		r.bad = true
	}
	if r.bad || len(r.rest) > 0 || r.sessions != (v == versionSessions) {
		return nil, lonja.E(lonja.Malformed, "presence", errMessage)
	}
	return m, nil
}

// A reader takes a message apart. After the first thing that is wrong it
// returns zeros, and bad is set.
type reader struct {
	rest     []byte
	bad      bool
	sessions bool // there was one
}

func (r *reader) more() bool { return !r.bad && len(r.rest) > 0 }

func (r *reader) take(n int) []byte {
	if r.bad || len(r.rest) < n {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bool() bool {
	b := r.byte()
	r.bad = r.bad || b > 1
	return b == 1
}

func (r *reader) fixed64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// uvarint reads a number in its shortest form.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) records() []wireRecord {
	// Records of usual names are longer than this, so the estimate is enough
	// for one allocation, and it is no more than some times the message.
	list := make([]wireRecord, 0, len(r.rest)/24)
	for r.more() {
		list = append(list, r.record())
	}
	return list
}

func (r *reader) record() wireRecord {
	f := flags(r.byte())
	w := wireRecord{flags: f & wireState, user: r.take(int(r.byte()))}
	w.stamp = Stamp(r.fixed64())
	epoch := r.uvarint()
	w.epoch = uint32(min(epoch, maxEpoch))
	if _, err := lonja.ParseUserName(string(w.user)); err != nil ||
		w.stamp == 0 || w.stamp > maxStamp || epoch >= maxEpoch {
		r.bad = true
	}
	switch {
	case f&^(wireState|v4|v6|session) != 0, f&v4 != 0 && f&v6 != 0:
		r.bad = true
	case f&online == 0:
		r.bad = r.bad || f&(v4|v6|session) != 0
		return w
	case f&expired != 0:
		r.bad = true
	}
	var addr netip.Addr
	if f&v4 != 0 {
		addr, _ = netip.AddrFromSlice(r.take(4))
	} else if f&v6 != 0 {
		addr, _ = netip.AddrFromSlice(r.take(16))
	}
	if b := r.take(2); b != nil {
		w.at = lonja.Endpoint{AddrPort: netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b))}
	}
	if f&session != 0 {
		w.terms = r.session()
	}
	return w
}
