// Package natscluster runs a cluster of real nats-server processes on this
// machine, with the configuration in packaging/nats: for tests and for
// measurements, which kill, stop and restart its nodes. The server comes from
// the module lab, built from source.
package natscluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// What the configuration is told of passwords.
const (
	password       = "test-directory"
	systemPassword = "test-system"
	routePassword  = "test-route"
)

// Options say what cluster to start.
type Options struct {
	// Server is the nats-server binary, from Build.
	Server string
	// Dir takes the nodes' data and logs. The caller removes it.
	Dir string
	// Nodes is how many there are; 0 is 3. One is a server without a cluster.
	Nodes int
	// Hosts are the addresses that nodes listen at, 127.0.0.1 if empty, and
	// Prefixes the words before each one's command, such as ip netns exec NAME.
	Hosts    []string
	Prefixes [][]string
	// Unsynced leaves out the syncs: such a cluster is to be refused.
	Unsynced bool
	// Unasked leaves out the export through which a client learns of the syncs.
	Unasked bool
	// TLS is how the nodes talk, to each other and to clients.
	TLS TLS
	// Credentials has users come with .creds files, not with passwords.
	Credentials bool
}

// A Cluster is a running cluster. Its methods are for one goroutine at a time,
// but for URL and URLs.
type Cluster struct {
	options Options
	config  string // the path of the configuration
	files   Files  // empty without TLS
	creds   credentials
	lockOut bool // nodes have another password for the directory
	nodes   []*node
}

// A node is one server, running or not.
type node struct {
	name           string
	client, routes string // host:port
	prefix         []string
	dir            string
	cmd            *exec.Cmd // nil while it does not run
	ended          chan struct{}
}

// Build builds nats-server into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "nats-server")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/nats-io/nats-server/v2")
	cmd.Dir = filepath.Join(root, "lab")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	return path, nil
}

// moduleRoot returns the directory of the module that we run in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "lonja").Output()
	if err != nil {
		return "", fmt.Errorf("find the module's directory: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Start starts a cluster and waits until it can be used. The caller stops it.
func Start(ctx context.Context, o Options) (_ *Cluster, err error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	c := &Cluster{options: o, config: filepath.Join(o.Dir, "lonja.conf")}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if o.Credentials {
		if c.creds, err = makeCredentials(o.Dir); err != nil {
			return nil, err
		}
	}
	if err := c.configure(ctx); err != nil {
		return nil, err
	}
	if o.TLS != NoTLS {
		if c.files, err = MakeFiles(o.Dir, append([]string{"127.0.0.1"}, o.Hosts...)...); err != nil {
			return nil, err
		}
	}
	for i := range o.Nodes {
		n, err := c.newNode(i)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
	}
	for i := range c.nodes {
		if err := c.Restart(i); err != nil {
			return nil, err
		}
	}
	return c, c.WaitReady(ctx)
}

// configure writes the configuration: the sample, less what is to be missing.
func (c *Cluster) configure(ctx context.Context) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	sample, err := os.ReadFile(filepath.Join(root, "packaging", "nats", "lonja.conf"))
	if err != nil {
		return err
	}
	text, err := c.options.TLS.configure(string(sample))
	if err != nil {
		return err
	}
	if c.options.Nodes == 1 {
		from, to := strings.Index(text, "\ncluster {"), strings.Index(text, "\naccounts {")
		if from < 0 || to < from {
			return errors.New("the sample configuration has no cluster {} before accounts {}")
		}
		text = text[:from] + text[to:]
	}
	for old, missing := range map[string]bool{
		"sync_interval: always": c.options.Unsynced,
		`imports: [ { service: { account: SYSTEM, subject: "$SYS.REQ.SERVER.PING.JSZ" } } ]`: c.options.Unasked,
	} {
		if strings.Count(text, old) != 1 {
			return fmt.Errorf("the sample configuration does not say %q once", old)
		}
		if missing {
			text = strings.Replace(text, old, "", 1)
		}
	}
	if c.options.Credentials {
		if text, err = c.creds.replaceAccounts(text); err != nil {
			return err
		}
	}
	return os.WriteFile(c.config, []byte(text), 0o600)
}

// SetLockedOut has nodes that are restarted from now on know another password
// for the directory, or the right one again.
func (c *Cluster) SetLockedOut(locked bool) { c.lockOut = locked }

// SetUnsynced has nodes that are restarted from now on leave out the syncs.
func (c *Cluster) SetUnsynced(ctx context.Context) error {
	c.options.Unsynced = true
	return c.configure(ctx)
}

func (c *Cluster) newNode(i int) (*node, error) {
	host, n := "127.0.0.1", &node{name: fmt.Sprintf("n%d", i+1)}
	if i < len(c.options.Hosts) {
		host = c.options.Hosts[i]
	}
	if i < len(c.options.Prefixes) {
		n.prefix = c.options.Prefixes[i]
	}
	n.dir = filepath.Join(c.options.Dir, n.name)
	var err error
	if n.client, err = c.freeAddr(host); err == nil {
		n.routes, err = c.freeAddr(host)
	}
	return n, errors.Join(err, os.MkdirAll(n.dir, 0o700))
}

// freeAddr returns an address that nobody listens at, below the ports that the
// kernel gives to connections, which would take it while a node is down.
func (c *Cluster) freeAddr(host string) (string, error) {
	for range 100 {
		addr := net.JoinHostPort(host, fmt.Sprint(10_000+rand.N(20_000)))
		if len(c.options.Prefixes) > 0 {
			return addr, nil // not an address of this network namespace
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("no free port at %s", host)
}

// Restart starts a node that does not run, on its data.
func (c *Cluster) Restart(i int) error {
	n := c.nodes[i]
	if n.cmd != nil {
		return fmt.Errorf("node %s runs already", n.name)
	}
	log, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	words := append(append([]string{}, n.prefix...), c.options.Server, "--config", c.config)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), c.environment(n)...)
	// Nothing is left of it if we are killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.cmd, n.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // killed: that is an error every time
		close(ended)
	}(n.ended)
	return nil
}

