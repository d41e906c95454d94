package oplog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/oncrpc"
)

var networks = []string{"tcp", "udp"}

func TestServicePrints(t *testing.T) {
	cases := map[string]struct {
		entry lonja.OperationRecord
		want  string
	}{
		"plain":      {lonja.OperationRecord{User: "ana", Operation: "PUBLISH", File: "/a b", Timestamp: "now"}, "[now] ana: PUBLISH /a b"},
		"UTF-8":      {lonja.OperationRecord{User: "iñaki 王", Operation: "DELETE", File: "/ñ", Timestamp: "now"}, "[now] iñaki 王: DELETE /ñ"},
		"no file":    {lonja.OperationRecord{User: "ana", Operation: "CONNECT", Timestamp: "now"}, "[now] ana: CONNECT "},
		"all empty":  {lonja.OperationRecord{}, "[] :  "},
		"a terminal": {lonja.OperationRecord{User: "a\x1b[2J\n[x] b", Operation: "\u202e", File: "\xff", Timestamp: "\x00"}, "[\ufffd] a\ufffd[2J\ufffd[x] b: \ufffd \ufffd"},
	}
	service, out := startService(t)
	for _, network := range networks {
		w := dialWire(t, network, service.Addr().String())
		for name, c := range cases {
			t.Run(network+"/"+name, func(t *testing.T) {
				w.t = t
				w.send(logCall(1, c.entry))
				if got, want := w.reply(), (oncrpc.Reply{XID: 1, Results: []byte{}}); !reflect.DeepEqual(got, want) {
					t.Errorf("got %+v, want %+v", got, want)
				}
				out.want(t, c.want)
			})
		}
	}
}

func TestServiceAnswers(t *testing.T) {
	call := func(change func(*oncrpc.Call)) []byte {
		c := oncrpc.Call{
			XID: 9, Program: oncrpc.LoggerProgram, Version: oncrpc.LoggerVersion, Procedure: oncrpc.LogOperation,
			Args: oncrpc.AppendLogEntry(nil, entry(1)),
		}
		change(&c)
		return oncrpc.AppendCall(nil, c)
	}
	long := entry(1)
	long.User = strings.Repeat("x", 256)
	cases := map[string]struct {
		message []byte
		want    oncrpc.Reply
	}{
		"null procedure":  {call(func(c *oncrpc.Call) { c.Procedure, c.Args = 0, nil }), oncrpc.Reply{XID: 9, Results: []byte{}}},
		"other program":   {call(func(c *oncrpc.Call) { c.Program++ }), oncrpc.Reply{XID: 9, Status: oncrpc.ProgUnavailable}},
		"other version":   {call(func(c *oncrpc.Call) { c.Version++ }), oncrpc.Reply{XID: 9, Status: oncrpc.ProgMismatch, Low: 1, High: 1}},
		"other procedure": {call(func(c *oncrpc.Call) { c.Procedure++ }), oncrpc.Reply{XID: 9, Status: oncrpc.ProcUnavailable}},
		"no arguments":    {call(func(c *oncrpc.Call) { c.Args = nil }), oncrpc.Reply{XID: 9, Status: oncrpc.GarbageArgs}},
		"name too long":   {logCall(9, long), oncrpc.Reply{XID: 9, Status: oncrpc.GarbageArgs}},
		"RPC version 3": {
			[]byte("\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x03"),
			oncrpc.Reply{XID: 9, Status: oncrpc.RPCMismatch, Low: 2, High: 2},
		},
		"no credential": {
			call(func(*oncrpc.Call) {})[:24],
			oncrpc.Reply{XID: 9, Status: oncrpc.AuthError, Auth: oncrpc.AuthBadCredential},
		},
	}
	service, out := startService(t)
	for _, network := range networks {
		w := dialWire(t, network, service.Addr().String())
		for name, c := range cases {
			t.Run(network+"/"+name, func(t *testing.T) {
				w.t = t
				w.send(c.message)
				if got := w.reply(); !reflect.DeepEqual(got, c.want) {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			})
		}
	}
	out.wantNone(t)
}

// TestServiceMalformedStream: what is not RPC ends its own connection only.
func TestServiceMalformedStream(t *testing.T) {
	service, out := startService(t)
	bystander := dialWire(t, "tcp", service.Addr().String())
	for name, bytes := range map[string]string{
		"HTTP":             "GET / HTTP/1.1\r\n\r\n",
		"record too long":  "\x80\x01\x00\x00",
		"a reply":          "\x80\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00",
		"an empty message": "\x80\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			w := dialWire(t, "tcp", service.Addr().String())
			w.sendRaw([]byte(bytes))
			w.wantClosed()
		})
	}
	bystander.send(logCall(1, entry(1)))
	bystander.reply()
	out.want(t, line(1))
}

