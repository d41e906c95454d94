package natsstore

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"lonja/internal/natsstore/natscluster"
)

// tests is what all tests of the package share: the server's binary, and a
// cluster that nobody harms.
var tests struct {
	server string
	shared *natscluster.Cluster
	mu     sync.Mutex
	names  int
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "natsstore")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	if tests.server, err = natscluster.Build(ctx, dir); err != nil {
		panic(err)
	}
	if tests.shared, err = natscluster.Start(ctx, natscluster.Options{Server: tests.server, Dir: dir}); err != nil {
		panic(err)
	}
	defer tests.shared.Stop()
	return m.Run()
}

// newName returns a name that no other test has.
func newName() string {
	tests.mu.Lock()
	defer tests.mu.Unlock()
	tests.names++
	return fmt.Sprintf("test-%d", tests.names)
}

// newCluster starts a cluster that a test may harm.
func newCluster(t *testing.T, o natscluster.Options) *natscluster.Cluster {
	t.Helper()
	o.Server, o.Dir = tests.server, t.TempDir()
	c, err := natscluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// mustOpen opens a store on c, or on the shared cluster if c is nil.
func mustOpen(t *testing.T, c *natscluster.Cluster, o Options) *Store {
	t.Helper()
	if c == nil {
		c = tests.shared
	}
	if o.Servers == "" {
		o.Servers = c.URLs()
	}
	if o.Name == "" {
		o.Name = strings.ReplaceAll(newName(), " ", "-")
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
