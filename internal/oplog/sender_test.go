package oplog

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/oncrpc"
)

// A network stands in for sockets, so that these tests run in synthetic time:
// each connection that the client opens arrives at accept, as the other end of
// a pipe. Without anybody to accept it, it is refused.
type network struct {
	t      *testing.T
	mu     sync.Mutex
	open   bool
	udp    bool // TCP is refused
	dialed []time.Time
	conns  chan net.Conn
}

func (n *network) dial(_ context.Context, network, _ string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if network == "tcp" {
		n.dialed = append(n.dialed, time.Now())
	}
	if !n.open || n.udp == (network == "tcp") {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	near, far := net.Pipe()
	n.conns <- far
	return near, nil
}

func (n *network) setOpen(open bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = open
}

func (n *network) tries() []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dialed
}

// accept returns the next connection.
func (n *network) accept() *wire {
	n.t.Helper()
	kind := "tcp"
	if n.udp {
		kind = "udp"
	}
	select {
	case conn := <-n.conns:
		n.t.Cleanup(func() { _ = conn.Close() })
		return newWire(n.t, conn, kind)
	case <-time.After(time.Minute):
		n.t.Fatal("the client does not connect")
		return nil
	}
}

// withClient runs a client in synthetic time. stop ends it and returns what Run
// returned.
func withClient(t *testing.T, n *network, o ClientOptions, test func(t *testing.T, c *Client, stop func() error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n.t, n.conns = t, make(chan net.Conn, 16)
		o.Target, o.testOnlyDial = "192.0.2.1:5000", n.dial
		c, stop := runClient(t, o)
		test(t, c, stop)
	})
}

// TestSenderIdle: a client with nothing to say does not connect.
func TestSenderIdle(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, _ func() error) {
		time.Sleep(time.Hour)
		if got := len(n.tries()); got != 0 {
			t.Errorf("got %d connections, want none", got)
		}
		c.Record(entry(0))
		w := n.accept()
		w.wantCalls(0, 0)
		time.Sleep(24 * time.Hour)
		c.Record(entry(1))
		w.wantCalls(1, 1) // over the same connection
	})
}

// TestSenderBacksOff: with no service, the client tries ever less often, but
// often enough to find it soon; and it tells so once.
func TestSenderBacksOff(t *testing.T) {
	log, n := &logBuffer{}, &network{}
	withClient(t, n, ClientOptions{Log: log.logger()}, func(t *testing.T, c *Client, _ func() error) {
		c.Record(entry(0))
		time.Sleep(time.Minute)
		tries := n.tries()
		if got := len(tries); got < 40 || got > 90 {
			t.Errorf("got %d tries in a minute, want 40 to 90", got)
		}
		for i := range tries[1:] {
			if gap := tries[i+1].Sub(tries[i]); gap > lastRetry {
				t.Errorf("%v between two tries, want at most %v", gap, lastRetry)
			}
		}
		n.setOpen(true)
		opened := time.Now()
		n.accept().wantCalls(0, 0)
		if took := time.Since(opened); took > lastRetry {
			t.Errorf("the service was found after %v, want %v at most", took, lastRetry)
		}
		synctest.Wait()
		if down, up := log.count("does not take"), log.count("takes entries"); down != 1 || up != 1 {
			t.Errorf("it was told %d times that the service is away, %d times that it is back; want 1, 1:\n%s", down, up, log)
		}
	})
}

// TestSenderResends: calls that were not answered when the connection broke
// are sent again over the next, under the same XIDs, before all others.
func TestSenderResends(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, stop func() error) {
		c.Record(entry(0))
		first := n.accept()
		first.wantCalls(0, 0)
		for i := 1; i <= 4; i++ {
			c.Record(entry(i))
		}
		var xids []uint32
		for range 4 {
			xid, _ := first.call()
			xids = append(xids, xid)
		}
		first.answer(oncrpc.Reply{XID: xids[1]}) // entry 2, out of turn
		_ = first.conn.Close()
		c.Record(entry(5))
		second := n.accept()
		for i, want := range []int{1, 3, 4} {
			xid, got := second.call()
			if got != entry(want) || i == 0 && xid != xids[0] {
				t.Fatalf("got %+v under %d, want entry %d again", got, xid, want)
			}
			second.answer(oncrpc.Reply{XID: xid})
		}
		second.wantCalls(5, 5)
		if err := stop(); err != nil || c.Dropped() != 0 {
			t.Errorf("Run returned %v, %d dropped", err, c.Dropped())
		}
	})
}

// TestSenderLeavesSilentService: a service that stops answering is left after a
// while, not before, and its calls go elsewhere.
func TestSenderLeavesSilentService(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, _ func() error) {
		c.Record(entry(0))
		silent := n.accept()
		silent.call()
		begun := time.Now()
		second := n.accept()
		if took := time.Since(begun); took < silence || took > 2*silence+lastRetry {
			t.Errorf("it was left after %v, want %v to %v", took, silence, 2*silence)
		}
		second.wantCalls(0, 0)
	})
}

