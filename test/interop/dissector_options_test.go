//go:build interop

package interop_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// How the dissector is reached and set up, and what it makes of captures that
// do not have everything.

// given are conversations that the dissector takes for others, or for none,
// until it is told what runs on their ports.
var given = []conversation{
	{port: "5999", turns: slices.Concat(fromClient(wireStrings("FROB")), fromServer("\x02"))},
	{port: "5998", turns: slices.Concat(fromClient(wireStrings("GET_MULTIFILE", wireTime, "1", "3")), fromServer("\x01"))},
	{port: wirePort, turns: slices.Concat(fromClient(wireStrings("FROB")), fromServer("\x02"))},
	{port: portOfIRC, turns: slices.Concat(fromClient(wireStrings("DISCONNECT", "d", "ana")), fromServer("\x00"))},
}

// portOfIRC is one that Wireshark reserves for another protocol.
const portOfIRC = "57000"

func TestDissectorIsTold(t *testing.T) {
	r := play(t, given)
	frob := []string{"FROB ! Unknown operation", "FROB answer: 2 other error ! The operation failed: other error"}
	holders := []string{
		"GET_MULTIFILE 1 3",
		"GET_MULTIFILE answer: 1 no connected user has that file ! The operation failed: no connected user has that file",
	}
	slice := []string{
		"GET_MULTIFILE " + wireTime + " slice 1 of 3 ! The path has a blank in it",
		"GET_MULTIFILE answer: 1 no such file ! The operation failed: no such file",
	}
	taken := []string{"DISCONNECT ana", "DISCONNECT answer: 0 done"}
	for _, tc := range []struct {
		name    string
		options []string
		want    [][]string // for each of given
	}{
		{"nothing", nil, [][]string{nil, holders, frob, nil}},
		{"a directory's port", []string{"-d", "tcp.port==5999,lonja"}, [][]string{frob, holders, frob, nil}},
		{"a peer's port", []string{"-d", "tcp.port==5998,lonja_peer"}, [][]string{nil, slice, frob, nil}},
		{"all directories' ports", []string{"-o", "lonja.ports:5999"}, [][]string{frob, holders, nil, nil}},
		{"ranges of ports", []string{"-o", "lonja.ports:4000-4500,5990-6000"}, [][]string{frob, holders, frob, nil}},
		{"no port at all", []string{"-o", "lonja.ports:"}, [][]string{nil, holders, nil, nil}},
		{"to look at the bytes first", []string{"-o", "tcp.try_heuristic_first:TRUE"}, [][]string{nil, holders, frob, taken}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.within(t)
			r.mustCope(tc.options...)
			got := shown(t, r, tc.options...)
			for i, want := range tc.want {
				if !slices.Equal(got[i], want) {
					t.Errorf("conversation %d is shown as\n\t%q, want\n\t%q", i, got[i], want)
				}
			}
		})
	}
}

// The file works where docs/wire.md says that it is to be put.
func TestDissectorInstalled(t *testing.T) {
	r := play(t, given[2:3])
	r.load = nil
	if got := r.tshark("-Y", "tcp.payload"); strings.Contains(got, "FROB") {
		t.Fatalf("dissected without the dissector:\n%s", got)
	}
	r.file(".local/lib/wireshark/plugins/lonja.lua", dissectorText(t))
	if got := shown(t, r)[0]; len(got) != 2 {
		t.Errorf("shown as %q, want a request and its answer", got)
	}
}

// spread is a conversation in which every string is a segment.
var spread = []conversation{{turns: slices.Concat(
	fromClient(wireStrings("LIST_CONTENT"), wireStrings("d"), wireStrings("ana"), wireStrings("eva")), fromServer("\x00", wireStrings("1"), wireStrings("/f")),
)}}

// Without reassembly each segment shows what it has.
func TestDissectorWithoutReassembly(t *testing.T) {
	r := play(t, spread)
	want := []string{
		"LIST_CONTENT [request cut short] ! The request is cut short or too long: 1 of 4 strings",
		"bytes after the LIST_CONTENT request ! Bytes after the end of the message",
		"bytes after the LIST_CONTENT request ! Bytes after the end of the message",
		"bytes after the LIST_CONTENT request ! Bytes after the end of the message",
		"LIST_CONTENT answer: 0 done [answer cut short] ! The answer is cut short or too long: 0 of 1 strings",
		"bytes after the LIST_CONTENT answer ! Bytes after the end of the message",
		"bytes after the LIST_CONTENT answer ! Bytes after the end of the message",
	}
	const option = "tcp.desegment_tcp_streams:FALSE"
	r.mustCope("-o", option)
	if got := shown(t, r, "-o", option)[0]; !slices.Equal(got, want) {
		t.Errorf("shown as\n\t%q, want\n\t%q", got, want)
	}
}

// An answer whose request is not in the capture is shown as far as it can be.
func TestDissectorWithoutRequest(t *testing.T) {
	r := play(t, spread, "-f", "tcp src port "+wirePort+" or udp")
	want := []string{
		"unknown answer: 0 the request was not captured",
		"bytes after the unknown answer", "bytes after the unknown answer",
	}
	if got := shown(t, r)[0]; !slices.Equal(got, want) {
		t.Errorf("shown as\n\t%q, want\n\t%q", got, want)
	}
}