// TestServiceMalformedDatagrams: what is not RPC is ignored.
func TestServiceMalformedDatagrams(t *testing.T) {
	service, out := startService(t)
	w := dialWire(t, "udp", service.Addr().String())
	for _, message := range []string{"", "x", "\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00", strings.Repeat("\xff", 60000)} {
		w.send([]byte(message))
	}
	w.send(logCall(7, entry(1)))
	if got := w.reply(); got.XID != 7 {
		t.Errorf("got a reply to call %d, want 7", got.XID)
	}
	out.want(t, line(1))
}

// TestServiceRepeats: a call that comes again over UDP is answered again, and
// printed once.
func TestServiceRepeats(t *testing.T) {
	service, out := startService(t)
	w := dialWire(t, "udp", service.Addr().String())
	for _, message := range [][]byte{logCall(7, entry(1)), logCall(7, entry(1)), logCall(7, entry(2)), logCall(8, entry(2))} {
		w.send(message)
		if got := w.reply(); got.Status != oncrpc.Success {
			t.Errorf("got %v", got.Status)
		}
	}
	other := dialWire(t, "udp", service.Addr().String())
	other.send(logCall(7, entry(1)))
	other.reply()
	// The second of the same XID has other arguments: its client does not count.
	out.want(t, line(1), line(2), line(2), line(1))
	out.wantNone(t)
}

func TestRepeatsForgets(t *testing.T) {
	r := newRepeats(2)
	keys := []callKey{{sum: 1}, {sum: 2}, {sum: 3}}
	for _, key := range keys {
		r.add(key)
	}
	got := []bool{r.has(keys[0]), r.has(keys[1]), r.has(keys[2])}
	if want := []bool{false, true, true}; !slices.Equal(got, want) || len(r.known) != 2 {
		t.Errorf("got %v and %d keys, want %v and 2", got, len(r.known), want)
	}
}

// TestServiceAnswersFromTheAddressCalled: a machine has several addresses, and
// a client takes replies from the one that it called.
func TestServiceAnswersFromTheAddressCalled(t *testing.T) {
	out := newOutput()
	service, _ := runService(t, ServiceOptions{Out: out})
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		w := dialWire(t, "udp", net.JoinHostPort(host, fmt.Sprint(service.Addr().Port())))
		w.send(logCall(1, entry(1)))
		w.reply()
		out.want(t, line(1))
	}
}

// serveOne serves a connection as the only one.
func serveOne(ctx context.Context, conn net.Conn, out *printer) error {
	all := newSessions(1)
	s := newSession(ctx, conn, out, all)
	all.admit(s)
	return s.serve()
}

// inBubble runs a session over an in-memory connection, in synthetic time. The
// session's end is sent to ended.
func inBubble(t *testing.T, out io.Writer, test func(t *testing.T, client net.Conn, ended <-chan error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- serveOne(ctx, server, newPrinter(out, slog.New(slog.DiscardHandler)))
			_ = server.Close()
		}()
		test(t, client, ended)
		cancel()
		_ = client.Close()
	})
}

// TestSessionBatches: calls that come together are printed in one write and
// answered in one.
func TestSessionBatches(t *testing.T) {
	out := newOutput()
	inBubble(t, out, func(t *testing.T, client net.Conn, _ <-chan error) {
		const calls = 50
		var batch []byte
		for i := range calls {
			batch = oncrpc.AppendRecord(batch, logCall(uint32(i), entry(i)))
		}
		w := newWire(t, client, "tcp")
		w.sendRaw(batch)
		replies := make([]byte, 64<<10)
		n, err := client.Read(replies)
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for i := range calls {
			out.want(t, line(i))
			want = oncrpc.AppendRecord(want, oncrpc.AppendReply(nil, oncrpc.Reply{XID: uint32(i)}))
		}
		if !bytes.Equal(replies[:n], want) {
			t.Errorf("got  %x\nwant %x", replies[:n], want)
		}
		if got := out.writeCount(); got != 1 {
			t.Errorf("got %d writes, want 1", got)
		}
	})
}

