package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listenError turns the failure to listen into a sentence that says what to do.
func listenError(host string, port int, err error) error {
	where := fmt.Sprintf("port %d", port)
	if host != "" {
		where = fmt.Sprintf("%s port %d", host, port)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use: another program listens there; choose another with --port", where)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("no right to listen on %s: ports below 1024 need root; choose another with --port", where)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s: this machine does not have that address", where)
	}
	return fmt.Errorf("cannot listen on %s: %w", where, err)
}

// ownAddress returns the address by which other machines of the network most
// likely reach this one: the first IPv4 address that is not loopback, or
// loopback where there is none.
func ownAddress() net.IP {
	loopback := net.IPv4(127, 0, 0, 1)
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return loopback
	}
	for _, addr := range addrs {
		if n, ok := addr.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP
		}
	}
	return loopback
}

// contextUntilStopped returns a context that does not end with the signals
// that end the program: for what must outlive the rest.
func contextUntilStopped() (context.Context, context.CancelFunc) {
	return context.WithCancel(context.Background())
}
