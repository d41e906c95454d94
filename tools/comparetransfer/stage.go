package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	fast "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A stage is where all of it happens.
type stage struct {
	dir    string
	lonja  string // the program
	source string // the file that is brought over
	size   int64
	sha256 string
	cert   string // of servers, which is also the authority; with key
	key    string

	market  *market // of lonja, once it is there
	ssh     *sshSite
	running []*server
	removed []string // what else is removed at the end
}

func newStage(o options) (_ *stage, err error) {
	if o.dir == "" {
		if o.dir = os.TempDir(); isDir("/dev/shm") {
			o.dir = "/dev/shm"
		}
	}
	s := &stage{size: o.size << 20}
	if s.lonja, err = filepath.Abs(o.lonja); err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.lonja); err != nil {
		return nil, fmt.Errorf("%w: ./app.sh -b builds it", err)
	}
	if s.dir, err = os.MkdirTemp(o.dir, "lonja-compare-"); err != nil {
		return nil, err
	}
	s.source = filepath.Join(s.dir, "source", "file.bin")
	s.cert, s.key = filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	if err := errors.Join(os.Mkdir(filepath.Dir(s.source), 0o755), s.write(), s.certify()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// write makes the file, of bytes that nobody can compress.
func (s *stage) write() error {
	f, err := os.Create(s.source)
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, hash), fast.NewChaCha8([32]byte{}), s.size)
	s.sha256 = hex.EncodeToString(hash.Sum(nil))
	return errors.Join(err, f.Close())
}

// certify makes a certificate for servers on the loopback address, of the kind
// that most servers have.
func (s *stage) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "compare-transfer"}, NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(s.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(s.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// folder makes a directory for one contestant.
func (s *stage) folder(name string) (string, error) {
	return os.MkdirTemp(s.dir, name+"-")
}

// serve starts a server that runs until the end of the stage.
func (s *stage) serve(dir, name string, args ...string) (*server, error) {
	path, err := find(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	return s.serveCommand(dir, cmd)
}

func (s *stage) serveCommand(dir string, cmd *exec.Cmd) (*server, error) {
	running, err := startServer(dir, cmd)
	if err == nil {
		s.running = append(s.running, running)
	}
	return running, err
}

// close ends all servers, the last one first, and removes all files.
func (s *stage) close() error {
	for i := len(s.running) - 1; i >= 0; i-- {
		s.running[i].stop()
	}
	err := os.RemoveAll(s.dir)
	for _, path := range s.removed {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// A runner runs what fetches, and adds up what that takes.
type runner struct{ usage }

// run runs a program to its end.
func (r *runner) run(ctx context.Context, dir, name string, args ...string) (stdout []byte, err error) {
	path, err := find(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	return r.runCommand(cmd)
}

func (r *runner) runCommand(cmd *exec.Cmd) (stdout []byte, err error) {
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w; it said %q", filepath.Base(cmd.Path), err, lastPart(append(out.Bytes(), said.Bytes()...)))
	}
	r.add(usedUntilEnd(cmd.ProcessState))
	return out.Bytes(), nil
}

// usedUntilEnd is what a process has taken that has ended, with those of its
// descendants that were waited for.
func usedUntilEnd(p *os.ProcessState) usage {
	u := usage{cpu: p.UserTime() + p.SystemTime()}
	if rusage, ok := p.SysUsage().(*syscall.Rusage); ok {
		u.memory = rusage.Maxrss << 10
	}
	return u
}

// measure has a contestant bring the file over once, and looks at whether it came.
func (s *stage) measure(ctx context.Context, c *contestant, round int) (_ *result, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir, err := s.folder("target")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	servers := c.servers
	if c.prepare != nil {
		own, err := c.prepare(ctx)
		for _, one := range own {
			defer one.stop()
		}
		if err != nil {
			return nil, err
		}
		servers = append(own, servers...)
	}
	before, err := usedBy(servers)
	if err != nil {
		return nil, err
	}
	target := filepath.Join(dir, filepath.Base(s.source))
	began := time.Now()
	var r runner
	if err := c.fetch(ctx, &r, target); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := usedBy(servers)
	if err != nil {
		return nil, err
	}
	return &result{
		Name: c.name, Round: round, Seconds: took.Seconds(), bytes: s.size,
		Client: figures{r.cpu.Seconds(), r.memory}, Server: figures{(after.cpu - before.cpu).Seconds(), after.memory},
	}, s.arrived(target)
}

func usedBy(servers []*server) (sum usage, err error) {
	for _, one := range servers {
		u, err := one.used()
		if err != nil {
			return sum, one.failed(err)
		}
		sum.add(u)
	}
	return sum, nil
}

// arrived reports whether what came is the file.
func (s *stage) arrived(target string) error {
	f, err := os.Open(target)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != s.sha256 {
		return fmt.Errorf("what came is not the file: SHA-256 %s, want %s", got, s.sha256)
	}
	return nil
}
