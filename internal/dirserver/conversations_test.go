package dirserver_test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

var update = flag.Bool("update", false, "write the answers in testdata anew")

// TestConversations holds the protocol to the byte: testdata/README.md. Each
// conversation takes place three times: with all of a request in one packet,
// a packet for each field, and a packet for each byte.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %v, %v; want at least 4 conversations", files, err)
	}
	for _, file := range files {
		for _, pace := range []string{"at once", "by field", "by byte"} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+" "+pace, func(t *testing.T) {
				converse(t, file, pace)
			})
		}
	}
}

func converse(t *testing.T, file, pace string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	addr := start(t, defaults(t)).addr
	var got strings.Builder
	var conn *net.TCPConn
	for n, line := range strings.SplitAfter(string(text), "\n") {
		mark, quoted, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch mark {
		case ">", "cut", "<":
			if conn == nil {
				conn = dial(t, addr)
			}
		}
		switch mark {
		case ">":
			bytes, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatalf("%s:%d: %v", file, n+1, err)
			}
			sendAt(t, conn, bytes, pace)
		case "cut":
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		case "<":
			answer, err := io.ReadAll(conn)
			if err != nil {
				t.Fatalf("%s:%d: %v", file, n+1, err)
			}
			line = "< " + quote(answer) + "\n"
			conn = nil
		}
		got.WriteString(line)
	}
	switch {
	case got.String() == string(text):
	case *update:
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s:\ngot\n%s\nwant\n%s", file, got.String(), text)
	}
}

// quote is strconv.Quote with NUL as \x00 and text left readable.
func quote(b []byte) string { return strconv.Quote(string(b)) }

func sendAt(t *testing.T, conn net.Conn, s, pace string) {
	t.Helper()
	var parts io.Reader = strings.NewReader(s)
	size := len(s)
	switch pace {
	case "by field":
		scan := bufio.NewScanner(parts)
		scan.Split(func(data []byte, atEOF bool) (int, []byte, error) {
			if i := strings.IndexByte(string(data), 0); i >= 0 {
				return i + 1, data[:i+1], nil
			}
			return bufio.ScanWords(data, atEOF)
		})
		for scan.Scan() {
			if _, err := conn.Write(scan.Bytes()); err != nil {
				t.Fatal(err)
			}
		}
		return
	case "by byte":
		parts, size = iotest.OneByteReader(parts), 1
	}
	buf := make([]byte, max(size, 1))
	for {
		n, err := parts.Read(buf)
		if n > 0 {
			if _, err := conn.Write(buf[:n]); err != nil {
				t.Fatal(fmt.Errorf("write: %w", err))
			}
		}
		if err != nil {
			return
		}
	}
}