// TestSenderKeepsSlowService: a service that takes its time for each call is
// not silent, and if it keeps bytes waiting for longer than that.
func TestSenderKeepsSlowService(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, _ func() error) {
		c.Record(entry(0))
		w := n.accept()
		w.records = oncrpc.NewRecordReader(w.conn, 256) // so that a batch does not fit
		for i := 1; i < 20; i++ {
			c.Record(entry(i))
		}
		for i := range 20 {
			time.Sleep(silence - time.Second)
			w.wantCalls(i, i)
		}
		if got := len(n.tries()); got != 1 {
			t.Errorf("got %d connections, want 1", got)
		}
	})
}

// TestSenderBatches: entries that come one by one leave together, but the first
// after a quiet time leaves at once.
func TestSenderBatches(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, _ func() error) {
		c.Record(entry(0))
		w := n.accept()
		begun := time.Now()
		w.wantCalls(0, 0)
		if took := time.Since(begun); took != 0 {
			t.Errorf("the first entry left after %v, want at once", took)
		}
		for i := 1; i <= 4; i++ {
			c.Record(entry(i))
			time.Sleep(pace / 10)
		}
		buffer := make([]byte, 64<<10)
		read, err := w.conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != pace {
			t.Errorf("the others left after %v, want %v", took, pace)
		}
		if want := 4 * len(oncrpc.AppendRecord(nil, logCall(0, entry(1)))); read != want {
			t.Errorf("got %d bytes in one write, want %d", read, want)
		}
	})
}

// TestSenderWindow: no more calls are on their way than the window holds.
func TestSenderWindow(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, stop func() error) {
		const entries = 3 * windowSize
		for i := range entries {
			c.Record(entry(i))
		}
		w := n.accept()
		var unanswered []uint32
		for range windowSize {
			xid, _ := w.call()
			unanswered = append(unanswered, xid)
		}
		if err := w.conn.SetReadDeadline(time.Now().Add(silence / 2)); err != nil {
			t.Fatal(err)
		}
		if b, err := w.receive(); !isTimeout(err) {
			t.Fatalf("got %x, %v; want nothing", b, err)
		}
		if err := w.conn.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		for _, xid := range unanswered {
			w.answer(oncrpc.Reply{XID: xid})
		}
		w.wantCalls(windowSize, entries-1)
		if err := stop(); err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

// TestSenderOtherService: what is not the operation log is told once, and keeps
// no entry.
func TestSenderOtherService(t *testing.T) {
	log, n := &logBuffer{}, &network{open: true}
	withClient(t, n, ClientOptions{Log: log.logger()}, func(t *testing.T, c *Client, _ func() error) {
		c.Record(entry(0))
		for range 5 {
			w := n.accept()
			xid, _ := w.call()
			w.answer(oncrpc.Reply{XID: xid, Status: oncrpc.ProgUnavailable})
			w.wantClosed()
		}
		n.accept().wantCalls(0, 0)
		synctest.Wait()
		if got := log.count("program unavailable"); got != 1 {
			t.Errorf("it was told %d times, want once:\n%s", got, log)
		}
	})
}

// TestSenderRefusedEntry: an entry that the service cannot read is dropped, and
// the rest goes on.
func TestSenderRefusedEntry(t *testing.T) {
	for name, status := range map[string]oncrpc.Status{"garbage": oncrpc.GarbageArgs, "system error": oncrpc.SystemError} {
		t.Run(name, func(t *testing.T) {
			log, n := &logBuffer{}, &network{open: true}
			withClient(t, n, ClientOptions{Log: log.logger()}, func(t *testing.T, c *Client, stop func() error) {
				for i := range 4 {
					c.Record(entry(i))
				}
				w := n.accept()
				for i := range 4 {
					xid, got := w.call()
					if got != entry(i) {
						t.Fatalf("got %+v, want %+v", got, entry(i))
					}
					w.answer(oncrpc.Reply{XID: xid + 1<<20, Status: status}) // answers nothing
					if i%2 == 0 {
						w.answer(oncrpc.Reply{XID: xid, Status: status})
					} else {
						w.answer(oncrpc.Reply{XID: xid})
					}
				}
				if err := stop(); err != nil || c.Dropped() != 2 {
					t.Errorf("Run returned %v, %d dropped, want 2", err, c.Dropped())
				}
				if got := log.count("level="); got != 1 || log.count("refuses an entry") != 1 {
					t.Errorf("got %d log lines, want one:\n%s", got, log)
				}
			})
		})
	}
}

// TestSenderMalformedReply: a service that answers with something else than
// RPC is left.
func TestSenderMalformedReply(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, _ func() error) {
		c.Record(entry(0))
		for _, bytes := range []string{"HTTP/1.1 400", "\x80\x00\x00\x04abcd"} {
			w := n.accept()
			w.call()
			w.sendRaw([]byte(bytes))
			w.wantClosed()
		}
		n.accept().wantCalls(0, 0)
	})
}

