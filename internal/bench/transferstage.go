package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/localnet"
	"lonja/internal/node"
)

// A transferStage is what the transfers happen on: a directory, the files and
// those who have published them, who connect for each measurement.
type transferStage struct {
	opts    *TransferOptions
	dir     string
	network *localnet.Network
	bare    net.Listener
	config  *tls.Config // of whoever fetches from bare
	serving errgroup.Group
}

func newTransferStage(ctx context.Context, o *TransferOptions, dir string) (_ *transferStage, err error) {
	s := &transferStage{opts: o, dir: dir}
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, err
	}
	if s.network, err = localnet.Start(localnet.Options{Dir: state}); err != nil {
		return nil, err
	}
	err = s.listenBare()
	for _, shape := range o.Shapes {
		if err == nil {
			err = s.write(shape)
		}
	}
	for i := range o.Holders {
		if err == nil {
			err = s.publish(ctx, holderName(i))
		}
	}
	for i := range o.Downloaders {
		if err == nil {
			err = s.register(ctx, downloaderName(i))
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// holderName and downloaderName name users.
func holderName(i int) lonja.UserName     { return lonja.UserName(fmt.Sprintf("holder%d", i)) }
func downloaderName(i int) lonja.UserName { return lonja.UserName(fmt.Sprintf("downloader%d", i)) }

// shapeFile is what the file of a shape is called.
func shapeFile(s TransferShape) string {
	if s == BareTransfer || s == SeveralHolders {
		s = OneHolder // the same
	}
	return s.String() + ".bin"
}

func (s *transferStage) source(shape TransferShape) string {
	return filepath.Join(s.dir, shapeFile(shape))
}

// write makes the file of a shape, unless it is there, of bytes that look random.
func (s *transferStage) write(shape TransferShape) error {
	f, err := os.OpenFile(s.source(shape), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	source := rand.NewChaCha8([32]byte{byte(s.opts.Seed), byte(s.opts.Seed >> 8), byte(shape)})
	_, err = io.CopyN(f, source, s.opts.size(shape))
	return errors.Join(err, f.Close())
}

// register makes an account.
func (s *transferStage) register(ctx context.Context, user lonja.UserName) error {
	n, err := s.network.NewNode(string(user))
	if err != nil {
		return err
	}
	defer n.Close()
	return n.Register(ctx, user)
}

// publish makes an account that has published all files.
func (s *transferStage) publish(ctx context.Context, user lonja.UserName) error {
	if err := s.register(ctx, user); err != nil {
		return err
	}
	n, err := s.connect(ctx, user)
	if err != nil {
		return err
	}
	defer n.Close()
	published := make(map[string]bool)
	for _, shape := range s.opts.Shapes {
		if path := s.source(shape); !published[path] {
			if err := n.Publish(ctx, path, "to be measured"); err != nil {
				return err
			}
			published[path] = true
		}
	}
	return nil
}

func (s *transferStage) connect(ctx context.Context, user lonja.UserName, change ...func(*node.Options)) (*node.Node, error) {
	n, err := s.network.NewNode(string(user), change...)
	if err == nil {
		if err = n.Connect(ctx, user); err == nil {
			return n, nil
		}
		n.Close()
	}
	return nil, err
}

// A transferRun brings the file over, and adds to r what is only known then.
type transferRun func(ctx context.Context, r *TransferResult) error

// prepare has those connect who take part, and returns what they do, and what
// ends them and removes what has come.
func (s *transferStage) prepare(ctx context.Context, shape TransferShape) (run transferRun, end func(), err error) {
	var nodes []*node.Node
	targets := filepath.Join(s.dir, "targets")
	end = func() {
		for _, n := range nodes {
			n.Close()
		}
		_ = os.RemoveAll(targets) // the caller removes all of dir
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	if err := os.Mkdir(targets, 0o700); err != nil {
		return nil, nil, err
	}
	connect := func(user lonja.UserName, change ...func(*node.Options)) *node.Node {
		if err != nil {
			return nil
		}
		var n *node.Node
		if n, err = s.connect(ctx, user, change...); err == nil {
			nodes = append(nodes, n)
		}
		return n
	}
	if shape == BareTransfer {
		return func(ctx context.Context, _ *TransferResult) error {
			return s.fetchBare(ctx, filepath.Join(targets, "bare"))
		}, end, nil
	}
	for i := range s.opts.holders(shape) {
		connect(holderName(i), s.opts.throttle(shape, i)...)
	}
	holders := len(nodes)
	for i := range s.opts.downloaders(shape) {
		connect(downloaderName(i), s.opts.throttle(shape, i)...)
	}
	if err != nil {
		return nil, nil, err
	}
	return s.fetching(shape, nodes[holders:], targets), end, nil
}

func (o *TransferOptions) holders(s TransferShape) int {
	if s == OneHolder || s == FlashCrowd {
		return 1
	}
	return o.Holders
}

func (o *TransferOptions) downloaders(s TransferShape) int {
	if s == FlashCrowd {
		return o.Downloaders
	}
	return 1
}

// throttle is what becomes of the ith node of its kind.
func (o *TransferOptions) throttle(s TransferShape, i int) []func(*node.Options) {
	rate := fairshare.Rate(o.Rate)
	switch {
	case o.ideal(s) == 0:
		return nil
	case s == Uneven && i == 0:
		rate /= slowShare
	}
	return []func(*node.Options){func(o *node.Options) { o.Secure.Rates = node.Rates{Up: rate, Near: true} }}
}

// crowdLook is how often it is looked how far a crowd has come.
const crowdLook = 100 * time.Millisecond

// fetching has all nodes fetch at once.
func (s *transferStage) fetching(shape TransferShape, nodes []*node.Node, targets string) transferRun {
	return func(ctx context.Context, r *TransferResult) error {
		began := time.Now()
		received := make([]atomic.Int64, len(nodes))
		group, ctx := errgroup.WithContext(ctx)
		var mu sync.Mutex // guards r.Done
		for i, n := range nodes {
			group.Go(func() error {
				target := filepath.Join(targets, fmt.Sprint(i))
				err := n.FetchMulti(ctx, lonja.FileName(shapeFile(shape)), target, received[i].Store)
				mu.Lock()
				defer mu.Unlock()
				r.Done = append(r.Done, Seconds(time.Since(began)))
				return err
			})
		}
		if shape == FlashCrowd {
			defer s.watchCrowd(ctx, received, began, r)()
		}
		return group.Wait()
	}
}

// watchCrowd writes down how far a crowd comes, until the returned function is
// called.
func (s *transferStage) watchCrowd(ctx context.Context, received []atomic.Int64, began time.Time, r *TransferResult) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	all := float64(r.Bytes) * float64(len(received))
	look := func() {
		var sum int64
		for i := range received {
			sum += received[i].Load()
		}
		r.Progress = append(r.Progress, CrowdProgress{Seconds(time.Since(began)), float64(sum) / all})
	}
	go func() {
		defer close(ended)
		tick := time.NewTicker(crowdLook)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				look()
			case <-ctx.Done():
				look()
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// bareBuffer is what a bare connection reads and writes at once.
const bareBuffer = 256 << 10

// listenBare serves the file that is not throttled to whoever comes with a
// certificate, as nodes do, and does nothing else.
func (s *transferStage) listenBare() error {
	own, leaf, err := selfSigned()
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	s.config = &tls.Config{RootCAs: roots, ServerName: "bench", Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13}
	s.bare, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		return err
	}
	s.serving.Go(func() error { return acceptBare(s.bare, s.sendBare) })
	return nil
}

// sendBare sends the file; who fetches sees by its length whether that went well.
func (s *transferStage) sendBare(conn net.Conn) {
	f, err := os.Open(s.source(BareTransfer))
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{f}, make([]byte, bareBuffer))
}

func (s *transferStage) fetchBare(ctx context.Context, target string) error {
	conn, err := (&tls.Dialer{Config: s.config}).DialContext(ctx, "tcp", s.bare.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	f, err := os.Create(target)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{conn}, make([]byte, bareBuffer))
	if err == nil && n != s.opts.Size {
		err = fmt.Errorf("%d bytes came of %d", n, s.opts.Size)
	}
	return errors.Join(err, f.Close())
}

func (s *transferStage) close() error {
	if s.bare != nil {
		_ = s.bare.Close()
	}
	return errors.Join(s.serving.Wait(), s.network.Close())
}
