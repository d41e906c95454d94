//go:build interop

package interop_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// secretScript is the user in whose name a script asks with curl.
const secretScript = "Filiberta"

// A household is a user's machine: the program with a home of its own, in a
// namespace.
type household struct {
	in     *namespace
	env    []string
	folder string
}

func newHousehold(t *testing.T, in *namespace) *household {
	t.Helper()
	return &household{in, lonja(t).env, t.TempDir()}
}

// command returns the program with these arguments.
func (h *household) command(t *testing.T, args ...string) program {
	t.Helper()
	p := lonja(t, args...)
	p.in, p.env, p.dir = h.in, h.env, h.folder
	return p
}

// does runs the program, which has to succeed, and returns what it prints.
func (h *household) does(t *testing.T, args ...string) string {
	t.Helper()
	got := run(t, h.command(t, args...))
	if got.status != 0 {
		t.Fatalf("lonja %q: status %d: %s", args, got.status, got.stderr)
	}
	return got.stdout
}

// TestEavesdropperOnCommands: whoever reads along learns as little of what people
// do with single commands, and of what their scripts do with curl; and the little
// that TLS itself shows, in the hellos, names nobody.
func TestEavesdropperOnCommands(t *testing.T) {
	in := newNamespace(t)
	server := lonja(t, "server", "--host", "127.0.0.1", "-p", tappedDirectory)
	server.in = in
	start(t, server).waitLine(`^s> init server `)
	capture := startCapture(t, in)
	owner, reader := newHousehold(t, in), newHousehold(t, in)
	content := []byte(strings.Repeat(secretContent, 1000))
	shared := filepath.Join(owner.folder, secretFolder)
	if err := os.Mkdir(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(shared, secretFile), filepath.Join(owner.folder, "suelto.txt")} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	owner.does(t, "register", secretOwner, "-s", "127.0.0.1:"+tappedDirectory)
	reader.does(t, "register", secretReader, "-s", "127.0.0.1:"+tappedDirectory)
	owner.does(t, "publish", "suelto.txt", "-d", secretDescription, "--as", "otro-"+secretFile)
	sharing := start(t, owner.command(t, "share", shared, "-d", secretDescription, "--listen", "127.0.0.1:"+tappedOwner))
	sharing.waitUntil(&sharing.stdout, func() bool { return strings.Contains(reader.does(t, "ls", secretOwner), secretFolder) })

	for _, command := range [][]string{{"who"}, {"ls", secretOwner}, {"find", "molino"}, {"find", "--owner", secretOwner}} {
		if got := reader.does(t, command...); !strings.Contains(got, secretOwner) && !strings.Contains(got, secretFile) {
			t.Errorf("lonja %q shows %q", command, got)
		}
	}
	for name, target := range map[string]string{secretFolder + "/" + secretFile: "one", "otro-" + secretFile: "two"} {
		reader.does(t, "get", name, "-o", target)
		if got := contentOf(t, filepath.Join(reader.folder, target)); !slices.Equal(got, content) {
			t.Errorf("%s has %d bytes, want %d", target, len(got), len(content))
		}
	}
	keys := filepath.Join(t.TempDir(), "keys")
	asked := curls(t, in, keys)
	if !strings.Contains(asked, secretFile) || !strings.Contains(asked, secretOwner) {
		t.Errorf("curl is told %s", asked)
	}
	sharing.stop()

	r := capture.stop()
	packets := contentOf(t, r.pcap)
	for _, s := range append(slices.Clone(secrets), secret{"a script's user", secretScript}) {
		if forms := found(packets, s.text); len(forms) > 0 {
			t.Errorf("%s, %q, is in the capture %s", s.what, s.text, strings.Join(forms, ", "))
		}
	}
	// It was there: with the keys of its TLS sessions, what curl has said is read.
	text := string(contentOf(t, keys))
	read := r.tshark("-d", "tcp.port=="+tappedDirectory+",tls", "-o", "tls.keylog_file:"+r.file("keys", []byte(text)), "-q", "-z", "follow,tls,ascii,"+firstStream(t, r))
	for _, want := range []string{secretScript, "lonja.v1.Directory"} {
		if !strings.Contains(read, want) {
			t.Errorf("with curl's keys one reads no %q in %q", want, read)
		}
	}
	r.helloesNameNobody(t)
}

// curls asks as a script does, with a key log, and returns all answers.
func curls(t *testing.T, in *namespace, keys string) string {
	t.Helper()
	var all strings.Builder
	for _, step := range [][2]string{
		{"Register", `{"user":"` + secretScript + `","withoutKey":true}`},
		{"Connect", `{"user":"` + secretScript + `","ways":["0.0.0.0:4447"],"withoutKey":true}`},
		{"Search", `{"user":"` + secretScript + `","query":{"words":"molino"}}`},
		{"Content", `{"user":"` + secretScript + `","owner":"` + secretOwner + `"}`},
	} {
		got := run(t, program{
			argv: []string{
				require(t, "curl", "curl"), "-s", "-S", "-k", "--json", step[1],
				"https://127.0.0.1:" + tappedDirectory + "/lonja.v1.Directory/" + step[0],
			},
			env: []string{"SSLKEYLOGFILE=" + keys}, in: in,
		})
		if got.status != 0 || strings.Contains(got.stdout, `"code"`) {
			t.Fatalf("curl %s: status %d: %s%s", step[0], got.status, got.stdout, got.stderr)
		}
		all.WriteString(got.stdout)
	}
	return all.String()
}

// firstStream returns the number of the first connection over which HTTP was
// agreed on with the directory: curl's, as nodes speak frames to it.
func firstStream(t *testing.T, r *recording) string {
	t.Helper()
	rows := r.rows("tls.handshake.type == 1 and tcp.dstport == "+tappedDirectory+` and tls.handshake.extensions_alpn_str == "http/1.1"`,
		[]string{"tcp.stream"}, "-d", "tcp.port=="+tappedDirectory+",tls")
	if len(rows) == 0 {
		t.Fatal("nobody has spoken HTTP to the directory")
	}
	return rows[0]["tcp.stream"]
}

// helloesNameNobody looks at what a TLS 1.3 handshake says in the clear: it has no
// certificate, no name of a server, and protocols that are the same for everybody.
func (r *recording) helloesNameNobody(t *testing.T) {
	t.Helper()
	as := []string{"-d", "tcp.port==" + tappedDirectory + ",tls", "-d", "tcp.port==" + tappedOwner + ",tls"}
	fields := []string{"tcp.dstport", "tls.handshake.extensions_server_name", "tls.handshake.extensions_alpn_str"}
	spoken := make(map[string]bool)
	for _, hello := range r.rows("tls.handshake.type == 1", fields, as...) {
		if name := hello["tls.handshake.extensions_server_name"]; name != "" {
			t.Errorf("a hello to port %s asks for %q", hello["tcp.dstport"], name)
		}
		spoken[hello["tcp.dstport"]+" "+hello["tls.handshake.extensions_alpn_str"]] = true
	}
	for _, want := range []string{tappedDirectory + " lonja/1", tappedOwner + " http/1.1"} {
		if !spoken[want] {
			t.Errorf("nobody says %q in a hello: %v", want, spoken)
		}
	}
	if shown := r.rows("tls.handshake.type == 11", []string{"tcp.stream"}, as...); len(shown) > 0 {
		t.Errorf("certificates are shown in the clear in streams %v", shown)
	}
}
