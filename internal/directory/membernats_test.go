//go:build interop && linux

package directory

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lonja/internal/dirtest"
	"lonja/internal/natsstore"
	"lonja/internal/natsstore/natscluster"
)

// TestSessionContractOnCluster: whose session it is, all nodes of a directory on a real
// cluster agree, each operation being another one's.
func TestSessionContractOnCluster(t *testing.T) {
	server, err := natscluster.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := natscluster.Start(t.Context(), natscluster.Options{Server: server, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Stop)
	var directories atomic.Int64
	dirtest.RunSessions(t, func(t *testing.T, opts dirtest.MemberOptions) dirtest.MemberDirectory {
		nodes := openOnCluster(t, cluster, fmt.Sprint("sessions-", directories.Add(1)), memberOptions(opts))
		return asMembers(t, anyNode{t, nodes, new(atomic.Int64)}, nodes[0])
	})
}

// openOnCluster opens three nodes of one directory, each with a connection of its own
// to the cluster.
func openOnCluster(t *testing.T, cluster *natscluster.Cluster, name string, opts Options) []*Directory {
	t.Helper()
	nodes := make([]*Directory, 3)
	var opening sync.WaitGroup
	for i := range nodes {
		dir := t.TempDir()
		opening.Go(func() {
			s, err := natsstore.Open(t.Context(), natsstore.Options{Servers: cluster.URLs(), Name: name, Dir: dir})
			if err != nil {
				t.Errorf("open the store of node %d: %v", i, err)
				return
			}
			t.Cleanup(func() { _ = s.Close() })
			o := opts
			o.Store, o.Shared, o.testOnlyBeat = s, true, 20*time.Millisecond
			d, err := Open(t.Context(), o)
			if err != nil {
				t.Errorf("open node %d: %v", i, err)
				return
			}
			nodes[i] = d
			t.Cleanup(func() { _ = d.Close() })
		})
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return nodes
}