// TestSessionSlowSender: a record may come byte by byte, but not for ever; and
// there may be any time between two records.
func TestSessionSlowSender(t *testing.T) {
	out := newOutput()
	inBubble(t, out, func(t *testing.T, client net.Conn, ended <-chan error) {
		w := newWire(t, client, "tcp")
		for i := range 3 {
			record := oncrpc.AppendRecord(nil, logCall(1, entry(i)))
			step := recordTime / time.Duration(len(record)+1)
			for _, b := range record {
				w.sendRaw([]byte{b})
				time.Sleep(step)
			}
			w.reply()
			out.want(t, line(i))
			time.Sleep(24 * time.Hour)
		}
		begun := time.Now()
		record := oncrpc.AppendRecord(nil, logCall(1, entry(1)))
		for i := 0; ; i++ {
			if _, err := client.Write(record[i : i+1]); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if err := <-ended; !isTimeout(err) {
			t.Errorf("the session ended with %v, want a timeout", err)
		}
		if took := time.Since(begun); took > recordTime+time.Second {
			t.Errorf("the session ended after %v, want %v", took, recordTime)
		}
	})
}

// TestSessionDeafClient: a client that does not read its replies is dropped.
func TestSessionDeafClient(t *testing.T) {
	out := newOutput()
	inBubble(t, out, func(t *testing.T, client net.Conn, ended <-chan error) {
		newWire(t, client, "tcp").send(logCall(1, entry(1)))
		begun := time.Now()
		if err := <-ended; !isTimeout(err) {
			t.Errorf("the session ended with %v, want a timeout", err)
		}
		if took := time.Since(begun); took != answerTime {
			t.Errorf("the session ended after %v, want %v", took, answerTime)
		}
		out.want(t, line(1))
	})
}

// TestServiceCannotPrint: what is not printed is not answered, which is told
// once; and once printing works again, so does the service.
func TestServiceCannotPrint(t *testing.T) {
	out, log := newOutput(), &logBuffer{}
	service, _ := runService(t, ServiceOptions{Host: "127.0.0.1", Out: out, Log: log.logger()})
	out.setFail(errors.New("disk full"))
	udp := dialWire(t, "udp", service.Addr().String())
	udp.send(logCall(1, entry(1)))
	tcp := dialWire(t, "tcp", service.Addr().String())
	tcp.send(logCall(1, entry(1)))
	tcp.wantClosed()
	// Calls over UDP are taken in turn: the reply to this one shows that the
	// other was tried.
	udp.send(oncrpc.AppendCall(nil, oncrpc.Call{XID: 2, Program: oncrpc.LoggerProgram, Version: oncrpc.LoggerVersion}))
	if got := udp.reply(); got.XID != 2 {
		t.Errorf("got a reply to call %d, which was not printed", got.XID)
	}
	if got := log.count("disk full"); got != 1 {
		t.Errorf("it was told %d times, want once:\n%s", got, log)
	}
	out.setFail(nil)
	udp.send(logCall(1, entry(1)))
	if got := udp.reply(); got.XID != 1 {
		t.Errorf("got a reply to call %d, want 1", got.XID)
	}
	out.want(t, line(1))
}

// TestServiceMaxConnections: past the bound, the connection that has been idle
// for longest gives its place up.
func TestServiceMaxConnections(t *testing.T) {
	out := newOutput()
	service, _ := runService(t, ServiceOptions{Host: "127.0.0.1", Out: out, MaxConnections: 2})
	connect := func(call int) *wire {
		w := dialWire(t, "tcp", service.Addr().String())
		w.send(logCall(1, entry(call)))
		w.reply()
		out.want(t, line(call))
		return w
	}
	first, second := connect(1), connect(2)
	first.send(logCall(2, entry(3)))
	first.reply()
	out.want(t, line(3))
	third := connect(4) // the second is idle for longest
	second.wantClosed()
	for i, w := range []*wire{first, third} {
		w.send(logCall(3, entry(5+i)))
		w.reply()
		out.want(t, line(5+i))
	}
}

// TestBusySessionsKeepTheirPlaces: with nobody idle, a new connection is refused.
func TestBusySessionsKeepTheirPlaces(t *testing.T) {
	all := newSessions(2)
	var list []*session
	for range 3 {
		_, server := net.Pipe()
		list = append(list, newSession(t.Context(), server, nil, all))
	}
	busy, also, third := list[0], list[1], list[2]
	for _, s := range []*session{busy, also} {
		if admitted, full := all.admit(s); !admitted || full || all.note(s, time.Time{}) != nil {
			t.Fatal("no place, though places are free")
		}
	}
	if admitted, full := all.admit(third); admitted || !full {
		t.Error("a third session is admitted to two places that are in use")
	}
	if err := all.note(also, time.Now()); err != nil {
		t.Fatal(err)
	}
	if admitted, full := all.admit(third); !admitted || !full || also.ctx.Err() == nil || busy.ctx.Err() != nil {
		t.Errorf("the idle session ended with %v, the busy one with %v", also.ctx.Err(), busy.ctx.Err())
	}
	if err := all.note(also, time.Time{}); !errors.Is(err, errReplaced) {
		t.Errorf("who lost the place may go on: got %v, want %v", err, errReplaced)
	}
	all.leave(busy)
	if admitted, full := all.admit(also); !admitted || full || third.ctx.Err() != nil {
		t.Error("the place of who has left is not free")
	}
}

// TestServiceEnds: Run returns though clients stay connected, and frees the port.
func TestServiceEnds(t *testing.T) {
	out := newOutput()
	service, stop := runService(t, ServiceOptions{Out: out})
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(service.Addr().Port()))
	idle, partial := dialWire(t, "tcp", address), dialWire(t, "tcp", address)
	for _, w := range []*wire{idle, partial} {
		w.send(logCall(1, entry(1)))
		w.reply()
	}
	partial.sendRaw([]byte{0x80, 0})
	stop()
	if _, err := idle.receive(); !errors.Is(err, io.EOF) {
		t.Errorf("idle connection: got %v, want %v", err, io.EOF)
	}
	runService(t, ServiceOptions{Out: out, Port: service.Addr().Port()})
}

