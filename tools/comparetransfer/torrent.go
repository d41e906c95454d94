package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

var infoHash = regexp.MustCompile(`Info Hash: ([0-9a-f]{40})`)

// startTorrent has one aria2c fetch from another, which a tracker tells it of.
func startTorrent(ctx context.Context, s *stage, c *contestant) error {
	dir, err := s.folder("torrent")
	if err != nil {
		return err
	}
	if err := os.Chmod(s.dir, 0o711); err != nil { // the tracker gives up the rights of root
		return err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	at := fmt.Sprintf("127.0.0.1:%d", port)
	torrent := filepath.Join(dir, "file.torrent")
	const pieces = "20" // of 2^20 bytes
	if _, err := new(runner).run(ctx, dir, "mktorrent", "-l", pieces, "-a", "http://"+at+"/announce", "-o", torrent, s.source); err != nil {
		return err
	}
	shown, err := new(runner).run(ctx, dir, "aria2c", "--no-conf", "--show-files", torrent)
	if err != nil {
		return err
	}
	hash := infoHash.FindSubmatch(shown)
	if hash == nil {
		return fmt.Errorf("aria2c does not tell the hash of a torrent; it said %q", lastPart(shown))
	}
	// Debian's opentracker knows only what it is told of.
	const allowed = "allowed"
	if err := os.WriteFile(filepath.Join(dir, allowed), append(hash[1], '\n'), 0o644); err != nil {
		return err
	}
	tracker, err := s.serve(dir, "opentracker", "-i", "127.0.0.1", "-p", strconv.Itoa(port), "-d", dir, "-w", allowed)
	if err != nil {
		return err
	}
	if err := tracker.awaitPort(ctx, at); err != nil {
		return err
	}
	listen, err := freePort()
	if err != nil {
		return err
	}
	seed, err := s.serve(dir, "aria2c", append(aria2Torrent(listen),
		"--bt-seed-unverified=true", "--seed-ratio=0.0", "--dir="+filepath.Dir(s.source), torrent)...)
	if err != nil {
		return err
	}
	c.servers = []*server{tracker, seed}
	c.fetch = func(ctx context.Context, r *runner, target string) error {
		listen, err := freePort()
		if err != nil {
			return err
		}
		_, err = r.run(ctx, "", "aria2c", append(aria2Torrent(listen), "--seed-time=0", "--dir="+filepath.Dir(target), torrent)...)
		return err
	}
	return seed.awaitPort(ctx, fmt.Sprintf("127.0.0.1:%d", listen))
}

// aria2Torrent are the flags for BitTorrent with a tracker and nothing else.
func aria2Torrent(listen int) []string {
	return append(aria2Quiet(), "--listen-port="+strconv.Itoa(listen),
		"--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--follow-torrent=mem")
}
