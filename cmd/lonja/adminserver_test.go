package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"lonja/internal/dirclient"
	"lonja/internal/memstore"
	"lonja/internal/store"
)

// A served is a directory that runs, and where operators find it.
type served struct {
	*process
	dir  *dirclient.Client
	path string // of the socket
	http http.Client
}

// startServed starts a directory on data whose operators find it on a socket.
func startServed(t *testing.T, data string, args ...string) *served {
	t.Helper()
	path := filepath.Join(socketDir(t), "s")
	p := start(t, nil, append([]string{"server", "--host", "127.0.0.1", "-p", "0", "--data", data, "--admin", "unix:" + path}, args...)...)
	line := p.firstLine()
	s := &served{process: p, path: path}
	s.dir = dirclient.New(dirclient.Options{Address: "127.0.0.1" + line[strings.LastIndexByte(line, ':'):]})
	s.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(s.http.CloseIdleConnections)
	return s
}

// socketDir returns a directory whose path is short enough for sockets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lonja-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// get returns the status and the body of a path of the operators' side.
func (s *served) get(path string) (int, string) {
	s.t.Helper()
	return get(s.t, &s.http, "http://localhost"+path)
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestHealthAndMetrics: of the real program, after a little use.
func TestHealthAndMetrics(t *testing.T) {
	s := startServed(t, filepath.Join(t.TempDir(), "data"))
	if err := s.dir.Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	if err := s.dir.Register(t.Context(), "ana"); err == nil {
		t.Fatal("registered twice")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := s.get(path); status != 200 || !strings.Contains(body, `"ready":true`) {
			t.Errorf("%s: got status %d and %s", path, status, body)
		}
	}
	_, metrics := s.get("/metrics")
	for _, line := range []string{
		`lonja_operations_total{operation="REGISTER",status="ok"} 1`,
		`lonja_operations_total{operation="REGISTER",status="name_in_use"} 1`,
		`lonja_store_changes_total 1`, `lonja_store_healthy 1`, `lonja_ready 1`, `lonja_accounts 1`,
		`lonja_presence_nodes 1`, `lonja_presence_leases_held 0`, `lonja_presence_behind 0`, `lonja_probes_total{outcome="silent"} 0`,
		`lonja_index_lag_revisions 0`, `lonja_operation_log_queue 0`, `lonja_refused_total{limit="user_operations"} 0`,
	} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("no line %q in the metrics", line)
		}
	}
	for _, name := range dashboardMetrics(t) {
		if !strings.Contains(metrics, "\n"+name+" ") && !strings.Contains(metrics, "\n"+name+"{") {
			t.Errorf("the dashboard shows %s, which the server does not export", name)
		}
	}
	if status, _ := s.get("/admin/v1/stats"); status != 403 {
		t.Errorf("an operation without the header: got status %d", status)
	}
}

// dashboardMetrics returns the metrics of ours that the dashboard names.
func dashboardMetrics(t *testing.T) []string {
	t.Helper()
	names := regexp.MustCompile(`\blonja_[a-z_]+\b`).FindAllString(readFile(t, "../../packaging/grafana/lonja.json"), -1)
	slices.Sort(names)
	if names = slices.Compact(names); len(names) < 10 {
		t.Fatalf("the dashboard names only %q", names)
	}
	return names
}

// TestSocketIsPrivate: nobody else may open it, and it goes with the server.
func TestSocketIsPrivate(t *testing.T) {
	s := startServed(t, inMemory)
	info, err := os.Lstat(s.path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("got %v and %v", info, err)
	}
	if status := s.end(syscall.SIGTERM); status != 0 {
		t.Errorf("got status %d", status)
	}
	left, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v and %v", left, err)
	}
}

// TestSocketOfTheDead: a socket is taken over from a server that was killed,
// not from one that lives, and nothing else is ever replaced.
func TestSocketOfTheDead(t *testing.T) {
	s := startServed(t, inMemory)
	again := []string{"server", "--host", "127.0.0.1", "-p", "0", "--admin", "unix:" + s.path}
	if status, _, stderr := runToEnd(t, again...); status != 1 || !strings.Contains(stderr, "is in use") {
		t.Errorf("beside a living one: got status %d and %q", status, stderr)
	}
	if status, _ := s.get("/healthz"); status != 200 {
		t.Errorf("the living one answers with status %d", status)
	}
	s.end(syscall.SIGKILL)
	heir := start(t, nil, again...)
	heir.firstLine()
	s.http.CloseIdleConnections()
	if status, _ := s.get("/healthz"); status != 200 {
		t.Errorf("the heir answers with status %d", status)
	}
	heir.stop()

	if err := os.WriteFile(s.path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := runToEnd(t, again...); status != 1 || !strings.Contains(stderr, "is no socket") {
		t.Errorf("in place of a file: got status %d and %q", status, stderr)
	}
	if kept, err := os.ReadFile(s.path); string(kept) != "precious" {
		t.Errorf("the file is %q now, %v", kept, err)
	}
}

// TestAdminAddressTaken: fatal for an address that somebody asked for, a
// warning for the usual one.
func TestAdminAddressTaken(t *testing.T) {
	ln := listenUsual(t)
	defer ln.Close()
	status, _, stderr := runToEnd(t, "server", "--host", "127.0.0.1", "-p", "0", "--admin", adminDefault)
	if status != 1 || !strings.Contains(stderr, adminDefault+" is in use") {
		t.Errorf("asked for: got status %d and %q", status, stderr)
	}
	p := start(t, withoutAdminVariable, "server", "--host", "127.0.0.1", "-p", "0")
	p.firstLine()
	p.waitStderr("operators are not served")
	p.stop()
}

// listenUsual takes the usual address, once nobody else has it: these tests
// may run several times at once.
func listenUsual(t *testing.T) net.Listener {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		ln, err := net.Listen("tcp", adminDefault)
		if err == nil {
			return ln
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestReadyWhileBuilding: operators are told how far the index is, before
// there is a directory.
func TestReadyWhileBuilding(t *testing.T) {
	cmd := &cobra.Command{}
	var address string
	addServerAdminFlag(cmd.Flags(), &address)
	path := filepath.Join(socketDir(t), "s")
	if err := cmd.ParseFlags([]string{"--admin", "unix:" + path}); err != nil {
		t.Fatal(err)
	}
	door, err := openDoor(cmd, address, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer door.close()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	kept := memstore.New()
	defer kept.Close()
	for i := range 3 {
		change := store.Change{Key: store.Key(fmt.Sprintf("k%d", i)), Value: []byte{1}}
		if _, err := kept.Apply(t.Context(), []store.Change{change}); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := get(t, client, "http://localhost/readyz"); status != 503 || !strings.Contains(body, "starting") {
		t.Errorf("at first: got status %d and %s", status, body)
	}
	watched := door.watchStore(kept)
	events := 0
	errComplete := errors.New("complete")
	err = watched.Feed(t.Context(), func(e store.Event) error {
		if e.Key == "" {
			return errComplete
		}
		events++
		want := fmt.Sprintf("building the index: %d records", events)
		if status, body := get(t, client, "http://localhost/readyz"); status != 503 || !strings.Contains(body, want) {
			t.Errorf("got status %d and %s, want %q", status, body, want)
		}
		return nil
	})
	if !errors.Is(err, errComplete) || events != 3 {
		t.Errorf("got %v after %d events", err, events)
	}
}
