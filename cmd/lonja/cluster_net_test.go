//go:build interop && linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// roomVariable tells the test that runs in a room of its own to do so.
	roomVariable = "LONJA_TEST_IN_ROOM"

	// roomTime bounds one test there.
	roomTime = 9 * time.Minute
)

// inRoom gives a test networks, mounts and processes of its own: names and
// addresses in there are nobody else's, and all of it is gone when the test
// has ended, however it did.
//
// It runs the calling test again, in there, and returns false when that has
// passed: the caller is done. In there, it returns true.
func inRoom(t *testing.T) bool {
	t.Helper()
	if os.Getenv(roomVariable) == t.Name() {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), roomTime)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inside := exec.CommandContext(ctx, self, "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v")
	inside.Env = append(os.Environ(), roomVariable+"="+t.Name(), "TMPDIR="+t.TempDir())
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	out, err := inside.CombinedOutput()
	t.Logf("in its room:\n%s", out)
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in its room, which takes root: %v", err)
	}
	return false
}

// The network of a room: every machine is a network namespace, with a cable to
// one switch, at which the test itself is too.
const (
	network     = "10.77.0."
	ownAddr     = network + "254/24"
	machineBits = "/24"
)

// machineAddr returns the address of machine i.
func machineAddr(i int) string { return fmt.Sprint(network, i+1) }

// inMachine returns the words that have a command run in machine i.
func inMachine(i int) []string { return []string{"ip", "netns", "exec", machineName(i)} }

func machineName(i int) string { return fmt.Sprint("m", i+1) }
func cable(i int) string       { return fmt.Sprint("cable", i+1) }

// layCables makes the network of the room we are in, with so many machines.
func layCables(t *testing.T, machines int) {
	t.Helper()
	// Mounts are not to leave the room; ip keeps the names of namespaces in /run.
	err := errors.Join(
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""))
	if err != nil {
		t.Fatalf("mount: %v", err)
	}
	ip(t, "link set lo up")
	ip(t, "link add switch type bridge forward_delay 0")
	ip(t, "addr add "+ownAddr+" dev switch")
	ip(t, "link set switch up")
	for i := range machines {
		name := machineName(i)
		ip(t, "netns add "+name)
		ip(t, "link add "+cable(i)+" type veth peer name net netns "+name)
		ip(t, "link set "+cable(i)+" master switch up")
		ip(t, "-n "+name+" addr add "+machineAddr(i)+machineBits+" dev net")
		ip(t, "-n "+name+" link set net up")
		ip(t, "-n "+name+" link set lo up")
	}
}

// cut takes machine i off the network, and join brings it back.
func cut(t *testing.T, i int)  { ip(t, "link set "+cable(i)+" down") }
func join(t *testing.T, i int) { ip(t, "link set "+cable(i)+" up") }

// ip runs the program of that name.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}
