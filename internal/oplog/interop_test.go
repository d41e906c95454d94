//go:build interop

// The operation log against rpcbind and programs in C, made from logger.x with
// rpcgen and libtirpc, as systems that use this protocol have them.

package oplog

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/oncrpc"
)

// A cProgram says what a C program is made of: a source in testdata, and the
// flags with which rpcgen makes the other half.
type cProgram struct {
	source string
	stub   []string
}

var (
	loggingClient    = cProgram{"log_client.c", []string{"-l"}}
	probe            = cProgram{"log_probe.c", []string{"-l"}}
	logger           = cProgram{"logger_server.c", []string{"-s", "udp", "-s", "tcp"}}
	loggerOnlyForUDP = cProgram{"logger_server.c", []string{"-s", "udp"}}
)

// build compiles the program and returns its path.
func (p cProgram) build(t *testing.T) string {
	t.Helper()
	rpcgen := debianProgram(t, "rpcgen", "rpcsvc-proto")
	gcc := debianProgram(t, "gcc", "build-essential")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	runIn(t, dir, rpcgen, "-h", "-o", "logger.h", "logger.x")
	runIn(t, dir, rpcgen, "-c", "-o", "logger_xdr.c", "logger.x")
	runIn(t, dir, rpcgen, append(p.stub, "-o", "stub.c", "logger.x")...)
	// What rpcgen makes has warnings, ours must have none but for the casts that
	// libtirpc asks for. Its headers are in the Debian package libtirpc-dev.
	runIn(t, dir, gcc, "-c", "-Wall", "-Wextra", "-Werror", "-Wno-cast-function-type",
		"-I/usr/include/tirpc", "-o", "main.o", p.source)
	runIn(t, dir, gcc, "-I/usr/include/tirpc", "-o", "program", "main.o", "logger_xdr.c", "stub.c", "-ltirpc")
	return filepath.Join(dir, "program")
}

// A cLogger is a running operation log in C.
type cLogger struct {
	*output
	cmd *exec.Cmd
}

// startCLogger starts the program. It ends with the test, at the latest.
func startCLogger(t *testing.T, program string) *cLogger {
	t.Helper()
	l := &cLogger{output: newOutput(), cmd: exec.CommandContext(t.Context(), program)}
	l.cmd.Stdout = &wholeLines{to: l.output}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.kill(t) })
	return l
}

// wholeLines passes on lines, however a pipe has cut them.
type wholeLines struct {
	to   io.Writer
	rest []byte
}

func (w *wholeLines) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	whole := bytes.LastIndexByte(w.rest, '\n') + 1
	_, err := w.to.Write(w.rest[:whole])
	w.rest = append(w.rest[:0], w.rest[whole:]...)
	return len(p), err
}

// kill ends the logger as a crash would: its registration stays.
func (l *cLogger) kill(t *testing.T) {
	t.Helper()
	if l.cmd.ProcessState != nil {
		return
	}
	if err := l.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = l.cmd.Wait() // it was killed
}

// wantAfterDeath wants a line of a logger whose predecessor was killed after it
// had printed last. That may come again: it may not have been answered.
func (l *cLogger) wantAfterDeath(t *testing.T, last, want string) {
	t.Helper()
	got := l.next(t)
	if got == last {
		got = l.next(t)
	}
	if got != want {
		t.Fatalf("got line %q, want %q", got, want)
	}
}

