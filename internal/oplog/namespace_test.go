//go:build interop

package oplog

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// namespaceVariable tells the test that runs in a namespace to do so.
	namespaceVariable = "OPLOG_TEST_IN_NAMESPACE"

	// namespaceTime bounds one test there.
	namespaceTime = 2 * time.Minute
)

// inNamespace gives a test a machine of its own, as far as rpcbind can tell:
// a machine has one rpcbind, on port 111 and with its files in /run, so the
// tests that start one get their own network, mounts and processes. All that
// they start ends with them.
//
// It runs the calling test again, in there, and returns false when that has
// passed: the caller is done. In there, it returns true.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaceVariable) == t.Name() {
		furnish(t)
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), namespaceTime)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inside := exec.CommandContext(ctx, self, "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v")
	inside.Env = append(os.Environ(), namespaceVariable+"="+t.Name())
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	out, err := inside.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in its namespace (which takes root): %v\n%s", err, out)
	}
	return false
}

// furnish makes the namespace usable: an empty /run and a loopback interface.
func furnish(t *testing.T) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("make mounts private: %v", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatalf("mount /run: %v", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	loopback.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		t.Fatalf("set lo up: %v", err)
	}
}

// startRpcbind starts the namespace's rpcbind. It leaves the foreground when it
// listens, and ends with the namespace.
func startRpcbind(t *testing.T, flags ...string) {
	t.Helper()
	run(t, debianProgram(t, "rpcbind", "rpcbind"), flags...)
}

// debianProgram finds a program, or fails with the name of its package.
func debianProgram(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install the Debian package %s", err, debianPackage)
	}
	return path
}

// run runs a program to its end, and returns what it printed. It fails with
// the program.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	return runIn(t, "", program, args...)
}

// runIn is run in a directory.
func runIn(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), namespaceTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}
