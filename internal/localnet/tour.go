package localnet

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lonja"
	"lonja/internal/node"
)

// The sample file: the poem that the original system was tested with.
//
//go:embed ozymandias.txt
var poem []byte

const poemName = "ozymandias.txt"

// A Tour is a first look at a Network: two users publish a file, a third one
// fetches it, first from one of them, then from whoever has it.
type Tour struct {
	net   *Network
	dir   string
	step  func(actor, text string)
	nodes map[lonja.UserName]*node.Node
}

// NewTour returns a Tour whose files lie below dir, which must exist. step is
// told each thing that has happened. Close ends it, before the Network.
func NewTour(net *Network, dir string, step func(actor, text string)) *Tour {
	return &Tour{net, dir, step, map[lonja.UserName]*node.Node{}}
}

// The users of the tour.
const (
	firstPeer  = lonja.UserName("ana")
	secondPeer = lonja.UserName("luis")
	thirdPeer  = lonja.UserName("eva")
)

func (t *Tour) users() []lonja.UserName {
	return []lonja.UserName{firstPeer, secondPeer, thirdPeer}
}

// Run takes the tour. Its users stay connected, and serve their files, until
// Close.
func (t *Tour) Run(ctx context.Context) error {
	for _, user := range t.users() {
		if err := t.join(ctx, user); err != nil {
			return err
		}
	}
	for _, user := range []lonja.UserName{firstPeer, secondPeer} {
		if err := t.publish(ctx, user); err != nil {
			return err
		}
	}
	return t.fetchBothWays(ctx)
}

func (t *Tour) join(ctx context.Context, user lonja.UserName) error {
	n, err := t.net.NewNode(string(user))
	if err != nil {
		return err
	}
	t.nodes[user] = n
	if err := os.MkdirAll(filepath.Join(t.dir, string(user)), 0o755); err != nil {
		return err
	}
	if err := n.Register(ctx, user); err != nil {
		return err
	}
	if err := n.Connect(ctx, user); err != nil {
		return err
	}
	t.step(string(user), "registers, connects, and listens for other peers")
	return nil
}

func (t *Tour) publish(ctx context.Context, user lonja.UserName) error {
	path := t.path(user, poemName)
	if err := os.WriteFile(path, poem, 0o644); err != nil {
		return err
	}
	if err := t.nodes[user].Publish(ctx, path, "a poem by P. B. Shelley"); err != nil {
		return err
	}
	t.step(string(user), "publishes "+path)
	return nil
}

func (t *Tour) fetchBothWays(ctx context.Context) error {
	n := t.nodes[thirdPeer]
	one, all := t.path(thirdPeer, "from-ana.txt"), t.path(thirdPeer, "from-everyone.txt")
	if err := n.FetchFile(ctx, firstPeer, poemName, one, nil); err != nil {
		return err
	}
	if err := t.arrived("GET_FILE from ana", one); err != nil {
		return err
	}
	if err := n.FetchMulti(ctx, poemName, all, nil); err != nil {
		return err
	}
	return t.arrived("GET_MULTIFILE from ana and luis, who have the same content", all)
}

// arrived checks that a fetched file is the one that was published.
func (t *Tour) arrived(how, path string) error {
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, poem) {
		return lonja.E(lonja.Malformed, how, errors.New("what arrived is not what was published"))
	}
	t.step(string(thirdPeer), fmt.Sprintf("%s: %d bytes, identical, in %s", how, len(got), path))
	return nil
}

func (t *Tour) path(user lonja.UserName, name string) string {
	return filepath.Join(t.dir, string(user), name)
}

// Close disconnects the users.
func (t *Tour) Close() {
	for _, user := range t.users() {
		if n := t.nodes[user]; n != nil {
			n.Close()
		}
	}
}
