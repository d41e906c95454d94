//go:build interop && linux

package unfinished

import (
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var powerCuts = flag.Int("power-cuts", 10, "how often TestPowerCut pulls the plug")

// A machine is a file system on a disk that can lose its power: ext4 on a loop
// device on lossdisk, see lab/lossdisk.
type machine struct {
	*testing.T
	dir      string // holds all below
	lossdisk string // the program
	power    *exec.Cmd
	loop     string
}

// newMachine makes the disk, empty. It needs root.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{T: t, dir: t.TempDir()}
	m.lossdisk = filepath.Join(m.dir, "lossdisk")
	m.run("go", "build", "-C", "../../lab", "-o", m.lossdisk, "./lossdisk")
	must(t, os.WriteFile(m.image(), nil, 0o600))
	must(t, os.Truncate(m.image(), 48<<20))
	m.run("mkfs.ext4", "-q", "-F", m.image())
	must(t, errors.Join(os.Mkdir(m.disk(), 0o700), os.Mkdir(m.files(), 0o700)))
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
	out, err := m.power.StdoutPipe()
	must(m, err)
	must(m, m.power.Start())
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil || string(ready) != "ready\n" {
		m.Fatalf("lossdisk says %q, %v", ready, err)
	}
	m.loop = m.run("losetup", "--find", "--show", filepath.Join(m.disk(), "disk.img"))
	m.run("mount", "-t", "ext4", m.loop, m.files())
}

// cut pulls the plug.
func (m *machine) cut() {
	m.Helper()
	must(m, m.power.Process.Signal(syscall.SIGUSR1))
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

// cutWhile has a child receive in a way until it has said a number of lines, or
// one with this word if there is any, pulls the plug, and returns how many pieces
// are good when the power is back, and how many of them do not hold their bytes.
func (m *machine) cutWhile(way, word string, lines int) (good, wrong int) {
	m.Helper()
	m.on()
	target := filepath.Join(m.files(), "file")
	c := startChild(m.T, target, way)
	for n := 0; n < lines || word != "" && c.word != word; n++ {
		if !c.next(m.T) {
			m.Fatal("the child has failed before the power was cut")
		}
	}
	m.cut()
	c.kill(m.T) // what it said since it knows: nothing can be synced any more
	m.off()
	m.on()
	defer m.off()
	return c.survived(m.T, target)
}

// TestPowerCut pulls the plug at random moments: whatever is good when the power
// is back holds its bytes, and what was synced is good. As controls that the plug
// is a real one, and that it would be seen, Files that do not sync their data, or
// record before they do, are caught.
func TestPowerCut(t *testing.T) {
	m := newMachine(t)
	kept := 0
	for round := range *powerCuts {
		good, wrong := m.cutWhile("", "", 1+rand.IntN(45))
		if wrong > 0 {
			t.Errorf("cut %d: %d pieces of %d are not what the record says", round+1, wrong, good)
		}
		if t.Failed() {
			t.FailNow()
		}
		kept += good
	}
	if kept == 0 {
		t.Errorf("in %d cuts nothing was kept", *powerCuts)
	}
	t.Logf("%d pieces were good after %d cuts", kept, *powerCuts)

	caught := 0
	for range *powerCuts {
		_, wrong := m.cutWhile("unsynced", "synced", 12)
		caught += wrong
	}
	if caught == 0 {
		t.Errorf("in %d cuts Files that sync nothing lost nothing: the power was never gone", *powerCuts)
	}
	t.Logf("%d pieces were wrong without syncing", caught)

	if _, wrong := m.cutWhile("record first", "syncing", 1); wrong == 0 {
		t.Error("a File that records before it syncs lost nothing")
	}
	if good, wrong := m.cutWhile("stuck", "syncing", 1); good > 0 || wrong > 0 {
		t.Errorf("cut while the data is synced, %d pieces are good, %d of them wrongly; want none", good, wrong)
	}
}
