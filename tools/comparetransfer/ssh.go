package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
)

// An sshSite is an sshd of our own, with keys of its own, on the loopback address.
type sshSite struct {
	server *server
	config string // the file of settings for ssh, in which it is called "there"
}

const sshdConfig = `ListenAddress 127.0.0.1:%[2]d
HostKey %[1]s/host
AuthorizedKeysFile %[1]s/own.pub
PidFile %[1]s/pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
`

const sshConfig = `Host there
	HostName 127.0.0.1
	Port %[2]d
	User %[3]s
	IdentityFile %[1]s/own
	IdentitiesOnly yes
	UserKnownHostsFile %[1]s/known
	GlobalKnownHostsFile none
	StrictHostKeyChecking accept-new
	BatchMode yes
	LogLevel ERROR
`

// privileges is where sshd goes without its rights when root starts it. Debian
// makes it when the service starts.
const privileges = "/run/sshd"

// openSSH starts the sshd at the first call; later ones return the same.
func (s *stage) openSSH(ctx context.Context) (*sshSite, error) {
	if s.ssh != nil {
		return s.ssh, nil
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	dir, err := s.folder("ssh")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"host", "own"} {
		if _, err := new(runner).run(ctx, dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name); err != nil {
			return nil, err
		}
	}
	site := &sshSite{config: filepath.Join(dir, "ssh_config")}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "sshd_config"), fmt.Appendf(nil, sshdConfig, dir, port), 0o600),
		os.WriteFile(site.config, fmt.Appendf(nil, sshConfig, dir, port, me.Username), 0o600))
	if err != nil {
		return nil, err
	}
	if os.Getuid() == 0 && os.Mkdir(privileges, 0o755) == nil {
		s.removed = append(s.removed, privileges)
	}
	if site.server, err = s.serve(dir, "sshd", "-D", "-e", "-f", filepath.Join(dir, "sshd_config")); err != nil {
		return nil, err
	}
	s.ssh = site
	return site, site.server.awaitPort(ctx, fmt.Sprintf("127.0.0.1:%d", port))
}

func startRsync(ctx context.Context, s *stage, c *contestant) error {
	site, err := s.openSSH(ctx)
	if err != nil {
		return err
	}
	c.servers = []*server{site.server}
	c.fetch = func(ctx context.Context, r *runner, target string) error {
		_, err := r.run(ctx, "", "rsync", "-e", "ssh -F "+site.config, "there:"+s.source, target)
		return err
	}
	return nil
}

func startSCP(ctx context.Context, s *stage, c *contestant) error {
	site, err := s.openSSH(ctx)
	if err != nil {
		return err
	}
	c.servers = []*server{site.server}
	c.fetch = func(ctx context.Context, r *runner, target string) error {
		_, err := r.run(ctx, "", "scp", "-q", "-F", site.config, "there:"+s.source, target)
		return err
	}
	return nil
}
