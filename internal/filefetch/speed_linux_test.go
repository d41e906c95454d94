package filefetch

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fileserver"
	"lonja/internal/hashing"
	"lonja/internal/tlstest"
)

// BenchmarkTransfer compares, in each round, ways of bringing 1 GiB from page
// cache over loopback and mutual TLS 1.3 into a file on tmpfs:
//
//   - curl: curl, from net/http's FileServer in this process, which checks nothing;
//   - bare: one TLS connection in this process, io.Copy to it and from it, unchecked;
//   - fetch: Fetch from a fileserver.Server, both in this process, every byte hashed;
//   - one: the same over one connection.
//
// It reports the medians of the rounds: the speeds in MB/s, and the ratios of the
// speeds within a round, which is what counts on a machine that does other
// things too. It needs curl. Run it with some rounds:
//
//	go test -run '^$' -bench Transfer -benchtime 7x ./internal/filefetch
func BenchmarkTransfer(b *testing.B) {
	dir, err := os.MkdirTemp("/dev/shm", "lonja-bench")
	if err != nil {
		b.Fatalf("make a directory on tmpfs: %v", err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	source := filepath.Join(dir, "source")
	writeSource(b, source)
	ca := tlstest.New(b)
	target := filepath.Join(dir, "target")
	fetch := fetchFrom(b, ca, source)
	runs := []struct {
		name string
		run  func() error
	}{
		{"curl", curlFrom(b, ca, source, target)},
		{"bare", bareFrom(b, ca, source, target)},
		{"fetch", func() error { return fetch(target, 2) }},
		{"one", func() error { return fetch(target, 1) }},
	}
	speeds := make([][]float64, len(runs))
	for round := 0; b.Loop(); round++ {
		for i := range runs {
			i = (i + round) % len(runs)
			begun := time.Now()
			if err := runs[i].run(); err != nil {
				b.Fatalf("%s: %v", runs[i].name, err)
			}
			speeds[i] = append(speeds[i], sourceSize/1e6/time.Since(begun).Seconds())
			if info, err := os.Stat(target); err != nil || info.Size() != sourceSize {
				b.Fatalf("%s: the target has %d bytes (%v)", runs[i].name, info.Size(), err)
			}
			if err := os.Remove(target); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, r := range runs {
		b.ReportMetric(median(speeds[i]), r.name+"-MB/s")
		if i > 0 {
			b.ReportMetric(median(ratios(speeds[i], speeds[0])), r.name+"/curl")
		}
	}
	b.ReportMetric(median(ratios(speeds[2], speeds[1])), "fetch/bare")
}

const sourceSize = 1 << 30

func writeSource(b *testing.B, path string) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := random(1 << 20)
	for range sourceSize / len(block) {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
}

// listenTLS listens on loopback, as a node would.
func listenTLS(b *testing.B, ca *tlstest.Authority) net.Listener {
	b.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", ca.Config(b, "ana"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l
}

func fetchFrom(b *testing.B, ca *tlstest.Authority, source string) func(target string, conns int) error {
	b.Helper()
	f, err := os.Open(source)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r, err := hashing.File(context.Background(), f, hashing.Options{})
	if err != nil {
		b.Fatal(err)
	}
	server := fileserver.New(fileserver.Options{Files: shelf{r.ID, source}, Who: tlstest.Who})
	l := listenTLS(b, ca)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	b.Cleanup(func() {
		cancel()
		<-ended
	})
	dialer := &tls.Dialer{Config: ca.Config(b, "me")}
	return func(target string, conns int) error {
		_, err := Fetch(context.Background(), File{ID: r.ID, Size: lonja.UnknownSize, Owner: "ana"}, target, Options{
			Conns: conns,
			Dial: func(ctx context.Context) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", l.Addr().String())
			},
		})
		return err
	}
}

func curlFrom(b *testing.B, ca *tlstest.Authority, source, target string) func() error {
	b.Helper()
	l := listenTLS(b, ca)
	server := &http.Server{Handler: http.FileServer(http.Dir(filepath.Dir(source)))}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	b.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	cert, key, authority := ca.WritePEM(b, "me", b.TempDir())
	port := l.Addr().(*net.TCPAddr).Port
	return func() error {
		return exec.Command("curl", "--silent", "--fail", "--cert", cert, "--key", key, "--cacert", authority,
			"--connect-to", fmt.Sprintf("node:%d:127.0.0.1:%d", port, port), "--output", target,
			fmt.Sprintf("https://node:%d/%s", port, filepath.Base(source))).Run()
	}
}

func bareFrom(b *testing.B, ca *tlstest.Authority, source, target string) func() error {
	b.Helper()
	l := listenTLS(b, ca)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if err := sendBare(conn, source); err != nil {
				b.Error(err)
			}
		}
	}()
	b.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	config := ca.Config(b, "me")
	return func() error {
		conn, err := tls.Dial("tcp", l.Addr().String(), config)
		if err != nil {
			return err
		}
		defer conn.Close()
		return copyTo(target, conn)
	}
}

func sendBare(conn net.Conn, source string) error {
	defer conn.Close()
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	return err
}

func copyTo(target string, conn net.Conn) error {
	f, err := os.Create(target)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{conn}, make([]byte, 256<<10)); err != nil {
		return err
	}
	return f.Close()
}

func ratios(a, b []float64) []float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return r
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
