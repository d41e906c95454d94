//go:build interop && linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var (
	powerCuts    = flag.Int("power-cuts", 10, "how often TestPowerCut pulls the plug")
	failingDisks = flag.Int("failing-disks", 12, "how often TestPowerCutAfterFailures does, on a disk that fails before")
)

// A machine is a file system on a disk that can lose its power: ext4 on a loop
// device on lossdisk, see lab/lossdisk.
type machine struct {
	*testing.T
	dir      string // holds all below
	lossdisk string // the program
	power    *exec.Cmd
	commands io.Writer // to lossdisk
	loop     string
}

// newMachine makes the disk, empty. It needs root.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{T: t, dir: t.TempDir()}
	m.lossdisk = filepath.Join(m.dir, "lossdisk")
	m.run("go", "build", "-C", "../../lab", "-o", m.lossdisk, "./lossdisk")
	if err := os.WriteFile(m.image(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(m.image(), 48<<20); err != nil {
		t.Fatal(err)
	}
	m.run("mkfs.ext4", "-q", "-F", m.image())
	for _, dir := range []string{m.disk(), m.files()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(m.off)
	return m
}

func (m *machine) image() string { return filepath.Join(m.dir, "image") }
func (m *machine) disk() string  { return filepath.Join(m.dir, "disk") }
func (m *machine) files() string { return filepath.Join(m.dir, "files") }

func (m *machine) run(name string, args ...string) string {
	m.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		m.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// on starts the machine: whatever is on the disk is mounted at files.
func (m *machine) on() {
	m.Helper()
	m.power = exec.Command(m.lossdisk, "-dir", m.disk(), "-back", m.image())
	commands, err := m.power.StdinPipe()
	if err != nil {
		m.Fatal(err)
	}
	m.commands = commands
	out, err := m.power.StdoutPipe()
	if err != nil {
		m.Fatal(err)
	}
	if err := m.power.Start(); err != nil {
		m.Fatal(err)
	}
	ready := make([]byte, len("ready\n"))
	if _, err := out.Read(ready); err != nil || string(ready) != "ready\n" {
		m.Fatalf("lossdisk says %q, %v", ready, err)
	}
	m.loop = m.run("losetup", "--find", "--show", filepath.Join(m.disk(), "disk.img"))
	m.run("mount", "-t", "ext4", m.loop, m.files())
}

// mend repairs the file system, as a machine does when it starts: on a disk
// that has failed, ext4 writes its superblock past its journal, and a power
// cut may tear it.
func (m *machine) mend() {
	m.Helper()
	out, err := exec.Command("e2fsck", "-f", "-y", m.image()).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() < 4 {
		err = nil // it has mended something
	}
	if err != nil {
		m.Fatalf("e2fsck: %v\n%s", err, out)
	}
}

// cut pulls the plug.
func (m *machine) cut() {
	m.Helper()
	if err := m.power.Process.Signal(syscall.SIGUSR1); err != nil {
		m.Error(err)
	}
}

// off takes down what on put up. It may be called twice.
func (m *machine) off() {
	if m.power == nil {
		return
	}
	// Nothing can be written back any more, and none of these is asked to.
	_ = exec.Command("umount", "--lazy", m.files()).Run()
	_ = exec.Command("losetup", "--detach", m.loop).Run()
	_ = exec.Command("umount", "--lazy", m.disk()).Run()
	_ = m.power.Process.Kill()
	_ = m.power.Wait()
	m.power = nil
}

// TestPowerCut pulls the plug at random moments under load: what was
// acknowledged is there when the machine is on again, and the directory opens.
//
// As a control that the plug is a real one, a file that is written and not
// synced at the same moment must be lost at least once, and one that is synced
// never.
func TestPowerCut(t *testing.T) {
	m := newMachine(t)
	workers := newCrashWorkers()
	for _, w := range workers {
		w.mayRefuse = true
	}
	controlsLost := 0
	for round := range *powerCuts {
		m.on()
		controlsLost += m.checkControls(round)
		data := filepath.Join(m.files(), "data")
		server, dir := startDurable(t, data)
		for _, w := range workers {
			w.verify(t, dir)
		}
		workUntil(t, workers, dir, func() {
			m.writeControls()
			m.cut()
			_ = server.cmd.Process.Signal(syscall.SIGKILL)
		})
		server.wait()
		m.off()
		verifyWinners(t, workers)
		if t.Failed() {
			t.Fatalf("in round %d", round+1)
		}
	}
	m.on()
	controlsLost += m.checkControls(*powerCuts)
	verifyStore(t, filepath.Join(m.files(), "data"), workers)
	if controlsLost == 0 {
		t.Errorf("in %d cuts nothing that was not synced was lost: the power was never gone", *powerCuts)
	}
}

// TestPowerCutAfterFailures pulls the plug of a disk that has failed before,
// at each of the first writes and syncs, once, a few times, or from then on.
// What the kernel and its file system make of such a disk is theirs; whatever
// it is, what was acknowledged is there.
func TestPowerCutAfterFailures(t *testing.T) {
	m := newMachine(t)
	workers := newCrashWorkers()
	for _, w := range workers {
		w.mayRefuse = true
	}
	refused := 0
	for round := range *failingDisks {
		m.mend()
		m.on()
		data := filepath.Join(m.files(), "data")
		server, dir := startDurable(t, data)
		for _, w := range workers {
			w.verify(t, dir)
		}
		fault := fmt.Sprintf("fail %s %d %d", []string{"write", "sync"}[round%2], 1+round/2, []int{1, 3, 0}[rand.IntN(3)])
		if _, err := fmt.Fprintln(m.commands, fault); err != nil {
			t.Fatal(err)
		}
		workOn(t, workers, dir, 200)
		m.cut()
		_ = server.cmd.Process.Signal(syscall.SIGKILL)
		server.wait()
		m.off()
		if strings.Contains(server.stderr.String(), "refuses to write") {
			refused++
		}
		verifyWinners(t, workers)
		if t.Failed() {
			t.Fatalf("in round %d, with %s", round+1, fault)
		}
	}
	m.mend()
	m.on()
	verifyStore(t, filepath.Join(m.files(), "data"), workers)
	if refused == 0 {
		t.Error("no directory has noticed its disk: it did not fail")
	}
	t.Logf("%d of %d disks failed so that the directory noticed", refused, *failingDisks)
}

const controlText = "written before the power went"

// writeControls writes two files, of which one is synced.
func (m *machine) writeControls() {
	m.Helper()
	synced, err := os.Create(filepath.Join(m.files(), "synced"))
	if err != nil {
		m.Error(err)
		return
	}
	_, err = synced.WriteString(controlText)
	root, openErr := os.Open(m.files())
	if err := errors.Join(err, synced.Sync(), synced.Close(), openErr, root.Sync(), root.Close()); err != nil {
		m.Error(err)
	}
	if err := os.WriteFile(filepath.Join(m.files(), "unsynced"), []byte(controlText), 0o600); err != nil {
		m.Error(err)
	}
}

// checkControls looks at the files of the round before, returns how many were
// lost, and removes them.
func (m *machine) checkControls(round int) int {
	m.Helper()
	if round == 0 {
		return 0
	}
	if got, err := os.ReadFile(filepath.Join(m.files(), "synced")); string(got) != controlText {
		m.Errorf("what was synced is lost: %q, %v", got, err)
	}
	lost := 0
	if got, _ := os.ReadFile(filepath.Join(m.files(), "unsynced")); string(got) != controlText {
		lost = 1
	}
	for _, name := range []string{"synced", "unsynced"} {
		_ = os.Remove(filepath.Join(m.files(), name))
	}
	return lost
}