// registered returns what rpcbind has for the operation log, as "netid address".
func registered(t *testing.T) []string {
	t.Helper()
	conn, err := net.Dial("unix", rpcbindSocket)
	if err != nil {
		t.Fatal(err)
	}
	rpc, err := newRpcbind(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer rpc.Close()
	all, err := rpc.dump()
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, b := range all {
		if b.Program == oncrpc.LoggerProgram {
			ours = append(ours, b.NetID+" "+b.Address)
		}
	}
	slices.Sort(ours)
	return ours
}

// everywhere is what is registered for a service on all addresses.
func everywhere(s *Service) []string {
	port := s.Addr().Port()
	at := func(addr netip.Addr) string { return oncrpc.UniversalAddress(netip.AddrPortFrom(addr, port)) }
	v4, v6 := at(netip.IPv4Unspecified()), at(netip.IPv6Unspecified())
	return []string{"tcp " + v4, "tcp6 " + v6, "udp " + v4, "udp6 " + v6}
}

// register enters a service at the namespace's rpcbind.
func register(t *testing.T, s *Service) *Registration {
	t.Helper()
	r, err := Register(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestInteropCClient: a C client finds our service through rpcbind and logs.
func TestInteropCClient(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	startRpcbind(t, "-w")
	out := newOutput()
	service, _ := runService(t, ServiceOptions{Out: out})
	register(t, service)
	program := loggingClient.build(t)
	for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
		for _, network := range networks {
			t.Run(host+"/"+network, func(t *testing.T) {
				run(t, program, host, network,
					"ana", "PUBLISH", "/home/ana/a.txt", "23/11/2026 05:54:17",
					"iñaki", "GET_MULTIFILE", "/home/iñaki/canción.txt", "23/11/2026 05:54:18",
					"王", "CONNECT", "", "")
				out.want(t, "[23/11/2026 05:54:17] ana: PUBLISH /home/ana/a.txt",
					"[23/11/2026 05:54:18] iñaki: GET_MULTIFILE /home/iñaki/canción.txt",
					"[] 王: CONNECT ")
				out.wantNone(t)
			})
		}
	}
}

// TestInteropCProbe: libtirpc understands each of our answers.
func TestInteropCProbe(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	startRpcbind(t, "-w")
	out := newOutput()
	service, _ := runService(t, ServiceOptions{Out: out})
	register(t, service)
	program := probe.build(t)
	for netid, host := range map[string]string{"udp": "127.0.0.1", "tcp": "127.0.0.1", "udp6": "::1", "tcp6": "::1"} {
		for name, c := range map[string]struct{ program, version, procedure, argument, want string }{
			"log":              {"0x20000001", "1", "1", "entry", "RPC: Success"},
			"null procedure":   {"0x20000001", "1", "0", "none", "RPC: Success"},
			"wrong program":    {"0x20000002", "1", "1", "entry", "RPC: Program unavailable"},
			"wrong version":    {"0x20000001", "2", "1", "entry", "RPC: Program/version mismatch (1 to 1)"},
			"wrong procedure":  {"0x20000001", "1", "2", "entry", "RPC: Procedure unavailable"},
			"no argument":      {"0x20000001", "1", "1", "none", "RPC: Server can't decode arguments"},
			"name is too long": {"0x20000001", "1", "1", "long", "RPC: Server can't decode arguments"},
		} {
			t.Run(netid+"/"+name, func(t *testing.T) {
				got := strings.TrimSpace(run(t, program, host, netid, c.program, c.version, c.procedure, c.argument))
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if name == "log" {
					out.want(t, "[now] ana: CONNECT ")
				}
				out.wantNone(t)
			})
		}
	}
}

// TestInteropCLogger: our client begins long before there is an rpcbind, and
// before there is a logger in C; when there is, it gets all entries. Then the
// logger dies, and another comes on another port.
func TestInteropCLogger(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const burst = 3000 // several windows full
	log := &logBuffer{}
	client, stop := runClient(t, ClientOptions{Target: "127.0.0.1", Log: log.logger()})
	for i := range burst {
		client.Record(entry(i))
	}
	program := logger.build(t)
	startRpcbind(t, "-w")
	first := startCLogger(t, program)
	for i := range burst {
		first.want(t, line(i))
	}
	client.Record(lonja.OperationRecord{User: "iñaki 王", Operation: "CONNECT", Timestamp: lonja.NoTimestamp})
	last := "[" + lonja.NoTimestamp + "] iñaki 王: CONNECT "
	first.want(t, last)
	first.kill(t)
	client.Record(entry(burst))
	second := startCLogger(t, program)
	second.wantAfterDeath(t, last, line(burst))
	if err := stop(); err != nil || client.Dropped() != 0 {
		t.Errorf("Run returned %v, %d dropped; log:\n%s", err, client.Dropped(), log)
	}
	second.wantNone(t)
}

// TestInteropCLoggerOverUDP: the same with a logger that knows UDP only.
func TestInteropCLoggerOverUDP(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const burst = 500
	client, stop := runClient(t, ClientOptions{Target: "localhost"})
	for i := range burst {
		client.Record(entry(i))
	}
	program := loggerOnlyForUDP.build(t)
	startRpcbind(t, "-w")
	first := startCLogger(t, program)
	for i := range burst {
		first.want(t, line(i))
	}
	first.kill(t)
	client.Record(entry(burst))
	second := startCLogger(t, program)
	second.wantAfterDeath(t, line(burst-1), line(burst))
	if err := stop(); err != nil || client.Dropped() != 0 {
		t.Errorf("Run returned %v, %d dropped", err, client.Dropped())
	}
	second.wantNone(t)
}

// TestInteropOwnOverIPv6: our client finds our service through rpcbind at an
// IPv6 address.
func TestInteropOwnOverIPv6(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	startRpcbind(t, "-w")
	for name, host := range map[string]string{"on IPv6 only": "::1", "on all": ""} {
		t.Run(name, func(t *testing.T) {
			out := newOutput()
			service, stop := runService(t, ServiceOptions{Host: host, Out: out})
			defer stop()
			register(t, service)
			client, _ := runClient(t, ClientOptions{Target: "[::1]"})
			client.Record(entry(1))
			out.want(t, line(1))
		})
	}
}

// TestInteropRegistration: who is registered when.
func TestInteropRegistration(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	startRpcbind(t, "-w")
	dead := startCLogger(t, logger.build(t))
	client, _ := runClient(t, ClientOptions{Target: "127.0.0.1"})
	client.Record(entry(0))
	dead.want(t, line(0))
	dead.kill(t)
	if got := registered(t); len(got) != 2 {
		t.Errorf("the dead logger left %q behind, want two entries", got)
	}

	service, _ := runService(t, ServiceOptions{Out: newOutput()})
	mine := register(t, service)
	if got, want := registered(t), everywhere(service); !slices.Equal(got, want) {
		t.Errorf("registered: got %q, want %q", got, want)
	}
	successor, _ := runService(t, ServiceOptions{Out: newOutput()})
	theirs := register(t, successor)
	if err := mine.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if got, want := registered(t), everywhere(successor); !slices.Equal(got, want) {
		t.Errorf("a service has taken its successor's place: got %q, want %q", got, want)
	}
	if err := theirs.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if got := registered(t); len(got) != 0 {
		t.Errorf("removed: got %q, want none", got)
	}

	onlyOne, _ := runService(t, ServiceOptions{Host: "127.0.0.1", Out: newOutput()})
	register(t, onlyOne)
	at := oncrpc.UniversalAddress(onlyOne.Addr())
	if got, want := registered(t), []string{"tcp " + at, "udp " + at}; !slices.Equal(got, want) {
		t.Errorf("registered: got %q, want %q", got, want)
	}
}

// hideSocket makes rpcbind look like one that has no local socket, until show
// is called.
func hideSocket(t *testing.T) (show func()) {
	t.Helper()
	const away = rpcbindSocket + ".away"
	if err := os.Rename(rpcbindSocket, away); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(away, rpcbindSocket); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInteropPortmapper: with no local socket there is still the portmapper's
// protocol, over loopback.
func TestInteropPortmapper(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	startRpcbind(t)
	show := hideSocket(t)
	out := newOutput()
	service, _ := runService(t, ServiceOptions{Out: out})
	mine := register(t, service)
	client, _ := runClient(t, ClientOptions{Target: "localhost"})
	client.Record(entry(1))
	out.want(t, line(1))
	successor, _ := runService(t, ServiceOptions{Out: out})
	theirs := register(t, successor)
	if err := errors.Join(mine.Remove(t.Context()), theirs.Remove(t.Context())); err != nil {
		t.Error(err)
	}
	show()
	if got := registered(t); len(got) != 0 {
		t.Errorf("removed: got %q, want none", got)
	}
}

// TestInteropNoRegistration: what Register says when there is no rpcbind, and
// when rpcbind does not want the service; and what a client hears of that.
func TestInteropNoRegistration(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	service, _ := runService(t, ServiceOptions{Out: newOutput()})
	if _, err := Register(t.Context(), service); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("without rpcbind: got %v, want kind %v", err, lonja.Unavailable)
	}
	startRpcbind(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		where := target{host: host}
		list, err := where.candidates(t.Context(), (&net.Dialer{}).DialContext)
		if err == nil || !strings.Contains(err.Error(), "knows no operation log") {
			t.Errorf("rpcbind at %s without a service: got %v, %v", host, list, err)
		}
	}
	register(t, service)
	// Over loopback rpcbind does not know who asks, and keeps root's entries.
	hideSocket(t)
	other, _ := runService(t, ServiceOptions{Out: newOutput()})
	if _, err := Register(t.Context(), other); !errors.Is(err, lonja.Refused) {
		t.Errorf("in place of root's: got %v, want kind %v", err, lonja.Refused)
	}
}
