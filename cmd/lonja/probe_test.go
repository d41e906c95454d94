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
		if peers.Len() == 1 {
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

// TestNobodyIsProbed with --probe-period 0. That time enough has passed is told
// by a directory beside it that probes the same user, and takes it for gone.
func TestNobodyIsProbed(t *testing.T) {
	ln := listenAnywhere(t)
	at := lonja.Endpoint{AddrPort: ln.Addr().(*net.TCPAddr).AddrPort()}
	_ = ln.Close()
	dirs := map[string]*dirclient.Client{}
	for _, period := range []string{"0", "50ms"} {
		server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0", "--data", inMemory, "--probe-period", period)
		line := server.firstLine()
		dirs[period] = dirclient.New(dirclient.Options{Address: "127.0.0.1" + line[strings.LastIndexByte(line, ':'):]})
		if err := dirs[period].Register(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
		if err := dirs[period].Connect(t.Context(), "gone", at); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := dirs["50ms"].ListUsers(t.Context(), "gone")
		if errors.Is(err, lonja.NotConnected) {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("still connected where it is probed: %v", err)
		}
	}
	if _, err := dirs["0"].ListUsers(t.Context(), "gone"); err != nil {
		t.Errorf("where nobody is probed: %v", err)
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
