//go:build interop && linux

package main

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirclient"
	"lonja/internal/natsstore/natscluster"
)

func startCluster(t *testing.T, o natscluster.Options) *natscluster.Cluster {
	t.Helper()
	var err error
	if o.Server, err = natscluster.Build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	o.Dir = t.TempDir()
	cluster, err := natscluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Stop)
	return cluster
}

// launchServed starts a directory that may not be able to serve yet, with args
// beside those that say where it listens.
func launchServed(t *testing.T, args ...string) *served {
	t.Helper()
	path := filepath.Join(socketDir(t), "s")
	p := start(t, nil, append([]string{
		"server", "--host", "127.0.0.1", "-p", "0", "--data", filepath.Join(t.TempDir(), "data"), "--admin", unixScheme + path,
	}, args...)...)
	admin, err := newAdminClient(unixScheme + path)
	if err != nil {
		t.Fatal(err)
	}
	p.waitStderr("operators are served")
	return &served{process: p, path: path, http: *admin.http}
}

// serves waits until the directory serves users.
func (s *served) serves() {
	s.t.Helper()
	line := s.firstLine()
	s.dir = dirclient.New(dirclient.Options{Address: "127.0.0.1" + line[strings.LastIndexByte(line, ':'):]})
}

// comesTo waits until /readyz has a status and says something.
func (s *served) comesTo(status int, says string) {
	s.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got, body := s.get("/readyz")
		if got == status && strings.Contains(body, says) {
			return
		}
		if time.Now().After(late) {
			s.t.Fatalf("/readyz: got %d and %s; want %d and %q", got, body, status, says)
		}
	}
}

// TestStoreAway: a directory waits for a cluster that is away when it starts,
// and outlives one that goes away: reads go on, writes are refused, it says
// why, and all is well once the cluster is back. Meanwhile it can be stopped.
func TestStoreAway(t *testing.T) {
	const nobody = "none of its servers can be reached"
	cluster := startCluster(t, natscluster.Options{})
	killAll := func() {
		for i := range machines {
			cluster.Kill(i)
		}
	}
	restart := func(nodes ...int) {
		for _, i := range nodes {
			if err := cluster.Restart(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	killAll()
	s, stopped := launchServed(t, "--store", cluster.URLs()), launchServed(t, "--store", cluster.URLs())
	for _, waiting := range []*served{s, stopped} {
		waiting.waitStderr("waiting for the cluster")
		waiting.comesTo(http.StatusServiceUnavailable, "waiting for the cluster: "+nobody)
	}
	stopped.stop()
	restart(2)
	for { // whatever it waits for then: one server is not enough
		if status, body := s.get("/readyz"); status != http.StatusServiceUnavailable {
			t.Fatalf("one server of three: /readyz has status %d and %s", status, body)
		} else if !strings.Contains(body, nobody) {
			break
		}
	}
	restart(0, 1)
	s.serves()
	s.comesTo(http.StatusOK, `"ready":true`)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(s.dir.Register(ctx, "ana"))
	must(s.dir.Connect(ctx, "ana", somewhere))

	killAll()
	written := make(chan error)
	go func() { written <- s.dir.Register(ctx, "ben") }()
	s.comesTo(http.StatusServiceUnavailable, nobody)
	for refused := false; !refused; {
		peers, err := s.dir.ListUsers(ctx, "ana")
		if peers.Len() != 1 || err != nil {
			t.Fatalf("LIST_USERS: got %v, %v; want ana", peers, err)
		}
		select {
		case err := <-written:
			refused = true
			if !errors.Is(err, lonja.Refused) {
				t.Errorf("REGISTER: got error %v, want kind %v", err, lonja.Refused)
			}
		default:
		}
	}

	restart(1, 0, 2)
	s.comesTo(http.StatusOK, `"ready":true`)
	if err := s.dir.Register(ctx, "ben"); err != nil && !errors.Is(err, lonja.NameInUse) { // it was not known what came of it
		t.Fatal(err)
	}
	must(s.dir.Register(ctx, "eva"))
	killAll()
	s.stop()
}

// TestStoreOverTLS: the flags that say who a cluster is, and who we are, reach
// the connection to it; what is wrong with them ends the program at once.
func TestStoreOverTLS(t *testing.T) {
	cluster := startCluster(t, natscluster.Options{TLS: natscluster.MutualTLS, Credentials: true})
	files := cluster.Files()
	user, expired := cluster.Credentials()
	with := func(args []string, more ...string) []string { return append(args[:len(args):len(args)], more...) }
	bare := []string{"--store", cluster.URLs()}
	trust := with(bare, "--store-ca", files.CA)
	known := with(trust, "--store-cert", files.Cert, "--store-key", files.Key)
	s := launchServed(t, with(known, "--store-credentials", user)...)
	s.serves()
	if err := s.dir.Register(t.Context(), "ana"); err != nil {
		t.Error(err)
	}
	for says, args := range map[string][]string{
		"its certificate cannot be trusted":     bare,
		"does not take this node's certificate": trust,
		"does not let this node in":             with(known, "--store-credentials", expired),
		"no such file or directory":             with(known, "--store-credentials", expired+".none"),
	} {
		t.Run(says, func(t *testing.T) {
			args := append([]string{"server", "--host", "127.0.0.1", "-p", "0", "--data", t.TempDir()}, args...)
			status, _, stderr := runToEnd(t, args...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			if last := lines[len(lines)-1]; status != exitUsage || !strings.Contains(last, says) {
				t.Errorf("got status %d and %q, want %d and %q", status, last, exitUsage, says)
			}
		})
	}
}
