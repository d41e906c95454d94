package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// The bare transfer is what TLS, the kernel and so many processes take by themselves:
// this program again, as each of those who send and as the one who fetches, which asks
// for parts of the file over as many connections as lonja has, and checks nothing.
const (
	bareServe = "bare-serve" // SOURCE CERT KEY
	bareFetch = "bare-fetch" // TARGET CERT SIZE ADDRESS...

	bareSpan   = 16 << 20  // that is asked for at once
	bareBuffer = 256 << 10 // that is read and written at once
	bareConns  = 2         // to each who sends
)

// runBare is the program when it is one side of a bare transfer, and reports whether it
// is.
func runBare(args []string) (is bool, err error) {
	switch {
	case len(args) == 4 && args[0] == bareServe:
		return true, serveBare(args[1], args[2], args[3])
	case len(args) >= 5 && args[0] == bareFetch:
		size, err := strconv.ParseInt(args[3], 10, 64)
		if err != nil {
			return true, err
		}
		return true, fetchBare(args[1], args[2], size, args[4:])
	}
	return false, nil
}

// serveBare sends what is asked for until it is killed. It says where it listens.
func serveBare(source, cert, key string) error {
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	fmt.Println("bare on", l.Addr())
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go sendBare(conn, source) // this process is killed in the end
	}
}

// sendBare sends parts of the file: each is asked for by its offset and its length.
func sendBare(conn net.Conn, source string) {
	defer conn.Close()
	f, err := os.Open(source)
	if err != nil {
		return
	}
	defer f.Close()
	buf := make([]byte, bareBuffer)
	var asked struct{ Offset, Length int64 }
	for binary.Read(conn, binary.BigEndian, &asked) == nil {
		part := io.NewSectionReader(f, asked.Offset, asked.Length)
		if _, err := io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{part}, buf); err != nil {
			return // who fetches sees that
		}
	}
}

// fetchBare fetches the parts of the file from all addresses, each by whoever is free.
func fetchBare(target, cert string, size int64, addresses []string) (err error) {
	pem, err := os.ReadFile(cert)
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	config.RootCAs.AppendCertsFromPEM(pem)
	f, err := os.Create(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var next atomic.Int64
	var group errgroup.Group
	for i := range bareConns * len(addresses) {
		group.Go(func() error {
			conn, err := tls.Dial("tcp", addresses[i%len(addresses)], config)
			if err != nil {
				return err
			}
			defer conn.Close()
			buf := make([]byte, bareBuffer)
			for at := next.Add(bareSpan) - bareSpan; at < size; at = next.Add(bareSpan) - bareSpan {
				if err := receiveBare(conn, f, at, min(bareSpan, size-at), buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func receiveBare(conn net.Conn, f io.WriterAt, offset, length int64, buf []byte) error {
	if err := binary.Write(conn, binary.BigEndian, []int64{offset, length}); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(f, offset)}, struct{ io.Reader }{io.LimitReader(conn, length)}, buf)
	if err == nil && n < length {
		err = io.ErrUnexpectedEOF
	}
	return err
}

var bareListens = regexp.MustCompile(`bare on (\S+)`)

// startBare has this program fetch from so many of its own.
func startBare(senders int) func(context.Context, *stage, *contestant) error {
	return func(ctx context.Context, s *stage, c *contestant) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		args := []string{s.cert, strconv.FormatInt(s.size, 10)}
		for range senders {
			dir, err := s.folder("bare")
			if err != nil {
				return err
			}
			sender, err := s.serveCommand(dir, exec.Command(self, bareServe, s.source, s.cert, s.key))
			if err != nil {
				return err
			}
			c.servers = append(c.servers, sender)
			at, err := sender.await(ctx, bareListens)
			if err != nil {
				return err
			}
			args = append(args, at)
		}
		c.fetch = func(ctx context.Context, r *runner, target string) error {
			_, err := r.run(ctx, filepath.Dir(target), self, append([]string{bareFetch, target}, args...)...)
			return err
		}
		return nil
	}
}
