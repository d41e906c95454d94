//go:build interop

package interop_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What runs on the wire is captured with dumpcap and read with tshark, into
// which our dissector is loaded.

// endMarker is the payload of a datagram that is sent when a capture is to
// end. dumpcap writes packets in their order: with the marker, all that came
// before it is there.
const endMarker = "lonja: end of the capture"

// A capture records a namespace's loopback traffic.
type capture struct {
	t       *testing.T
	in      *namespace
	dumpcap *process
}

// startCapture returns when packets are being captured: dumpcap names its file
// once it has opened the interface. The options are more ones of dumpcap's.
func startCapture(t *testing.T, in *namespace, options ...string) *capture {
	t.Helper()
	// Room for 512 packets of any size (-B is in MiB, -s in bytes), in the old
	// format (-P), on standard output.
	argv := []string{require(t, "dumpcap", "wireshark-common"), "-q", "-i", "lo", "-B", "32", "-s", "65600", "-P", "-w", "-"}
	p := start(t, program{argv: append(argv, options...), in: in})
	p.waitErrorLine(`^File: `)
	return &capture{t: t, in: in, dumpcap: p}
}

// stop ends the capture and returns what reads it. A capture that has not every
// packet fails the test.
func (c *capture) stop() *recording {
	c.t.Helper()
	const send = "import socket, sys\n" +
		"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), ('127.0.0.1', 9))"
	got := run(c.t, program{argv: []string{require(c.t, pythonPath, "python3"), "-c", send, endMarker}, in: c.in})
	if got.status != 0 {
		c.t.Fatalf("send the marker: %s", got.stderr)
	}
	c.dumpcap.waitBytes([]byte(endMarker))
	c.dumpcap.stop()
	if lost := c.dumpcap.waitErrorLine(`^Packets received/dropped .*: \d+/(\d+) \(`)[1]; lost != "0" {
		c.t.Fatalf("%s packets were not captured", lost)
	}
	return newRecording(c.t, c.dumpcap.stdout.bytes())
}

// A recording is captured traffic, to be read with tshark. As tshark refuses to
// load scripts for root on some systems, and nobody should dissect strangers'
// bytes with root's rights, it runs without them, in a directory that anybody
// may read.
type recording struct {
	t    *testing.T
	dir  string // with the capture, the dissector, and a home that is empty
	pcap string
	load []string // the options with which the dissector is loaded
}

// newRecording makes a recording of packets, a capture file's content. It fails
// the test when the dissector cannot cope with them.
func newRecording(t *testing.T, packets []byte) *recording {
	t.Helper()
	dir, err := os.MkdirTemp("", "lonja-wire-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &recording{t: t, dir: dir}
	r.pcap = r.file("capture.pcap", packets)
	r.load = []string{"-X", "lua_script:" + r.file("lonja.lua", dissectorText(t))}
	r.mustCope()
	return r
}

// within returns the same recording for use by a subtest.
func (r *recording) within(t *testing.T) *recording {
	sub := *r
	sub.t = t
	return &sub
}

// dissectorText returns the dissector as it stands in the repository.
func dissectorText(t *testing.T) []byte {
	t.Helper()
	return contentOf(t, filepath.Join("..", "..", "tools", "wireshark", "lonja.lua"))
}

// file writes a file that anybody may read, below the recording's directory.
func (r *recording) file(name string, content []byte) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// tshark reads the recording with these options more and returns what tshark
// prints. Any complaint of tshark or Lua fails the test.
func (r *recording) tshark(options ...string) string {
	r.t.Helper()
	argv := []string{require(r.t, "tshark", "tshark"), "-n", "-r", r.pcap}
	got := run(r.t, program{
		argv:         append(append(argv, r.load...), options...),
		env:          r.env(),
		unprivileged: true,
	})
	if got.status != 0 || got.stderr != "" {
		r.t.Fatalf("tshark %q: status %d, it says: %s", options, got.status, got.stderr)
	}
	return got.stdout
}

// env keeps tshark away from the settings and plugins of whoever runs the test.
func (r *recording) env() []string {
	return []string{"HOME=" + r.dir, "XDG_CONFIG_HOME=" + r.dir}
}

// A row has the named values of one frame. A field that is there more than
// once has its values separated by listSeparator.
type row map[string]string

const listSeparator = ";"

// dissectorFailed selects frames with which a dissector could not cope: Lua
// errors, exceptions, bugs. (_ws.malformed by itself is also what a dissector
// says of bad bytes.)
const dissectorFailed = "_ws.lua.error or _ws.malformed.expert or _ws.malformed.dissector_bug"

// mustCope fails the test when the dissector failed in any frame.
func (r *recording) mustCope(options ...string) {
	r.t.Helper()
	if failed := r.tshark(append(options, "-Y", dissectorFailed)...); failed != "" {
		r.t.Fatalf("with %q, the dissector fails in these frames:\n%s", options, failed)
	}
}

// rows returns the given fields of the frames that the filter selects.
func (r *recording) rows(filter string, fields []string, options ...string) []row {
	r.t.Helper()
	args := append(options, "-Y", filter, "-T", "fields", "-E", "separator=/t", "-E", "aggregator="+listSeparator)
	for _, field := range fields {
		args = append(args, "-e", field)
	}
	lines := csv.NewReader(strings.NewReader(r.tshark(args...)))
	lines.Comma, lines.LazyQuotes, lines.FieldsPerRecord = '\t', true, len(fields)
	records, err := lines.ReadAll()
	if err != nil {
		r.t.Fatalf("read the fields: %v", err)
	}
	rows := make([]row, len(records))
	for i, record := range records {
		rows[i] = make(row)
		for j, field := range fields {
			rows[i][field] = record[j]
		}
	}
	return rows
}
