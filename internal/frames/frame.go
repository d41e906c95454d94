package frames

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A kind says what a frame is for.
type kind byte

const (
	kindHello   kind = 1
	kindRequest kind = 2
	kindAnswer  kind = 3
	kindFailure kind = 4
	kindCancel  kind = 5
	kindItem    kind = 6
	kindCredit  kind = 7
	kindPing    kind = 8
	kindPong    kind = 9
	kindGoAway  kind = 10
)

// The bounds of a body.
const (
	// MaxRequest bounds the body of a request.
	MaxRequest = 256 << 10
	// MaxAnswer bounds the body of an answer and of an item.
	MaxAnswer = 1 << 20
)

const (
	headerSize  = 16
	maxSentence = 1 << 10 // the body of a failure and of a go away
)

// A header is what stands before the body of a frame.
type header struct {
	length  uint32
	kind    kind
	method  uint16
	request uint32
	value   uint32
}

func appendHeader(b []byte, h header) []byte {
	b = binary.BigEndian.AppendUint32(b, h.length)
	b = append(b, byte(h.kind), 0)
	b = binary.BigEndian.AppendUint16(b, h.method)
	b = binary.BigEndian.AppendUint32(b, h.request)
	return binary.BigEndian.AppendUint32(b, h.value)
}

// appendFrame appends a frame; its header says how long the body is.
func appendFrame(b []byte, h header, body []byte) []byte {
	h.length = uint32(len(body))
	return append(appendHeader(b, h), body...)
}

// parseHeader reads a header from exactly headerSize bytes.
func parseHeader(b []byte) header {
	_ = b[headerSize-1]
	return header{
		length:  binary.BigEndian.Uint32(b),
		kind:    kind(b[4]),
		method:  binary.BigEndian.Uint16(b[6:]),
		request: binary.BigEndian.Uint32(b[8:]),
		value:   binary.BigEndian.Uint32(b[12:]),
	}
}

// setLength writes the length of a body that stands behind its header at the
// end of b, which began at start.
func setLength(b []byte, start int) {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-headerSize))
}

// A hello is what each side says first.
type hello struct {
	lowest, highest byte
	longest         uint32 // body that is taken
	atOnce          uint32 // requests
	window          uint32 // items of a stream
}

const (
	magic        = "lonja"
	helloSize    = 20
	maxHello     = 256
	thisVersion  = 1
	leastVersion = 1
)

func appendHello(b []byte, h hello) []byte {
	b = appendHeader(b, header{length: helloSize, kind: kindHello})
	b = append(b, magic...)
	b = append(b, h.lowest, h.highest, 0)
	b = binary.BigEndian.AppendUint32(b, h.longest)
	b = binary.BigEndian.AppendUint32(b, h.atOnce)
	return binary.BigEndian.AppendUint32(b, h.window)
}

var errNoHello = errors.New("the other side does not begin with a hello of lonja/1")

// parseHello reads the body of a hello.
func parseHello(b []byte) (h hello, err error) {
	if len(b) < helloSize || len(b) > maxHello || string(b[:len(magic)]) != magic {
		return h, errNoHello
	}
	return hello{
		lowest: b[5], highest: b[6],
		longest: binary.BigEndian.Uint32(b[8:]), atOnce: binary.BigEndian.Uint32(b[12:]), window: binary.BigEndian.Uint32(b[16:]),
	}, nil
}

// agree returns the version that two sides speak.
func agree(own, other hello) (byte, error) {
	version := min(own.highest, other.highest)
	if version < own.lowest || version < other.lowest {
		return 0, fmt.Errorf("the other side speaks versions %d to %d of lonja/1, this one %d to %d",
			other.lowest, other.highest, own.lowest, own.highest)
	}
	return version, nil
}
