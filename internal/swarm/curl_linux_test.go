package swarm

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"lonja/internal/tlstest"
)

// curl has curl fetch the file from net/http's FileServer in this process.
func (s *shelf) curl(b *testing.B, ca *tlstest.Authority, target string) func() error {
	b.Helper()
	server := &http.Server{Handler: http.FileServer(http.Dir(filepath.Dir(s.path)))}
	address := listen(b, ca, "node", func(ctx context.Context, l net.Listener) error {
		defer context.AfterFunc(ctx, func() { _ = server.Close() })()
		return server.Serve(l)
	})
	cert, key, authority := ca.WritePEM(b, "me", b.TempDir())
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		b.Fatal(err)
	}
	return func() error {
		return exec.Command("curl", "--silent", "--fail", "--cert", cert, "--key", key, "--cacert", authority,
			"--connect-to", fmt.Sprintf("node:%s:127.0.0.1:%s", port, port), "--output", target,
			fmt.Sprintf("https://node:%s/%s", port, filepath.Base(s.path))).Run()
	}
}
