package main

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirclient"
)

// TestWhoIsGoneIsDisconnected: a user whose port nobody listens on any more is
// disconnected after three misses, and one who listens is not.
func TestWhoIsGoneIsDisconnected(t *testing.T) {
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0", "--data", inMemory, "--probe-period", "50ms")
	line := server.firstLine()
	dir := dirclient.New(dirclient.Options{Address: "127.0.0.1" + line[strings.LastIndexByte(line, ':'):]})
	ctx := t.Context()

	there := listenAnywhere(t)
	gone := listenAnywhere(t)
	for user, ln := range map[lonja.UserName]net.Listener{"there": there, "gone": gone} {
		at := lonja.Endpoint{AddrPort: ln.Addr().(*net.TCPAddr).AddrPort()}
		if err := errors.Join(dir.Register(ctx, user), dir.Connect(ctx, user, at)); err != nil {
			t.Fatal(err)
		}
	}
	_ = gone.Close()
	for deadline := time.Now().Add(time.Minute); ; {
		peers, err := dir.ListUsers(ctx, "there")
		if err != nil {
			t.Fatalf("who listens was disconnected: %v", err)
		}
		if len(peers) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still connected: %v", peers)
		}
	}
	if err := dir.Connect(ctx, "gone", lonja.EndpointFrom(somewhere.Addr(), 4001)); err != nil {
		t.Errorf("who was disconnected cannot connect again: %v", err)
	}
}

// listenAnywhere accepts connections, and says nothing, until the test ends.
func listenAnywhere(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-ended
	})
	return ln
}
