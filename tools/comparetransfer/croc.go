package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// crocTransfers is how many connections croc has its relay open, as it does by
// itself, beside one to meet at.
const crocTransfers = 4

// crocSecret is what both sides know.
const crocSecret = "7391-lonja-compares-transfers"

var crocWaits = regexp.MustCompile(`(?i)(code is|on the other computer)`)

// startCroc has one croc send to another through a relay. The sender ends after
// each transfer.
func startCroc(ctx context.Context, s *stage, c *contestant) error {
	dir, err := s.folder("croc")
	if err != nil {
		return err
	}
	ports := make([]string, 1+crocTransfers)
	for i := range ports {
		port, err := freePort()
		if err != nil {
			return err
		}
		ports[i] = fmt.Sprint(port)
	}
	relay, err := s.serve(dir, "croc", "relay", "--host", "127.0.0.1", "--ports", strings.Join(ports, ","))
	if err != nil {
		return err
	}
	c.servers = []*server{relay}
	at := "127.0.0.1:" + ports[0]
	if err := relay.awaitPort(ctx, at); err != nil {
		return err
	}
	program, err := find("croc")
	if err != nil {
		return err
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, append([]string{"--relay", at, "--no-compress", "--disable-clipboard", "--ignore-stdin", "--yes"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "CROC_SECRET="+crocSecret, "CROC_CONFIG_DIR="+dir)
		return cmd
	}
	c.prepare = func(ctx context.Context) ([]*server, error) {
		sender, err := startServer(dir, command("send", "--no-local", s.source))
		if err != nil {
			return nil, err
		}
		_, err = sender.await(ctx, crocWaits)
		return []*server{sender}, err
	}
	c.fetch = func(_ context.Context, r *runner, target string) error {
		_, err := r.runCommand(command("--out", filepath.Dir(target)))
		return err
	}
	return nil
}
