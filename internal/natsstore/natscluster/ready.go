package natscluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience bounds the wait for a cluster.
const patience = 60 * time.Second

// every is how often a cluster is looked at that is waited for: nothing tells
// when it is ready.
const every = 50 * time.Millisecond

// WaitReady waits until all nodes that run know each other and one of them
// leads JetStream.
func (c *Cluster) WaitReady(ctx context.Context) error {
	return c.wait(ctx, func() error {
		for i, n := range c.nodes {
			if n.cmd == nil {
				continue
			}
			select {
			case <-n.ended:
				return fmt.Errorf("node %s has ended, see %s", n.name, c.Log(i))
			default:
			}
			if err := c.nodeReady(ctx, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// wait tries until it works, or patience ends.
func (c *Cluster) wait(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return fmt.Errorf("the cluster does not become ready: %w", err)
		}
	}
}

// nodeReady asks a node how it sees the cluster.
func (c *Cluster) nodeReady(ctx context.Context, n *node) error {
	conn, err := nats.Connect(n.client, c.systemOptions()...)
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answer, err := conn.RequestWithContext(ctx, "$SYS.REQ.SERVER."+conn.ConnectedServerId()+".JSZ", nil)
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	var state struct {
		Data struct {
			Meta struct {
				Leader string `json:"leader"`
				Size   int    `json:"cluster_size"`
			} `json:"meta_cluster"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer.Data, &state); err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	if len(c.nodes) == 1 {
		return nil // it has nobody to wait for
	}
	if meta := state.Data.Meta; meta.Leader == "" || meta.Size < len(c.nodes) {
		return fmt.Errorf("node %s sees %d nodes, led by %q", n.name, meta.Size, meta.Leader)
	}
	return nil
}

// Leader returns the index of the node that leads a stream, once one does.
func (c *Cluster) Leader(ctx context.Context, stream string) (leader int, err error) {
	err = c.wait(ctx, func() error {
		info, err := c.info(ctx, stream)
		if err != nil {
			return err
		}
		leader = slices.IndexFunc(c.nodes, func(n *node) bool { return info.Cluster != nil && n.name == info.Cluster.Leader })
		if leader < 0 || c.nodes[leader].cmd == nil {
			return fmt.Errorf("stream %s has no leader", stream)
		}
		return nil
	})
	return leader, err
}

// WaitCurrent waits until every replica of a stream has all of it.
func (c *Cluster) WaitCurrent(ctx context.Context, stream string) error {
	return c.wait(ctx, func() error {
		info, err := c.info(ctx, stream)
		if err != nil {
			return err
		}
		for _, r := range info.Cluster.Replicas {
			if !r.Current || r.Offline || r.Lag > 0 {
				return fmt.Errorf("stream %s lags on %s", stream, r.Name)
			}
		}
		return nil
	})
}

func (c *Cluster) info(ctx context.Context, stream string) (*jetstream.StreamInfo, error) {
	conn, err := nats.Connect(c.URLs(), append(c.clientOptions(), nats.Timeout(time.Second))...)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	return s.CachedInfo(), nil
}
