package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"
)

// The port of a node, and how many after it are tried if it is taken.
const (
	DefaultPort = 4445
	portTries   = 64
)

// listen takes the node's port: the one that it is told, or the first free one from
// DefaultPort on. Where all of these are taken, it is any.
func (n *Node) listen() (net.Listener, error) {
	host, port, err := net.SplitHostPort(n.opts.Listen)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", n.opts.Listen)
	if port != strconv.Itoa(DefaultPort) || !errors.Is(err, syscall.EADDRINUSE) {
		return ln, serveError(err)
	}
	for next := DefaultPort + 1; errors.Is(err, syscall.EADDRINUSE) && next < DefaultPort+portTries; next++ {
		ln, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(next)))
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		ln, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, serveError(err)
	}
	n.opts.Log.Warn("the usual port is taken, so files are served at another one",
		slog.Int("usual", DefaultPort), slog.Int("port", ln.Addr().(*net.TCPAddr).Port))
	return ln, nil
}

func serveError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot serve files: %w", err)
}
