package probe_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/probe"
	"lonja/internal/upload"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

// probing runs probes of what the book holds, over real sockets, until the end
// of the test. The channel tells how each one ended.
func probing(t *testing.T, b *book) <-chan probe.Outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	outcomes := make(chan probe.Outcome)
	var running sync.WaitGroup
	running.Go(func() {
		_ = probe.Run(ctx, probe.Options{
			Leases: b, Period: 20 * time.Millisecond, Timeout: patience,
			MaxDials: 1, // so that no probe ends before its predecessor was looked at
			Done: func(o probe.Outcome) {
				select {
				case outcomes <- o:
				case <-ctx.Done():
				}
			},
		})
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return outcomes
}

// expect waits for that many probes that all end so.
func expect(t *testing.T, outcomes <-chan probe.Outcome, want probe.Outcome, n int) {
	t.Helper()
	for i := range n {
		select {
		case got := <-outcomes:
			if got != want {
				t.Fatalf("probe %d ended with %v, want %v", i, got, want)
			}
		case <-time.After(patience):
			t.Fatal("nobody probes")
		}
	}
}

func listenOn(t *testing.T, addr string) (net.Listener, lonja.Endpoint) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln, lonja.Endpoint{AddrPort: netip.MustParseAddrPort(ln.Addr().String())}
}

// A node is our own listening side, with a log that may hold nothing but what
// is for those who look closely.
type node struct {
	stop context.CancelFunc
	done chan struct{}
}

func serve(t *testing.T, ln net.Listener, log io.Writer) *node {
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{cancel, make(chan struct{})}
	server := upload.New(upload.Options{Files: noFiles{}, Log: slog.New(slog.NewTextHandler(log, nil))})
	go func() {
		defer close(n.done)
		_ = server.Serve(ctx, ln)
	}()
	t.Cleanup(n.end)
	return n
}

func (n *node) end() { n.stop(); <-n.done }

type noFiles struct{}

func (noFiles) Open(name lonja.FileName) (*os.File, int64, error) {
	return nil, 0, &lonja.Error{Kind: lonja.NoSuchFile, File: name}
}

// TestRealNodes: users of both versions of the protocol who stay, who restart
// on the same port, and who go.
func TestRealNodes(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			var log bytes.Buffer
			book := newBook()
			ln, at := listenOn(t, net.JoinHostPort(host, "0"))
			book.connect("ana", at)
			n := serve(t, ln, &log)
			outcomes := probing(t, book)
			expect(t, outcomes, probe.Reached, 10)

			for range 3 { // twice missed, and there again, is as good as never missed
				n.end()
				if log.Len() > 0 {
					t.Errorf("the node that was probed logs:\n%s", log.String())
				}
				waitFor(t, outcomes, probe.Refused)
				ln, _ = listenOn(t, at.String())
				n = serve(t, ln, &log)
				waitFor(t, outcomes, probe.Reached)
			}
			if got := book.endings(); len(got) > 0 {
				t.Fatalf("ended: %v", got)
			}

			n.end()
			waitFor(t, outcomes, probe.Refused)
			expect(t, outcomes, probe.Refused, 2)
			select {
			case <-book.end:
			case <-time.After(patience):
				t.Error("a user who is gone is still connected")
			}
		})
	}
}

// waitFor passes over at most one probe that was under way.
func waitFor(t *testing.T, outcomes <-chan probe.Outcome, want probe.Outcome) {
	t.Helper()
	for range 2 {
		select {
		case got := <-outcomes:
			if got == want {
				return
			}
		case <-time.After(patience):
			t.Fatal("nobody probes")
		}
	}
	t.Fatalf("no probe ended with %v", want)
}

// TestPeersAreLeftInPeace: listeners as others have written them are reached
// all the time, and a probe is to them a request like any other: answered, read
// to its end, nothing broken off.
func TestPeersAreLeftInPeace(t *testing.T) {
	for name, serve := range map[string]func(net.Conn) error{
		"as the original does":          answerLikeTheOriginal,
		"that never looks for the end":  answerWithoutEnd,
		"that hangs up without a word":  func(net.Conn) error { return nil },
		"that has the file, and no end": sendForEver,
	} {
		t.Run(name, func(t *testing.T) {
			book := newBook()
			ln, at := listenOn(t, "127.0.0.1:0")
			book.connect("ana", at)
			failed := make(chan error, 1)
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					_ = conn.SetDeadline(time.Now().Add(patience))
					err = serve(conn) // in this one thread, as some do
					_ = conn.Close()
					if err != nil {
						select {
						case failed <- err:
						default:
						}
					}
				}
			})
			outcomes := probing(t, book)
			expect(t, outcomes, probe.Reached, 20)
			_ = ln.Close()
			serving.Wait()
			select {
			case err := <-failed:
				t.Errorf("a probe made a peer fail: %v", err)
			default:
			}
		})
	}
}

func answerLikeTheOriginal(conn net.Conn) error {
	if _, err := classic.ReadPeerRequest(bufio.NewReader(conn)); err != nil {
		return err
	}
	_, err := conn.Write([]byte{classic.PeerStatus(lonja.NoSuchFile)})
	return err
}

// answerWithoutEnd takes two strings byte by byte, as if there were no end of a
// connection; the deadline alone gets it out of it.
func answerWithoutEnd(conn net.Conn) error {
	var b [1]byte
	for strings := 0; strings < 2; {
		n, err := conn.Read(b[:])
		if err != nil && err != io.EOF {
			return err
		}
		if n == 1 && b[0] == 0 {
			strings++
		}
	}
	_, err := conn.Write([]byte{classic.PeerStatus(lonja.NoSuchFile)})
	return err
}

// sendForEver is a peer for which any name is a file; that it fails is its due.
func sendForEver(conn net.Conn) error {
	for {
		if _, err := conn.Write(make([]byte, 4096)); err != nil {
			return nil
		}
	}
}