// Whatever the bytes and wherever the segments end, the dissector copes.
func TestDissectorCopesWithGarbage(t *testing.T) {
	const conversations = 400
	w := newPacketWriter()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range conversations {
		port := []uint16{4444, 5999}[random.IntN(2)]
		w.conversation(random, uint16(20_000+i), port)
	}
	r := newRecording(t, w.file.Bytes())
	for _, options := range [][]string{
		{"-2"},
		{"-o", "tcp.desegment_tcp_streams:FALSE"},
		{"-d", "tcp.port==4444,lonja_peer"},
		{"-o", "tcp.reassemble_out_of_order:TRUE"},
	} {
		r.mustCope(options...)
	}
	if got := len(r.rows(anyOurs, frameFields)); got < conversations {
		t.Errorf("%d frames are dissected, want at least %d: the garbage is not near enough", got, conversations)
	}
}

// A packetWriter writes a capture file of TCP segments that nobody sent.
type packetWriter struct {
	file    bytes.Buffer
	seconds uint32
}

const (
	linkTypeRaw = 101 // packets begin with their IP header
	flagFIN     = 0x01
	flagRST     = 0x04
	flagACK     = 0x10
)

func newPacketWriter() *packetWriter {
	w := &packetWriter{}
	// The header of a pcap file: magic number, version 2.4, zone, accuracy,
	// greatest length of a packet, link type.
	for _, v := range []any{uint32(0xa1b2c3d4), uint16(2), uint16(4), uint32(0), uint32(0), uint32(1 << 16), uint32(linkTypeRaw)} {
		w.put(binary.LittleEndian, v)
	}
	return w
}

func (w *packetWriter) put(order binary.ByteOrder, v any) {
	if err := binary.Write(&w.file, order, v); err != nil {
		panic(err) // a value of no fixed size: a fault of this file
	}
}

// segment writes one segment, with IPv4 and TCP headers of 20 bytes each and
// no checksums.
func (w *packetWriter) segment(from, to uint16, seq, ack uint32, flags uint8, data []byte) {
	length := uint32(20 + 20 + len(data))
	w.seconds++
	for _, v := range []uint32{w.seconds, 0, length, length} {
		w.put(binary.LittleEndian, v)
	}
	for _, v := range []any{
		uint8(0x45), uint8(0), uint16(length), uint32(0), uint8(64), uint8(6), uint16(0), // IP
		uint32(0x7f000001), uint32(0x7f000001),
		from, to, seq, ack, uint8(5 << 4), flags, uint16(8192), uint32(0), // TCP
		data,
	} {
		w.put(binary.BigEndian, v)
	}
}

// conversation writes a request and an answer that nearly follow the protocol,
// cut anywhere, at times mixed up, repeated or with segments missing.
func (w *packetWriter) conversation(random *rand.Rand, clientPort, serverPort uint16) {
	type flight struct {
		toServer bool
		data     []byte
	}
	var flights []flight
	for _, toServer := range []bool{true, false} {
		rest := damaged(random, randomMessage(random, toServer))
		for len(rest) > 0 {
			n := min(len(rest), []int{1, 1, 2, 5, 20, 2000}[random.IntN(6)])
			flights = append(flights, flight{toServer, rest[:n]})
			rest = rest[n:]
		}
	}
	if random.IntN(5) == 0 {
		random.Shuffle(len(flights), func(i, j int) { flights[i], flights[j] = flights[j], flights[i] })
	}
	var clientSeq, serverSeq uint32 = 1000, 2000
	for _, f := range flights {
		seq, ack, from, to := &clientSeq, &serverSeq, clientPort, serverPort
		if !f.toServer {
			seq, ack, from, to = ack, seq, to, from
		}
		for range []int{0, 1, 1, 1, 1, 1, 1, 1, 1, 2}[random.IntN(10)] {
			w.segment(from, to, *seq, *ack, flagACK, f.data)
		}
		*seq += uint32(len(f.data))
	}
	ends := []uint8{flagFIN | flagACK, flagFIN | flagACK, flagRST | flagACK}
	w.segment(clientPort, serverPort, clientSeq, serverSeq, ends[random.IntN(3)], nil)
	w.segment(serverPort, clientPort, serverSeq, clientSeq, ends[random.IntN(3)], nil)
}

// randomMessage returns something like a request, or like an answer.
func randomMessage(random *rand.Rand, request bool) []byte {
	pick := func(choices ...string) string { return choices[random.IntN(len(choices))] }
	value := func() string {
		return pick("ana", "", "/a/b", "1", "3", "255", "4444", "99999999999999999999999", wireTime, long(300), "\xff\xfe", long(5000)) + "\x00"
	}
	var message string
	if request {
		message = pick("REGISTER", "CONNECT", "PUBLISH", "LIST_USERS", "LIST_CONTENT", "GET_MULTIFILE", "GET_FILE", "FROB") + "\x00"
	} else {
		message = pick("\x00", "\x00", "\x01", "\x09") + pick("", "2\x00", "\x02", "12\x00twelve bytes", "1234", "9999999999\x00")
	}
	for range random.IntN(6) {
		message += value()
	}
	return []byte(message)
}

// damaged changes, adds or removes up to two bytes.
func damaged(random *rand.Rand, message []byte) []byte {
	for range random.IntN(3) {
		at := random.IntN(len(message))
		switch random.IntN(3) {
		case 0:
			message[at] = byte(random.IntN(256))
		case 1:
			message = slices.Insert(message, at, byte(random.IntN(256)))
		case 2:
			if len(message) > 1 {
				message = slices.Delete(message, at, at+1)
			}
		}
	}
	return message
}
