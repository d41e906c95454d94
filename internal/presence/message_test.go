package presence

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/store"
)

func endpoint(s string) lonja.Endpoint { return lonja.Endpoint{AddrPort: netip.MustParseAddrPort(s)} }

var sampleMessages = map[string]struct {
	m   message
	hex string
}{
	"beat": {
		message{kind: beat, from: 1, seq: 300, count: 2, digest: 0xabc, acks: []ack{{7, 5}, {8, 0}}},
		"0101 0000000000000001 ac02 02 0000000000000abc 0000000000000007 05 0000000000000008 00",
	},
	"beat of one who knows nobody": {message{kind: beat, from: 1}, "0101 0000000000000001 00 00 0000000000000000"},
	"delta": {
		message{kind: delta, from: 1, seq: 9, records: []wireRecord{
			{user: []byte("ana"), at: endpoint("10.0.0.1:4445"), stamp: 77, epoch: 200, flags: online | adopted},
			{user: []byte("b"), at: endpoint("[2001:db8::1]:1"), stamp: 78, flags: online},
			{user: []byte("c"), stamp: 79, flags: expired},
			{user: []byte("d"), stamp: 80},
		}},
		"0102 0000000000000001 09" +
			" 0d 03 616e61 000000000000004d c801 0a000001 115d" +
			" 11 01 62 000000000000004e 00 20010db8000000000000000000000001 0001" +
			" 02 01 63 000000000000004f 00" +
			" 00 01 64 0000000000000050 00",
	},
	"a session": {
		message{kind: delta, from: 1, seq: 9, records: []wireRecord{
			{user: []byte("ana"), at: endpoint("10.0.0.1:4445"), stamp: 77, epoch: 1, flags: online, terms: &Session{Length: time.Minute, Detail: "key"}},
			{user: []byte("d"), stamp: 80},
		}},
		"0202 0000000000000001 09" +
			" 89 03 616e61 000000000000004d 01 0a000001 115d e0d403 03 6b6579" +
			" 00 01 64 0000000000000050 00",
	},
	"a session nowhere": {
		message{kind: page, from: 1, seq: 9, last: true, records: []wireRecord{
			{user: []byte("a"), at: lonja.Endpoint{}, stamp: 1, flags: online, terms: &Session{Length: time.Millisecond, Detail: "k"}},
		}},
		"0204 0000000000000001 09 00 01 81 01 61 0000000000000001 00 0000 01 01 6b",
	},
	"ask": {message{kind: ask, from: 1, nodes: []uint64{2, 3}}, "0103 0000000000000001 0000000000000002 0000000000000003"},
	"page": {
		message{kind: page, from: 1, seq: 9, number: 3, last: true, records: []wireRecord{{user: []byte("d"), stamp: 80}}},
		"0104 0000000000000001 09 03 01 00 01 64 0000000000000050 00",
	},
	"bye": {message{kind: bye, from: 1}, "0105 0000000000000001"},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMessagesKeepTheirLayout(t *testing.T) {
	for name, c := range sampleMessages {
		t.Run(name, func(t *testing.T) {
			want := unhex(t, c.hex)
			if got := appendMessage(nil, &c.m); !bytes.Equal(got, want) {
				t.Fatalf("got  %x\nwant %x", got, want)
			}
			m, err := parseMessage(want)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.records) == 0 {
				m.records = nil
			}
			if !reflect.DeepEqual(*m, c.m) {
				t.Errorf("got %+v, want %+v", *m, c.m)
			}
		})
	}
}

func TestMalformedMessagesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                      "",
		"another version":              "0305 0000000000000001",
		"a later version for nothing":  "0205 0000000000000001",
		"a session too early":          "0102 0000000000000001 09 89 01 64 0000000000000050 00 0a000001 115d 01 01 6b",
		"a session without a detail":   "0202 0000000000000001 09 89 01 64 0000000000000050 00 0a000001 115d 01 00",
		"a session without a length":   "0202 0000000000000001 09 89 01 64 0000000000000050 00 0a000001 115d 00 01 6b",
		"a session for ever":           "0202 0000000000000001 09 89 01 64 0000000000000050 00 0a000001 115d ffffffff0f 01 6b",
		"a detail that is too long":    "0202 0000000000000001 09 89 01 64 0000000000000050 00 0a000001 115d 01 9103 6b",
		"a detail cut off":             "0202 0000000000000001 09 89 01 64 0000000000000050 00 0a000001 115d 01 02 6b",
		"the session of an end":        "0202 0000000000000001 09 80 01 64 0000000000000050 00 01 01 6b",
		"no such kind":                 "0106 0000000000000001",
		"a short sender":               "0105 00000000000001",
		"more after a bye":             "0105 0000000000000001 00",
		"a number not in its shortest": "0102 0000000000000001 8900",
		"a number without end":         "0102 0000000000000001 ffffffffffffffffffff01",
		"an acknowledgement cut off":   "0101 0000000000000001 00 00 0000000000000000 0000000000000007",
		"a page that is last twice":    "0104 0000000000000001 09 03 02",
		"an empty name":                "0102 0000000000000001 09 00 00 0000000000000050 00",
		"a name with a NUL":            "0102 0000000000000001 09 00 01 00 0000000000000050 00",
		"a name cut off":               "0102 0000000000000001 09 00 05 64",
		"no stamp":                     "0102 0000000000000001 09 00 01 64 0000000000000000 00",
		"a stamp that leaves no room":  "0102 0000000000000001 09 00 01 64 ffffffffffffffff 00",
		"an epoch that leaves no room": "0102 0000000000000001 09 00 01 64 0000000000000050 8080808008",
		"unknown flags":                "0102 0000000000000001 09 40 01 64 0000000000000050 00",
		"an end at an address":         "0102 0000000000000001 09 08 01 64 0000000000000050 00 0a000001 115d",
		"two addresses":                "0102 0000000000000001 09 19 01 64 0000000000000050 00 0a000001 115d",
		"an expired lease":             "0102 0000000000000001 09 0b 01 64 0000000000000050 00 0a000001 115d",
		"an address cut off":           "0102 0000000000000001 09 09 01 64 0000000000000050 00 0a0000",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := parseMessage(unhex(t, text)); !errors.Is(err, lonja.Malformed) {
				t.Errorf("got %+v, error %v", m, err)
			}
		})
	}
}

func TestTheStorePublishesTheLargestMessage(t *testing.T) {
	if MaxMessage > store.MaxMessage {
		t.Errorf("messages of up to %d bytes, a store takes %d", MaxMessage, store.MaxMessage)
	}
}

func TestZonesStayHere(t *testing.T) {
	w := wireRecord{user: []byte("a"), at: endpoint("[fe80::1%eth0]:1"), stamp: 1, flags: online}
	m, err := parseMessage(appendMessage(nil, &message{kind: delta, records: []wireRecord{w}}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.records[0].at, endpoint("[fe80::1]:1"); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheLargestRecordsFitIntoADelta(t *testing.T) {
	a, b := New(Options{Node: 1}, epochTime), New(Options{Node: 2}, epochTime)
	exchange(t, epochTime, b, a)
	for i := range deltaRecords + 1 {
		user := lonja.UserName(fmt.Sprintf("%0255d", i))
		a.ConnectSession(user, endpoint("[2001:db8::1]:65535"), Session{MaxSession, strings.Repeat("d", MaxDetail)}, epochTime)
		a.slab.at(a.slab.byUser[user]).epoch = maxEpoch - 1
	}
	messages := a.Flush(epochTime)
	if len(messages) != 2 || a.Seq() != 2 {
		t.Errorf("%d messages, seq %d", len(messages), a.Seq())
	}
	for i, m := range messages {
		if len(m) > MaxMessage {
			t.Errorf("message %d has %d bytes", i, len(m))
		}
	}
	receive(t, epochTime, b, messages)
	if b.Len() != deltaRecords+1 {
		t.Errorf("%d leases arrived, not %d", b.Len(), deltaRecords+1)
	}
}

// FuzzParse: whatever comes, it is refused, or means the same when it is
// written again; and a table takes it without harm to itself.
func FuzzParse(f *testing.F) {
	for _, c := range sampleMessages {
		f.Add(unhex(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err == nil {
			if again := appendMessage(nil, m); !bytes.Equal(again, b) {
				t.Errorf("got %x, want %x", again, b)
			}
		}
		n := newSim().join()
		n.id = n.opts.Node
		n.take(n.mustConnect("ana"))
		changes, got := n.Receive(b, epochTime)
		if (got == nil) != (err == nil) {
			t.Errorf("parsed: %v, received: %v", err, got)
		}
		n.take(changes)
		for _, m := range n.Flush(epochTime) {
			if _, err := parseMessage(m); err != nil {
				t.Errorf("it sends %x: %v", m, err)
			}
		}
		if _, err := n.view(); err != nil {
			t.Error(err)
		}
	})
}

func (n *simNode) mustConnect(user lonja.UserName) []Change {
	_, changes := n.Connect(user, place(1), epochTime)
	return changes
}
