package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// unixScheme begins an address of operators that is a Unix socket.
const unixScheme = "unix:"

// maxSocketPath bounds the path of a Unix socket, in bytes: systems take some
// hundred, and listenUnix needs a longer one for a moment.
const maxSocketPath = 80

// parseAdmin turns the value of --admin into what package net wants.
func parseAdmin(value string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(value, unixScheme); ok {
		if path == "" {
			return "", "", usagef("--%s %s: the path is missing", adminFlag, value)
		}
		if len(path) > maxSocketPath {
			return "", "", usagef("--%s: the path of a socket has at most %d bytes, not %d", adminFlag, maxSocketPath, len(path))
		}
		return "unix", path, nil
	}
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return "", "", usagef("--%s %q is neither HOST:PORT nor %sPATH", adminFlag, value, unixScheme)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", usagef("--%s %q: the port is not between 0 and 65535", adminFlag, value)
	}
	return "tcp", value, nil
}

// adminAddress is the value of --admin by which others find ln.
func adminAddress(ln net.Listener) string {
	if ln.Addr().Network() == "unix" {
		return unixScheme + ln.Addr().String()
	}
	return ln.Addr().String()
}

// listenAdmin listens at a value of --admin. Remove takes away what is left of
// a listener that is closed.
func listenAdmin(value string) (ln net.Listener, remove func(), err error) {
	network, address, err := parseAdmin(value)
	if err != nil {
		return nil, nil, err
	}
	if network == "unix" {
		ln, remove, err = listenUnix(address)
	} else {
		remove = func() {}
		ln, err = net.Listen(network, address)
	}
	switch {
	case err == nil:
		return ln, remove, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, nil, fmt.Errorf("%s is in use: another program listens there; choose another with --%s, or %q", value, adminFlag, adminOff)
	}
	return nil, nil, fmt.Errorf("cannot listen on %s: %w", value, err)
}

// listenUnix listens on a socket at path that only this user can open. A
// socket that was left there is replaced if nobody answers on it.
//
// The socket is made in a directory of its own and moved to its place, so that
// at no moment others could open it.
func listenUnix(path string) (ln net.Listener, remove func(), err error) {
	if err := checkFree(path); err != nil {
		return nil, nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".lonja-") // mode 0700
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(private)
	temp := filepath.Join(private, "s")
	bound, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	bound.SetUnlinkOnClose(false)
	err = os.Chmod(temp, 0o600)
	var made fs.FileInfo
	if err == nil {
		made, err = os.Stat(temp)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = bound.Close()
		return nil, nil, err
	}
	remove = func() {
		if now, err := os.Stat(path); err == nil && os.SameFile(made, now) {
			_ = os.Remove(path)
		}
	}
	return placedListener{bound, &net.UnixAddr{Name: path, Net: "unix"}}, remove, nil
}

// checkFree reports why no socket can be put at path.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there, and is no socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return syscall.EADDRINUSE
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err // somebody may be there: too busy, or not for us
	}
	return nil
}

// A placedListener is a listener on a socket that was moved to addr.
type placedListener struct {
	net.Listener
	addr *net.UnixAddr
}

// Addr implements net.Listener.
func (l placedListener) Addr() net.Addr { return l.addr }