func TestServiceClosedUnderRun(t *testing.T) {
	service, err := Listen(ServiceOptions{Host: "127.0.0.1", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(service.Close(), service.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := service.Run(t.Context()); err == nil {
		t.Error("Run returned nil, though nobody asked it to end")
	}
}

func TestListen(t *testing.T) {
	service, _ := startService(t)
	taken := service.Addr().Port()
	onlyUDP, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer onlyUDP.Close()
	for name, o := range map[string]ServiceOptions{
		"TCP port in use": {Host: "127.0.0.1", Port: taken},
		"UDP port in use": {Host: "127.0.0.1", Port: uint16(onlyUDP.LocalAddr().(*net.UDPAddr).Port)},
	} {
		if _, err := Listen(o); !errors.Is(err, lonja.Unavailable) || !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s: got %v, want kind %v and %v", name, err, lonja.Unavailable, syscall.EADDRINUSE)
		}
	}
	if _, err := Listen(ServiceOptions{Host: "192.0.2.1"}); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("other machine's address: got %v, want %v", err, syscall.EADDRNOTAVAIL)
	}
}

// TestServicePrintsInTurn: Out need not lock.
func TestServicePrintsInTurn(t *testing.T) {
	var unsafe bytes.Buffer
	service, stop := runService(t, ServiceOptions{Host: "127.0.0.1", Out: &unsafe})
	var callers sync.WaitGroup
	for range 2 {
		for _, network := range networks {
			callers.Go(func() {
				w := dialWire(t, network, service.Addr().String())
				for xid := range uint32(50) {
					w.send(logCall(xid, entry(1)))
					w.reply()
				}
			})
		}
	}
	callers.Wait()
	stop()
	if got, want := unsafe.String(), strings.Repeat(line(1)+"\n", 200); got != want {
		t.Errorf("got %d bytes of lines, want %d", len(got), len(want))
	}
}
