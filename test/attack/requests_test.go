package attack_test

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"lonja/internal/fileapi"
	"lonja/internal/identity"
)

// TestEndlessRequests: who sends a request that is too long, or never ends, is cut
// off, on the directory's port and on a node's; others go on.
func TestEndlessRequests(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	listing := ana.offers("f", "the content")
	own, err := identity.Certificate(luis.key)
	v.ok(err)
	ports := map[string]struct {
		at, line    string
		certificate tls.Certificate
	}{
		"directory": {v.at, "POST /lonja.v1.Directory/Publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n", own},
		"node":      {ana.way(), "GET " + fileapi.Path(listing.Proof.File) + " HTTP/1.1\r\nHost: x\r\n", luis.certificate(v.authority, "luis", time.Hour)},
	}
	endless := map[string]struct{ head, more string }{
		"a header line":     {"X: ", strings.Repeat("x", 4096)},
		"header lines":      {"", "X: y\r\n"},
		"a body":            {"Content-Length: 9000000000000000000\r\n\r\n", strings.Repeat("x", 4096)},
		"a body of chunks":  {"Transfer-Encoding: chunked\r\n\r\n", "5\r\n{\"a\":\r\n"},
		"a chunk's trailer": {"Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"},
	}
	for name, port := range ports {
		for what, tc := range endless {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				conn, err := tls.Dial("tcp", port.at, &tls.Config{
					InsecureSkipVerify: true, Certificates: []tls.Certificate{port.certificate}, NextProtos: []string{"http/1.1"},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(2 * patience))
				go func() { _, _ = io.Copy(io.Discard, conn) }() // an answer does not hold it up
				if _, err := io.WriteString(conn, port.line+tc.head); err != nil {
					t.Fatal(err)
				}
				sent := 0
				for err == nil {
					var n int
					n, err = io.WriteString(conn, tc.more)
					sent += n
				}
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("it is still listened to after %d bytes", sent)
				}
				if sent > 64<<20 {
					t.Errorf("%d bytes were listened to", sent)
				}
			})
		}
	}
	t.Run("meanwhile", func(t *testing.T) {
		t.Parallel()
		luis.gets("ana", "f", "the content")
	})
}
