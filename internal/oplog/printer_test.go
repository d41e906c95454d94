package oplog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lonja/internal/oncrpc"
)

// A valve is an output that blocks until it is opened.
type valve struct {
	bytes.Buffer
	open chan struct{}
	once sync.Once
	full chan struct{} // closed when the first Write has come
}

func newValve() *valve { return &valve{open: make(chan struct{}), full: make(chan struct{})} }

func (v *valve) Write(p []byte) (int, error) {
	v.once.Do(func() { close(v.full) })
	<-v.open
	return v.Buffer.Write(p)
}

// TestServiceEndsThoughItsOutputBlocks: it says so, and answers nothing that it
// has not printed.
func TestServiceEndsThoughItsOutputBlocks(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			out, log := newValve(), &logBuffer{}
			defer close(out.open)
			service, stop := runService(t, ServiceOptions{Host: "127.0.0.1", Out: out, Log: log.logger()})
			first, second := dialWire(t, network, service.Addr().String()), dialWire(t, "tcp", service.Addr().String())
			first.send(logCall(1, entry(1)))
			<-out.full
			second.send(logCall(1, entry(2)))
			stop()
			if log.count("nobody reads the operation log") != 1 {
				t.Errorf("it does not say what is lost:\n%s", log)
			}
			if _, err := second.receive(); !errors.Is(err, io.EOF) && err == nil {
				t.Error("a call that was not printed was answered")
			}
		})
	}
}

// TestLateCallsArePrintedOnce: while the output blocks, a client gives its calls
// up and sends them again, over one connection after the other; old connections
// still hold some that were not read. All are answered, and printed once.
func TestLateCallsArePrintedOnce(t *testing.T) {
	const calls, connections = 300, 4 // more calls than one read brings in
	synctest.Test(t, func(t *testing.T) {
		out := newValve()
		p := newPrinter(out, slog.New(slog.DiscardHandler))
		var sent []byte
		for i := range calls {
			sent = oncrpc.AppendRecord(sent, logCall(uint32(i), entry(i)))
		}
		ctx, stop := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		for range connections {
			client, server := net.Pipe()
			parts.Go(func() { _ = serveOne(ctx, server, p); _ = server.Close() })
			parts.Go(func() { _, _ = client.Write(sent) })
			parts.Go(func() {
				w := newWire(t, client, "tcp")
				for i := range calls {
					if got := w.reply(); got.XID != uint32(i) {
						t.Errorf("got a reply to call %d, want %d", got.XID, i)
					}
				}
			})
			time.Sleep(2 * silence)
		}
		close(out.open)
		synctest.Wait()
		stop()
		parts.Wait()
		seen := map[string]int{}
		for line := range strings.Lines(out.String()) {
			seen[line]++
		}
		for i := range calls {
			if n := seen[line(i)+"\n"]; n != 1 {
				t.Fatalf("call %d is printed %d times", i, n)
			}
		}
	})
}

// TestEqualCallsInTimeAreAllPrinted: a simple client opens a connection for
// each call and never changes its XID. None of its calls is a repetition, also
// a while after the output was blocked.
func TestEqualCallsInTimeAreAllPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newValve()
		p := newPrinter(out, slog.New(slog.DiscardHandler))
		print := func() {
			var b batch
			b.add(callKey{sum: 1}, entry(1))
			if err := p.print(&b); err != nil {
				t.Error(err)
			}
		}
		time.AfterFunc(2*slowPrint, func() { close(out.open) })
		print()
		print() // may be the same one
		time.Sleep(lateTime + time.Second)
		p.out = &out.Buffer
		for range 3 {
			print()
		}
		if got := strings.Count(out.String(), line(1)); got != 1+3 {
			t.Errorf("printed %d times, want 4", got)
		}
	})
}

// A disk takes room bytes and then fails.
type disk struct {
	bytes.Buffer
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	n, _ := d.Buffer.Write(p[:min(len(p), d.room)])
	d.room -= n
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// TestTornLine: after a full disk, lines begin where lines begin.
func TestTornLine(t *testing.T) {
	whole := len(line(0)) + 1
	for name, c := range map[string]struct {
		room int
		want string
	}{
		"nothing written":    {0, line(1) + "\n"},
		"a line torn":        {7, line(0)[:7] + "\n" + line(1) + "\n"},
		"all but its end":    {whole - 1, line(0) + "\n" + line(1) + "\n"},
		"torn between two":   {whole, line(0) + "\n" + line(1) + "\n"},
		"the second is torn": {whole + 3, line(0) + "\n" + line(0)[:3] + "\n" + line(1) + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out := &disk{room: c.room}
			p := newPrinter(out, slog.New(slog.DiscardHandler))
			var b batch
			b.add(callKey{sum: 1}, entry(0))
			b.add(callKey{sum: 2}, entry(0))
			for range 2 { // still full at the second try
				if p.print(&b) == nil {
					t.Fatal("printing on a full disk is no error")
				}
				b.add(callKey{sum: 3}, entry(0))
			}
			out.room = 1 << 20
			b.reset()
			b.add(callKey{sum: 4}, entry(1))
			if err := p.print(&b); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
