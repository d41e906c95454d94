package classic

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net/netip"

	"lonja"
)

// ReadStatus reads the status byte of an answer. A connection that closes
// before it is a failure (kind Unavailable), not a success: the original took
// an empty answer for 0.
func ReadStatus(r io.ByteReader) (byte, error) {
	status, err := r.ReadByte()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, malformed("status", err)
	}
	return status, nil
}

// AppendUsers appends what follows status 0 of LIST_USERS.
func AppendUsers(b []byte, peers lonja.PeerList) []byte {
	b = appendNumber(b, uint64(peers.Len()))
	for p := range peers.All() {
		b = appendField(b, string(p.User))
		b = appendEndpoint(b, p.At)
	}
	return b
}

// ReadUsers reads what AppendUsers wrote.
func ReadUsers(r *bufio.Reader) ([]lonja.Peer, error) {
	var size answerSize
	return readList(r, "LIST_USERS", maxListed, func() (p lonja.Peer, err error) {
		name, err := readField(r, maxAnswerField)
		if err != nil {
			return p, err
		}
		p.User = lonja.UserName(name)
		if p.At, err = readEndpoint(r); err != nil {
			return p, err
		}
		return p, size.add(len(name) + endpointSize)
	})
}

// AppendListings appends what follows status 0 of LIST_CONTENT. The protocol
// has no place for descriptions.
func AppendListings(b []byte, listings []lonja.Listing) []byte {
	b = appendNumber(b, uint64(len(listings)))
	for _, l := range listings {
		b = appendField(b, string(l.Name))
	}
	return b
}

// ReadListings reads what AppendListings wrote. The sizes are unknown.
func ReadListings(r *bufio.Reader) ([]lonja.Listing, error) {
	var size answerSize
	return readList(r, "LIST_CONTENT", maxListed, func() (lonja.Listing, error) {
		name, err := readField(r, maxAnswerField)
		if err != nil {
			return lonja.Listing{}, err
		}
		return lonja.Listing{Name: lonja.FileName(name), Size: lonja.UnknownSize}, size.add(len(name))
	})
}

// AppendHolders appends what follows status 0 of GET_MULTIFILE. Holders past
// lonja.MaxHolders are left out: their number is one byte.
func AppendHolders(b []byte, holders []lonja.Holder) []byte {
	holders = holders[:min(len(holders), lonja.MaxHolders)]
	b = append(b, byte(len(holders)))
	for _, h := range holders {
		b = appendEndpoint(b, h.At)
		b = appendField(b, string(h.Name))
	}
	return b
}

// ReadHolders reads what AppendHolders wrote.
func ReadHolders(r *bufio.Reader) ([]lonja.Holder, error) {
	count, err := r.ReadByte()
	if err != nil {
		return nil, malformed("GET_MULTIFILE", io.ErrUnexpectedEOF)
	}
	holders := make([]lonja.Holder, 0, count)
	for range count {
		at, err := readEndpoint(r)
		if err != nil {
			return nil, malformed("GET_MULTIFILE", err)
		}
		name, err := readField(r, maxAnswerField)
		if err != nil {
			return nil, malformed("GET_MULTIFILE", err)
		}
		holders = append(holders, lonja.Holder{At: at, Name: lonja.FileName(name)})
	}
	return holders, nil
}

// What bounds the lists that a directory can make a client hold: how many
// entries, and how many bytes they have together.
const (
	maxListed    = 1 << 21
	maxAnswer    = 64 << 20
	endpointSize = 32 // of an entry's address and port, about
)

// An answerSize counts the bytes of a list.
type answerSize int

func (s *answerSize) add(n int) error {
	if *s += answerSize(n); *s > maxAnswer {
		return fmt.Errorf("the list has more than %d bytes", maxAnswer)
	}
	return nil
}

func readList[T any](r *bufio.Reader, what string, most uint64, read func() (T, error)) ([]T, error) {
	count, err := readNumber(r, "count", most)
	if err != nil {
		return nil, malformed(what, err)
	}
	list := make([]T, 0, min(count, 1024)) // the count is only a promise
	for range count {
		item, err := read()
		if err != nil {
			return nil, malformed(what, err)
		}
		list = append(list, item)
	}
	return list, nil
}

func readNumber(r *bufio.Reader, what string, most uint64) (uint64, error) {
	text, err := readField(r, maxAnswerField)
	if err != nil {
		return 0, err
	}
	return parseNumber(what, text, most)
}

func appendEndpoint(b []byte, at lonja.Endpoint) []byte {
	b = append(at.Addr().AppendTo(b), 0)
	return appendNumber(b, uint64(at.Port()))
}

func readEndpoint(r *bufio.Reader) (lonja.Endpoint, error) {
	ip, err := readField(r, maxAnswerField)
	if err != nil {
		return lonja.Endpoint{}, err
	}
	port, err := readField(r, maxAnswerField)
	if err != nil {
		return lonja.Endpoint{}, err
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return lonja.Endpoint{}, fmt.Errorf("%q is not an ip address", lonja.Printable(ip))
	}
	n, err := parseNumber("port", port, math.MaxUint16)
	if err != nil {
		return lonja.Endpoint{}, err
	}
	// A zone names a network interface of the other machine, if anything: it is
	// of no use here, and netip takes any text for one.
	return lonja.EndpointFrom(addr.WithZone(""), uint16(n)), nil
}
