//go:build interop

package apiserver_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lonja/internal/apiserver/apitest"
)

// TestCurl: what docs/protocol.md says of curl, with and without a key.
func TestCurl(t *testing.T) {
	s := site(t, apitest.Setup{})
	cert := apitest.Certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	me := filepath.Join(t.TempDir(), "me.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(me, text, 0o600); err != nil {
		t.Fatal(err)
	}
	curl := func(method, message string, more ...string) string {
		t.Helper()
		args := append([]string{"-s", "-S", "-k", "--json", message, "https://" + s.Address + "/lonja.v1.Directory/" + method}, more...)
		out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %q: %v: %s", args, err, out)
		}
		return string(out)
	}
	for _, step := range []struct{ method, message, want string }{
		{"Register", `{"user":"ana"}`, "{}"},
		{"Connect", `{"user":"ana","ways":["0.0.0.0:4445"]}`, `"classic":true`},
		{"Users", `{"user":"ana"}`, `"user":"ana"`},
		{"Search", `{"user":"ana","query":{"words":"song"}}`, "{}"},
	} {
		if got := curl(step.method, step.message, "--cert", me); !strings.Contains(strings.ReplaceAll(got, " ", ""), step.want) {
			t.Errorf("%s: got %s", step.method, got)
		}
	}
	if got := curl("Users", `{"user":"ana"}`); !strings.Contains(got, "permission_denied") {
		t.Errorf("without the key: got %s", got)
	}
}
