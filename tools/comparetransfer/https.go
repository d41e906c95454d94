package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// nginxConfig serves a directory over TLS as Debian's nginx does, with nothing
// else. Where the program does not begin as root, its first line is left out.
const nginxConfig = `%suser root;
daemon off;
pid %[2]s/pid;
error_log stderr;
worker_processes auto;
events { worker_connections 64; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	server {
		listen 127.0.0.1:%[3]d ssl;
		ssl_certificate %[4]s;
		ssl_certificate_key %[5]s;
		ssl_protocols TLSv1.3;
		root %[6]s;
	}
}
`

// serveHTTPS starts an nginx, and returns the address of the file there.
func (s *stage) serveHTTPS(ctx context.Context, c *contestant) (url string, err error) {
	dir, err := s.folder("nginx")
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	comment := "#"
	if os.Getuid() == 0 {
		comment = ""
	}
	file := filepath.Join(dir, "nginx.conf")
	config := fmt.Sprintf(nginxConfig, comment, dir, port, s.cert, s.key, filepath.Dir(s.source))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return "", err
	}
	nginx, err := s.serve(dir, "nginx", "-e", "stderr", "-p", dir, "-c", file)
	if err != nil {
		return "", err
	}
	c.servers = append(c.servers, nginx)
	at := fmt.Sprintf("127.0.0.1:%d", port)
	return "https://" + at + "/" + filepath.Base(s.source), nginx.awaitPort(ctx, at)
}

// startCurl has curl fetch from an nginx, and b3sum read what came if it is to be
// checked.
func startCurl(check bool) func(context.Context, *stage, *contestant) error {
	return func(ctx context.Context, s *stage, c *contestant) error {
		url, err := s.serveHTTPS(ctx, c)
		if err != nil {
			return err
		}
		want := ""
		if check {
			if want, err = b3sum(ctx, new(runner), s.source); err != nil {
				return err
			}
		}
		c.fetch = func(ctx context.Context, r *runner, target string) error {
			if _, err := r.run(ctx, "", "curl", "--silent", "--show-error", "--fail", "--cacert", s.cert, "--output", target, url); err != nil || !check {
				return err
			}
			got, err := b3sum(ctx, r, target)
			if err == nil && got != want {
				err = fmt.Errorf("b3sum: %s, want %s", got, want)
			}
			return err
		}
		return nil
	}
}

func b3sum(ctx context.Context, r *runner, path string) (string, error) {
	out, err := r.run(ctx, "", "b3sum", "--no-names", path)
	return strings.TrimSpace(string(out)), err
}

// startAria2 has aria2c fetch from three nginx at once.
func startAria2(ctx context.Context, s *stage, c *contestant) error {
	var urls []string
	for range mostSellers {
		url, err := s.serveHTTPS(ctx, c)
		if err != nil {
			return err
		}
		urls = append(urls, url)
	}
	c.fetch = func(ctx context.Context, r *runner, target string) error {
		args := append(aria2Quiet(),
			"--ca-certificate="+s.cert, "--checksum=sha-256="+s.sha256, "--split=3", "--min-split-size=1M",
			"--dir="+filepath.Dir(target), "--out="+filepath.Base(target))
		_, err := r.run(ctx, "", "aria2c", append(args, urls...)...)
		return err
	}
	return nil
}

// aria2Quiet are the flags for any use of aria2c: without a file of settings, and
// without writing zeros first.
func aria2Quiet() []string {
	return []string{"--no-conf", "--file-allocation=none", "--console-log-level=warn", "--summary-interval=0", "--show-console-readout=false"}
}
