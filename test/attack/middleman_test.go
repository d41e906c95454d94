package attack_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lonja"
)

// says reads the record with which a client begins, and answers that. All of it:
// closing on unread bytes would reset the connection.
func says(with []byte) func(net.Conn) {
	return func(client net.Conn) {
		header := make([]byte, 5)
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, client, int64(binary.BigEndian.Uint16(header[3:])))
		_, _ = client.Write(with)
	}
}

// speaks is somebody who shows a certificate, and has the file.
func speaks(version uint16, certificate tls.Certificate) func(net.Conn) {
	return func(client net.Conn) {
		conn := tls.Server(client, &tls.Config{
			Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}, MinVersion: version, MaxVersion: version,
		})
		if conn.Handshake() == nil {
			_, _ = conn.Read(make([]byte, 64<<10))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nthe content")
		}
		_ = conn.Close()
	}
}

// TestMiddlemanBetweenPeers: whatever somebody does who sits between two nodes,
// the one that fetches never speaks classic, nor an older TLS, takes nothing of
// what comes, and says why it fails.
func TestMiddlemanBetweenPeers(t *testing.T) {
	v := newTown(t)
	ana, luis, eve := v.resident("ana"), v.resident("luis"), v.resident("eve")
	honest := v.tap(ana.way())
	ana.offers("f", "the content")
	v.rules.lies(nil, leadsTo(endpoint(honest.at)))
	luis.gets("ana", "f", "the content") // as long as he only reads along
	// What a middleman gets who asks in classic himself, where that is not off.
	stripped := v.replays(ana.way(), []byte("GET_FILE\x00f\x00"))
	if string(stripped) != "\x00the content" {
		t.Fatalf("in classic the node answers %q", stripped)
	}
	alert := func(description byte) []byte { return []byte{0x15, 3, 3, 0, 2, 2, description} }
	cases := []struct {
		name string
		does func(net.Conn)
		says string // among what the error says
	}{
		{"answers in classic", says(stripped), "does not look like a TLS handshake"},
		{"says that it knows no TLS", says(alert(40)), "handshake failure"},
		{"says that it knows no TLS 1.3", says(alert(70)), "protocol version"},
		{"closes", says(nil), "EOF"},
		{"resets", resets, "reset"},
		{"replays an earlier transfer", says(honest.told()[0]), "tls: "},
		{"answers in TLS 1.2", speaks(tls.VersionTLS12, eve.issued()), "protocol version"},
		{"answers in TLS 1.2 as ana", speaks(tls.VersionTLS12, ana.issued()), "protocol version"},
		{"answers in TLS 1.3 as himself", speaks(tls.VersionTLS13, eve.issued()), `it belongs to "eve"`},
		{"answers in TLS 1.3 with no key", speaks(tls.VersionTLS13, eve.withoutItsKey(ana.issued())), "signature"},
	}
	// At once, as each one is tried again: a file and a middleman for each.
	taps := make(map[lonja.FileName]*tap)
	for _, tc := range cases {
		name := lonja.FileName(strings.ReplaceAll(tc.name, " ", "-"))
		ana.offers(string(name), "the content of "+tc.name) // each its own: by its id, only that one is found
		taps[name] = v.tap(ana.way())
		taps[name].turns(tc.does)
	}
	v.rules.lies(nil, each(func(h *lonja.Holder) {
		h.Reach = &lonja.Reach{Key: h.Reach.Key, Ways: []lonja.Endpoint{endpoint(taps[h.Name].at)}}
	}))
	folder := t.TempDir()
	var fetching sync.WaitGroup
	for _, tc := range cases {
		name := lonja.FileName(strings.ReplaceAll(tc.name, " ", "-"))
		for how, fetch := range map[string]func(target string) error{
			"from one": func(target string) error { return luis.FetchFile(t.Context(), "ana", name, target, nil) },
			"from all": func(target string) error { return luis.FetchMulti(t.Context(), name, target, nil) },
		} {
			fetching.Go(func() {
				err := fetch(filepath.Join(folder, string(name)+how))
				if kind := lonja.KindOf(err); kind != lonja.Unavailable && kind != lonja.Untrusted {
					t.Errorf("%s, %s: got %v, want Unavailable or Untrusted", tc.name, how, err)
				} else if !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%s, %s: got %v, want %q in it", tc.name, how, err, tc.says)
				}
			})
		}
	}
	fetching.Wait()
	for name, p := range taps {
		met := p.met()
		if len(met) < 2 {
			t.Errorf("%s: %d connections came by", name, len(met))
		}
		for _, first := range met {
			if first != 0x16 {
				t.Errorf("%s: a connection begins with %#x, want TLS", name, first)
			}
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("there is left of it %v, %v", left, err)
	}
	v.rules.lies(nil, leadsTo(endpoint(honest.at)))
	luis.gets("ana", "f", "the content")
}

// resets breaks a connection off without its end.
func resets(client net.Conn) {
	_, _ = client.Read(make([]byte, 64<<10))
	if tcp, ok := client.(*unread).Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}
