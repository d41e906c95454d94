package swarm

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fileserver"
	"lonja/internal/hashing"
	"lonja/internal/tlstest"
	"lonja/internal/unfinished"
)

const sourceSize = 1 << 30

// BenchmarkTransfer compares, in each round, ways of bringing 1 GiB from page
// cache over loopback and mutual TLS 1.3 into a file on tmpfs:
//
//   - bare: one TLS connection, io.Copy to it and from it, unchecked;
//   - one: a Swarm of one holder, every piece checked;
//   - three: of three holders;
//   - curl: curl, from net/http's FileServer, unchecked.
//
// All but curl are in this process. It reports the medians of the rounds: speeds in MB/s,
// and their ratios within a round.
//
//	go test -run '^$' -bench Transfer -benchtime 5x ./internal/swarm
func BenchmarkTransfer(b *testing.B) {
	dir, err := os.MkdirTemp("/dev/shm", "lonja-bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
	s := &shelf{path: source, size: sourceSize}
	s.fill(b)
	ca := tlstest.New(b)
	runs := []struct {
		name string
		run  func() error
	}{
		{"bare", s.bare(b, ca, target)},
		{"one", s.swarm(b, ca, target, 1)},
		{"three", s.swarm(b, ca, target, 3)},
		{"curl", s.curl(b, ca, target)},
	}
	speeds := make([][]float64, len(runs))
	for round := 0; b.Loop(); round++ {
		for i := range runs {
			i = (i + round) % len(runs)
			began := time.Now()
			if err := runs[i].run(); err != nil {
				b.Fatalf("%s: %v", runs[i].name, err)
			}
			speeds[i] = append(speeds[i], sourceSize/1e6/time.Since(began).Seconds())
			if err := os.Remove(target); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, r := range runs {
		b.ReportMetric(median(speeds[i]), r.name+"-MB/s")
		b.ReportMetric(medianRatio(speeds[i], speeds[0]), r.name+"/bare")
	}
	b.ReportMetric(medianRatio(speeds[2], speeds[1]), "three/one")
	b.ReportMetric(medianRatio(speeds[1], speeds[3]), "one/curl")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func medianRatio(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}

// A shelf has one file for everybody.
type shelf struct {
	path     string
	size     int64
	id       lonja.FileID
	outboard *os.File
}

// fill makes the file and its hashes.
func (s *shelf) fill(b *testing.B) {
	b.Helper()
	f, err := os.Create(s.path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := random(mib)
	for range sourceSize / mib {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if s.outboard, err = os.Create(s.path + ".tree"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.outboard.Close() })
	held, err := hashing.File(b.Context(), f, hashing.Options{Outboard: s.outboard})
	if err != nil {
		b.Fatal(err)
	}
	s.id = held.ID
}

func (s *shelf) OpenContent(context.Context, lonja.FileID, lonja.Member) (fileserver.Content, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	return fileserver.NewWhole(f, s.size, func(context.Context) (io.ReaderAt, int64, error) {
		info, err := s.outboard.Stat()
		return s.outboard, info.Size(), err
	})
}

// listen runs a server of the file until the benchmark ends.
func listen(b *testing.B, ca *tlstest.Authority, name lonja.UserName, serve func(context.Context, net.Listener) error) (address string) {
	b.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", ca.Config(b, name))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l) }()
	b.Cleanup(func() {
		cancel()
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func (s *shelf) swarm(b *testing.B, ca *tlstest.Authority, target string, holders int) func() error {
	b.Helper()
	var all []Holder
	config := ca.Config(b, "me")
	for i := range holders {
		name := lonja.UserName(rune('a' + i))
		server := fileserver.New(fileserver.Options{Files: s, Who: tlstest.Who})
		address := listen(b, ca, name, server.Serve)
		all = append(all, Holder{User: name, Dial: func(ctx context.Context) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		}})
	}
	return func() error {
		dst, err := unfinished.Open(target, unfinished.Options{ID: s.id, Size: s.size})
		if err != nil {
			return err
		}
		defer dst.Close()
		w, err := New(Content{ID: s.id, Size: s.size}, dst, Options{})
		if err != nil {
			return err
		}
		for _, h := range all {
			w.Join(h)
		}
		if err := w.Run(context.Background()); err != nil {
			return err
		}
		return dst.Commit()
	}
}

func (s *shelf) bare(b *testing.B, ca *tlstest.Authority, target string) func() error {
	b.Helper()
	address := listen(b, ca, "bare", func(_ context.Context, l net.Listener) error {
		for {
			conn, err := l.Accept()
			if err != nil {
				return nil
			}
			if err := s.send(conn); err != nil {
				b.Error(err)
			}
		}
	})
	config := ca.Config(b, "me")
	return func() error {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return err
		}
		defer conn.Close()
		f, err := os.Create(target)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{conn}, make([]byte, 256<<10))
		return err
	}
}

func (s *shelf) send(conn net.Conn) error {
	defer conn.Close()
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	return err
}
