//go:build interop && linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lonja/internal/dirclient"
	"lonja/internal/natsstore/natscluster"
)

// machines is how many there are.
const machines = 3

// siteStream is the name of the directory, and so of its stream.
const siteStream = "site"

// A clusterSite is three machines in a room, with a nats-server and a directory node
// on each.
type clusterSite struct {
	*testing.T
	nats  *natscluster.Cluster
	nodes [machines]*seat
}

// A seat is a directory node and its place, whether it runs or not.
type seat struct {
	number int
	data   string
	socket string // of its operators
	dir    *dirclient.Client
	health *http.Client
	*process

	writes, reads meter // of clients

	mu   sync.Mutex
	here context.Context // ends when the node goes away
	gone context.CancelFunc
}

var errAway = errors.New("the node is away")

func (n *seat) String() string { return machineName(n.number) }

// enter counts the node in: it is there, and expected to answer.
func (n *seat) enter() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.here, n.gone = context.WithCancel(context.Background())
	n.writes.setAway(false)
	n.reads.setAway(false)
}

// leave counts the node out: it is about to go.
func (n *seat) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone()
	n.writes.setAway(true)
	n.reads.setAway(true)
}

// stay returns the directory of the node's latest stay, which may be over.
func (n *seat) stay() stay {
	n.mu.Lock()
	defer n.mu.Unlock()
	return stay{n.dir, n.here, &n.writes}
}

func (n *seat) there() bool { return n.stay().ctx.Err() == nil }

// newSite starts everything, on a network that is made for it.
func newSite(t *testing.T) *clusterSite {
	layCables(t, machines)
	options := natscluster.Options{Dir: t.TempDir()}
	for i := range machines {
		options.Hosts = append(options.Hosts, machineAddr(i))
		options.Prefixes = append(options.Prefixes, inMachine(i))
	}
	var err error
	if options.Server, err = natscluster.Build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	s := &clusterSite{T: t}
	if s.nats, err = natscluster.Start(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nats.Stop)
	for i := range s.nodes {
		s.nodes[i] = newSeat(t, i)
		s.launch(i)
	}
	for i := range s.nodes {
		s.waitReady(i)
	}
	return s
}

func newSeat(t *testing.T, i int) *seat {
	socket := filepath.Join(socketDir(t), "s")
	admin, err := newAdminClient(unixScheme + socket)
	if err != nil {
		t.Fatal(err)
	}
	return &seat{
		number: i, data: filepath.Join(t.TempDir(), "data"), socket: socket, health: admin.http,
		dir: dirclient.New(dirclient.Options{Address: machineAddr(i) + ":4444"}),
	}
}

// launch starts the directory node of machine i.
func (s *clusterSite) launch(i int) {
	s.Helper()
	n := s.nodes[i]
	n.process = start(s.T, func(c *exec.Cmd) { prefix(c, inMachine(i)) },
		"server", "--host", machineAddr(i), "-p", "4444", "--store", s.nats.URLs(), "--store-name", siteStream,
		"--data", n.data, "--admin", unixScheme+n.socket, "--probe-period", "0", // nobody listens where the workers say
		"--limit-connections-per-address", "0", "--limit-operations-per-address", "0", "--limit-operations-per-user", "0")
}

// prefix has a command run by another, which has a program and its flags.
func prefix(c *exec.Cmd, words []string) {
	path, err := exec.LookPath(words[0])
	if err != nil {
		c.Err = err
	}
	c.Args = append(words[:len(words):len(words)], c.Args...)
	c.Path = path
}

// waitReady waits until the node of machine i says that it can do everything,
// and counts it in again.
func (s *clusterSite) waitReady(i int) {
	s.Helper()
	s.waitHealth(i, http.StatusOK)
	s.nodes[i].enter()
}

// waitHealth waits until the node of machine i answers so when it is asked
// whether it can do everything. That takes no network.
func (s *clusterSite) waitHealth(i, status int) {
	s.Helper()
	n := s.nodes[i]
	s.until(fmt.Sprintf("%s answers %d at /readyz", n, status), func() bool {
		select {
		case <-n.exited:
			s.Fatalf("%s has ended:\n%s", n, n.stderr.String())
		default:
		}
		response, err := n.health.Get("http://localhost/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == status
	})
}

// stopNode ends the directory node of machine i by a signal.
func (s *clusterSite) stopNode(i int, signal syscall.Signal) {
	s.Helper()
	s.nodes[i].leave()
	s.nodes[i].end(signal)
}

// startNode starts it again.
func (s *clusterSite) startNode(i int) {
	s.Helper()
	s.launch(i)
	s.waitReady(i)
}

// leader returns the machine whose nats-server leads the stream.
func (s *clusterSite) leader() int {
	s.Helper()
	i, err := s.nats.Leader(s.Context(), siteStream)
	if err != nil {
		s.Fatal(err)
	}
	return i
}

// restartNats starts the nats-server of machine i again and waits until the
// cluster is whole.
func (s *clusterSite) restartNats(i int) {
	s.Helper()
	if err := s.nats.Restart(i); err != nil {
		s.Fatal(err)
	}
	s.natsWhole()
}

func (s *clusterSite) natsWhole() {
	s.Helper()
	if err := s.nats.WaitReady(s.Context()); err != nil {
		s.Fatal(err)
	}
	if err := s.nats.WaitCurrent(s.Context(), siteStream); err != nil {
		s.Fatal(err)
	}
}

// admin runs lonja admin on the node of machine i and returns its output.
func (s *clusterSite) admin(i int, args ...string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"admin", "--admin", unixScheme + s.nodes[i].socket}, args...)...)
	var complaints strings.Builder
	cmd.Env, cmd.Stderr = apart(s.TempDir()), &complaints
	out, err := cmd.Output()
	if err != nil {
		s.Errorf("%s: lonja admin %v: %v\n%s%s", s.nodes[i], args, err, out, complaints.String())
	}
	return string(out)
}

// until waits until something holds that gives no signal.
func (s *clusterSite) until(what string, holds func() bool) {
	s.Helper()
	late := time.After(2 * patience)
	for tick := time.NewTicker(5 * time.Millisecond); !holds(); {
		select {
		case <-tick.C:
		case <-late:
			s.Fatalf("it does not come to this: %s", what)
		}
	}
}
