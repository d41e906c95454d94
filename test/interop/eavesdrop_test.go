//go:build interop

package interop_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// What somebody reads who sees all that runs over the wire.

// A secret is something that two users would rather keep to themselves.
type secret struct{ what, text string }

// secretFolder and the rest are words that nothing else on the wire has in it.
const (
	secretOwner       = "Wenceslada"
	secretReader      = "Bartolomeo"
	secretFolder      = "carpeta-privada"
	secretFile        = "informe-reservado.txt"
	secretDescription = "cuentas del molino"
	secretContent     = "la receta lleva azafran y nuez moscada; "
)

var secrets = []secret{
	{"the owner's name", secretOwner},
	{"the reader's name", secretReader},
	{"the folder", secretFolder},
	{"the file's name", secretFile},
	{"the description", secretDescription},
	{"the content", secretContent},
}

// disguises returns the forms in which a text could stand in a capture.
func disguises(text string) map[string][]byte {
	forms := map[string][]byte{
		"as it is": []byte(text), "in hexadecimal": []byte(hex.EncodeToString([]byte(text))), "escaped": []byte(url.PathEscape(text)),
	}
	var little, big []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		little, big = binary.LittleEndian.AppendUint16(little, unit), binary.BigEndian.AppendUint16(big, unit)
	}
	forms["in UTF-16"], forms["in UTF-16, the other way"] = little, big
	for shift := range 3 { // where it begins within three bytes makes three texts
		padded := append(make([]byte, shift), text...)
		coded := base64.StdEncoding.EncodeToString(padded)
		// What depends on the bytes before and behind is left out.
		forms[fmt.Sprintf("in base64 (%d)", shift)] = []byte(coded[(shift*8+5)/6 : len(padded)*8/6])
	}
	return forms
}

// found returns the forms in which a text stands in a capture; letters may be of
// another case.
func found(capture []byte, text string) (forms []string) {
	folded := bytes.ToLower(capture)
	for name, form := range disguises(text) {
		if bytes.Contains(folded, bytes.ToLower(form)) {
			forms = append(forms, name)
		}
	}
	slices.Sort(forms)
	return forms
}

// TestDisguises: each form is found where it is.
func TestDisguises(t *testing.T) {
	for name, form := range disguises(secretDescription) {
		if got := found(slices.Concat([]byte("before"), form, []byte("behind")), secretDescription); !slices.Contains(got, name) {
			t.Errorf("%s: found as %q", name, got)
		}
	}
	for shift := range 3 {
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("?", shift) + secretFile + "and more"))
		if got := found([]byte(coded), secretFile); len(got) == 0 {
			t.Errorf("%q is not found in %q", secretFile, coded)
		}
	}
	if got := found([]byte("nothing of it"), secretDescription); len(got) > 0 {
		t.Errorf("found as %q where it is not", got)
	}
}

// The ports of the eavesdropper's namespace, where all are free.
const (
	tappedDirectory = "4444"
	tappedOwner     = "4445"
	tappedReader    = "4446"
)

// inside starts our console in a namespace and waits for its prompt.
func inside(t *testing.T, in *namespace, dir, listen string, options ...string) *console {
	t.Helper()
	r, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	args := append([]string{"client", "-s", "127.0.0.1", "-p", tappedDirectory, "--listen", "127.0.0.1:" + listen}, options...)
	prog := lonja(t, args...)
	prog.dir, prog.stdin, prog.in = dir, r, in
	c := &console{start(t, prog), keys, dir}
	r.Close() // the client has its own
	c.waitBytes([]byte(prompt))
	return c
}

// overheard plays a whole exchange between two users, and returns all that ran
// over the wire meanwhile.
func overheard(t *testing.T, name string, options ...string) *recording {
	t.Helper()
	in := newNamespace(t)
	server := lonja(t, "server", "--host", "127.0.0.1", "-p", tappedDirectory)
	server.in = in
	start(t, server).waitLine(`^s> init server `)
	capture := startCapture(t, in)
	folder := filepath.Join(t.TempDir(), secretFolder)
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	owner, reader := inside(t, in, folder, tappedOwner, options...), inside(t, in, t.TempDir(), tappedReader, options...)
	content := strings.Repeat(secretContent, 1000)
	path := owner.write(t, secretFile, []byte(content))
	if name == "" {
		name = path
	}
	for c, user := range map[*console]string{owner: secretOwner, reader: secretReader} {
		c.must(t, "register "+user, "REGISTER OK")
		c.must(t, "connect "+user, "CONNECT OK")
	}
	owner.must(t, "publish "+path+" "+secretDescription, "PUBLISH OK")
	for _, command := range []string{"list_users", "list_content " + secretOwner, "find molino", "find informe"} {
		if got := reader.typed(t, command); strings.Contains(got, "FAIL") || !strings.Contains(got, secretOwner) && !strings.Contains(got, secretFile) {
			t.Errorf("%s shows %q", command, got)
		}
	}
	reader.must(t, "get_file "+secretOwner+" "+name+" one", "GET_FILE OK")
	reader.must(t, "get_multifile "+name+" two", "GET_MULTIFILE OK")
	for _, target := range []string{"one", "two"} {
		if got := contentOf(t, filepath.Join(reader.dir, target)); string(got) != content {
			t.Errorf("%s has %d bytes, want %d", target, len(got), len(content))
		}
	}
	owner.must(t, "delete "+path, "DELETE OK")
	owner.must(t, "unregister "+secretOwner, "UNREGISTER OK")
	reader.quit(t)
	owner.quit(t)
	return capture.stop()
}

// TestEavesdropper: whoever reads along learns no name, path, description or
// content in the secure dialect, and all of them in the classic one.
func TestEavesdropper(t *testing.T) {
	t.Run("secure", func(t *testing.T) {
		r := overheard(t, secretFile)
		packets := contentOf(t, r.pcap)
		for _, s := range secrets {
			if forms := found(packets, s.text); len(forms) > 0 {
				t.Errorf("%s, %q, is in the capture %s", s.what, s.text, strings.Join(forms, ", "))
			}
		}
		// It was all there to be read: both ports were spoken to, in TLS 1.3 only.
		greeted := make(map[string]bool)
		as := []string{"-d", "tcp.port==" + tappedDirectory + ",tls", "-d", "tcp.port==" + tappedOwner + ",tls"}
		for _, hello := range r.rows("tls.handshake.type == 2", []string{"tcp.srcport", "tls.handshake.extensions.supported_version"}, as...) {
			greeted[hello["tcp.srcport"]] = true
			if got := hello["tls.handshake.extensions.supported_version"]; got != "0x0304" {
				t.Errorf("port %s answers in version %q, want TLS 1.3", hello["tcp.srcport"], got)
			}
		}
		if !greeted[tappedDirectory] || !greeted[tappedOwner] || len(packets) < 2*1000*len(secretContent) {
			t.Errorf("in %d bytes, these ports spoke TLS: %v", len(packets), greeted)
		}
		if plain := r.tshark(append(as, "-Y", "tcp.len > 0 and not tls and not tcp.reassembled_in and not tcp.analysis.retransmission", "-T", "fields", "-e", "tcp.stream", "-e", "tcp.payload")...); plain != "" {
			t.Errorf("outside of TLS there were\n%s", plain)
		}
	})
	t.Run("classic", func(t *testing.T) {
		packets := contentOf(t, overheard(t, "", "--classic").pcap)
		for _, s := range secrets {
			if !slices.Contains(found(packets, s.text), "as it is") {
				t.Errorf("%s, %q, is not in the capture", s.what, s.text)
			}
		}
	})
}