// TestSenderGivesUpAtTheEnd: a service that hangs does not keep the program.
func TestSenderGivesUpAtTheEnd(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, stop func() error) {
		c.Record(entry(0))
		n.accept().call()
		c.Record(entry(1))
		begun := time.Now()
		if err := stop(); !errors.Is(err, lonja.Unavailable) || c.Dropped() != 2 {
			t.Errorf("Run returned %v, %d dropped; want 2", err, c.Dropped())
		}
		if took := time.Since(begun); took != flushTime {
			t.Errorf("the end took %v, want %v", took, flushTime)
		}
	})
}

// TestSenderEndsAtOnce: a service that is not there does not keep the program
// at all.
func TestSenderEndsAtOnce(t *testing.T) {
	n := &network{}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, stop func() error) {
		c.Record(entry(0))
		time.Sleep(time.Minute)
		begun := time.Now()
		if err := stop(); !errors.Is(err, lonja.Unavailable) || c.Dropped() != 1 {
			t.Errorf("Run returned %v, %d dropped; want 1", err, c.Dropped())
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("the end took %v", took)
		}
	})
}

// TestSenderRepeatsDatagrams: over UDP a call is repeated until its own reply
// comes.
func TestSenderRepeatsDatagrams(t *testing.T) {
	n := &network{open: true, udp: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, stop func() error) {
		c.Record(entry(0))
		c.Record(entry(1))
		w := n.accept()
		begun := time.Now()
		first, _ := w.call()
		again, r := w.call()
		if first != again || r != entry(0) || time.Since(begun) != firstRepeat {
			t.Errorf("got call %d of %+v after %v, want %d again after %v", again, r, time.Since(begun), first, firstRepeat)
		}
		w.send([]byte("nonsense"))
		w.answer(oncrpc.Reply{XID: first - 1})
		w.answer(oncrpc.Reply{XID: first})
		w.wantCalls(1, 1)
		if err := stop(); err != nil || c.Dropped() != 0 {
			t.Errorf("Run returned %v, %d dropped", err, c.Dropped())
		}
	})
}

// TestSenderReturnsToTCP: a client that took to UDP tries TCP again after the
// term, whether it is busy or not.
func TestSenderReturnsToTCP(t *testing.T) {
	for name, every := range map[string]time.Duration{"busy": time.Second, "idle": term + time.Second} {
		t.Run(name, func(t *testing.T) {
			n := &network{open: true, udp: true}
			withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, stop func() error) {
				served := make(chan int)
				go func() {
					calls := 0
					for conn := range n.conns {
						calls += answerAll(conn)
					}
					served <- calls
				}()
				begun, entries := time.Now(), 0
				for ; time.Since(begun) < 10*term; entries++ {
					c.Record(entry(entries))
					time.Sleep(every)
				}
				if err := stop(); err != nil {
					t.Errorf("Run returned %v", err)
				}
				close(n.conns)
				if got := <-served; got != entries {
					t.Errorf("got %d calls, want %d", got, entries)
				}
				if got := len(n.tries()); got < 9 || got > 10 {
					t.Errorf("TCP was tried %d times in ten terms", got)
				}
			})
		})
	}
}

// answerAll answers calls over UDP until the connection ends, and returns how
// many there were.
func answerAll(conn net.Conn) (calls int) {
	defer conn.Close()
	b := make([]byte, maxDatagram)
	for ; ; calls++ {
		n, err := conn.Read(b)
		if err != nil {
			return calls
		}
		call, err := oncrpc.DecodeCall(b[:n])
		if err != nil {
			return calls
		}
		if _, err := conn.Write(oncrpc.AppendReply(nil, oncrpc.Reply{XID: call.XID})); err != nil {
			return calls
		}
	}
}

// TestSenderUnheardDatagrams: a UDP service that never answers is left, and
// looked for again.
func TestSenderUnheardDatagrams(t *testing.T) {
	n := &network{open: true, udp: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, _ func() error) {
		c.Record(entry(0))
		w := n.accept()
		for range tries {
			w.call()
		}
		n.accept().wantCalls(0, 0)
	})
}

// TestSenderTriesUDPToo: where connections are taken and dropped without an
// answer, calls may still be heard over UDP.
func TestSenderTriesUDPToo(t *testing.T) {
	n := &network{open: true}
	withClient(t, n, ClientOptions{}, func(t *testing.T, c *Client, _ func() error) {
		c.Record(entry(0))
		refused := n.accept()
		refused.call()
		n.mu.Lock()
		n.udp = true
		n.mu.Unlock()
		_ = refused.conn.Close()
		n.accept().wantCalls(0, 0)
		if got := len(n.tries()); got != 1 {
			t.Errorf("TCP was tried %d times before UDP", got)
		}
	})
}
