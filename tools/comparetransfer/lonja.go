package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// A market is a directory of lonja, those who have published the file, and who
// fetches it, each a process with a home of its own, as on machines of their own.
type market struct {
	stage   *stage
	server  *server
	address string
	holders []*server
	buyer   string // the home of who fetches
}

// mostSellers is how many have the file.
const mostSellers = 3

var (
	listens   = regexp.MustCompile(`init server (\S+)`)
	published = regexp.MustCompile(`published ()`)
)

// openMarket starts it at the first call; later ones return the same.
func (s *stage) openMarket(ctx context.Context) (*market, error) {
	if s.market != nil {
		return s.market, nil
	}
	m := &market{stage: s}
	home, err := s.folder("directory")
	if err != nil {
		return nil, err
	}
	if m.server, err = s.serveCommand(home, m.command(ctx, home, "server", "--host", "127.0.0.1", "-p", "0")); err != nil {
		return nil, err
	}
	if m.address, err = m.server.await(ctx, listens); err != nil {
		return nil, err
	}
	for i := range mostSellers {
		if err := m.sell(ctx, i); err != nil {
			return nil, err
		}
	}
	m.buyer, err = m.join(ctx, "buyer")
	s.market = m
	return m, err
}

// command returns lonja for who lives in a home.
func (m *market) command(ctx context.Context, home string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, m.stage.lonja, args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_STATE_HOME=", "XDG_CACHE_HOME=",
		"XDG_RUNTIME_DIR="+home, "LONJA_ADMIN=off", "LONJA_PORT_MAPPING=off", "LONJA_SERVER="+m.address)
	return cmd
}

// join registers a user, and returns its home.
func (m *market) join(ctx context.Context, user string) (home string, err error) {
	if home, err = m.stage.folder(user); err == nil {
		_, err = new(runner).runCommand(m.command(ctx, home, "register", user))
	}
	return home, err
}

// sell starts one who has published the file.
func (m *market) sell(ctx context.Context, i int) error {
	home, err := m.join(ctx, fmt.Sprintf("seller%d", i))
	if err != nil {
		return err
	}
	goods := filepath.Join(home, "goods")
	if err := os.Mkdir(goods, 0o700); err != nil {
		return err
	}
	if err := os.Link(m.stage.source, filepath.Join(goods, filepath.Base(m.stage.source))); err != nil {
		return err
	}
	holder, err := m.stage.serveCommand(home, m.command(ctx, home, "share", "goods", "--listen", "127.0.0.1:0"))
	if err != nil {
		return err
	}
	m.holders = append(m.holders, holder)
	_, err = holder.await(ctx, published)
	return err
}

// startLonja has "lonja get" fetch from so many.
func startLonja(holders int) func(context.Context, *stage, *contestant) error {
	return func(ctx context.Context, s *stage, c *contestant) error {
		m, err := s.openMarket(ctx)
		if err != nil {
			return err
		}
		c.servers = append([]*server{m.server}, m.holders[:holders]...)
		args := []string{"get", filepath.Base(s.source)}
		if holders == 1 {
			args = append(args, "--from", "seller0")
		}
		c.fetch = func(ctx context.Context, r *runner, target string) error {
			_, err := r.runCommand(m.command(ctx, m.buyer, append(args, "-o", target)...))
			return err
		}
		return nil
	}
}