func (c *Cluster) environment(n *node) []string {
	routes := make([]string, len(c.nodes))
	for i, other := range c.nodes {
		routes[i] = "nats://route:" + routePassword + "@" + other.routes
	}
	known := password
	if c.lockOut {
		known += "-changed"
	}
	return []string{
		"LONJA_NATS_NAME=" + n.name,
		"LONJA_NATS_LISTEN=" + n.client,
		"LONJA_NATS_CLUSTER=" + n.routes,
		"LONJA_NATS_ROUTES=[" + strings.Join(routes, ", ") + "]",
		"LONJA_NATS_DATA=" + filepath.Join(n.dir, "data"),
		"LONJA_NATS_STORE=20GB",
		"LONJA_NATS_PASSWORD=" + known,
		"LONJA_NATS_ROUTE_PASSWORD=" + routePassword,
		"LONJA_NATS_SYSTEM_PASSWORD=" + systemPassword,
		"LONJA_NATS_CERT=" + c.files.cert,
		"LONJA_NATS_KEY=" + c.files.key,
		"LONJA_NATS_CA=" + c.files.CA,
	}
}

// Kill ends a node at once, as kill -9 does.
func (c *Cluster) Kill(i int) { c.end(i, syscall.SIGKILL) }

// Shutdown ends a node as an operator does: it goes over to others first.
func (c *Cluster) Shutdown(i int) { c.end(i, syscall.SIGTERM) }

func (c *Cluster) end(i int, signal syscall.Signal) {
	n := c.nodes[i]
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Signal(signal)
	_ = n.cmd.Process.Signal(syscall.SIGCONT) // it may be paused
	<-n.ended
	n.cmd = nil
}

// Pause freezes a node: its connections stay, and it answers nothing.
func (c *Cluster) Pause(i int) { _ = c.nodes[i].cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused node go on.
func (c *Cluster) Resume(i int) { _ = c.nodes[i].cmd.Process.Signal(syscall.SIGCONT) }

// Stop kills all nodes.
func (c *Cluster) Stop() {
	var stopping sync.WaitGroup
	for i := range c.nodes {
		stopping.Go(func() { c.Kill(i) })
	}
	stopping.Wait()
}

// Data returns the directory of a node's data, and Log the file of its log.
func (c *Cluster) Data(i int) string { return filepath.Join(c.nodes[i].dir, "data") }

// Log returns the path of a node's log.
func (c *Cluster) Log(i int) string { return filepath.Join(c.nodes[i].dir, "log") }

// Files returns what a client of a cluster with TLS needs.
func (c *Cluster) Files() Files { return c.files }

// Credentials returns the path of the directory's .creds file, and of one that
// has expired, on a cluster that wants them.
func (c *Cluster) Credentials() (user, expired string) { return c.creds.user, c.creds.expired }

// URL returns where the directory connects to one node.
func (c *Cluster) URL(i int) string {
	if c.options.Credentials {
		return c.options.TLS.scheme() + c.nodes[i].client
	}
	return c.options.TLS.scheme() + "lonja:" + password + "@" + c.nodes[i].client
}

// URLs returns where the directory connects, all nodes, with commas.
func (c *Cluster) URLs() string {
	urls := make([]string, len(c.nodes))
	for i := range c.nodes {
		urls[i] = c.URL(i)
	}
	return strings.Join(urls, ",")
}
