//go:build interop && linux

package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lonja"
)

var faultRounds = flag.Int("fault-rounds", 1, "how often TestFailingDisk goes through its faults")

// A faultDisk is a running lab/faultfs.
type faultDisk struct {
	*testing.T
	files   string // where it is mounted
	stdin   io.WriteCloser
	answers *bufio.Scanner
}

// newFaultDisk mounts an empty one. It needs root.
func newFaultDisk(t *testing.T) *faultDisk {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "faultfs")
	if out, err := exec.Command("go", "build", "-C", "../../lab", "-o", program, "./faultfs").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	d := &faultDisk{T: t, files: t.TempDir()}
	cmd := exec.Command(program, "-dir", d.files)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // it unmounts
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	d.stdin, d.answers = stdin, bufio.NewScanner(stdout)
	d.answer("ready")
	return d
}

// answer returns the next line that the disk says; it must be want, if that is
// set.
func (d *faultDisk) answer(want string) string {
	d.Helper()
	if !d.answers.Scan() || want != "" && d.answers.Text() != want {
		d.Fatalf("faultfs says %q, %v; want %q", d.answers.Text(), d.answers.Err(), want)
	}
	return d.answers.Text()
}

func (d *faultDisk) command(line, want string) string {
	d.Helper()
	if _, err := fmt.Fprintln(d.stdin, line); err != nil {
		d.Fatal(err)
	}
	return d.answer(want)
}

// A diskFault is how a disk fails: calls of one sort, from the first one on,
// count of them or all if that is 0.
type diskFault struct {
	call         string
	how          string
	first, count int
}

func (f diskFault) String() string {
	return fmt.Sprintf("%s %d %d %s", f.call, f.first, f.count, f.how)
}

// diskFaults are failures at every call of the first few, once, a few times,
// and for ever.
func diskFaults() []diskFault {
	var faults []diskFault
	for _, sort := range []struct {
		call, how string
		firsts    int // each of so many
	}{
		{"sync", "EIO", 12},
		{"write", "EIO", 12},
		{"write", "ENOSPC", 6},
		{"write", "short", 6},
		{"write", "EROFS", 2},
		{"read", "EIO", 2},
	} {
		for first := 1; first <= sort.firsts; first++ {
			count := []int{1, 3, 0}[first%3]
			faults = append(faults, diskFault{sort.call, sort.how, first, count})
		}
		// Far out: checkpoints and a log that begins anew are there.
		faults = append(faults, diskFault{sort.call, sort.how, 20 + rand.IntN(400), 1}, diskFault{sort.call, sort.how, 20 + rand.IntN(400), 0})
	}
	return faults
}

// TestFailingDisk runs the directory on a disk of which some calls fail, and
// which then loses its power: nothing is acknowledged after a sync that
// failed, and the directory writes again by itself once the disk does.
func TestFailingDisk(t *testing.T) {
	disk := newFaultDisk(t)
	workers := newCrashWorkers()
	for _, w := range workers {
		w.mayRefuse = true
	}
	happened := 0
	for range *faultRounds {
		for _, fault := range diskFaults() {
			t.Logf("with %v", fault)
			happened += disk.round(fault, workers)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	server, dir := startDurable(t, disk.files)
	for _, w := range workers {
		w.verify(t, dir)
	}
	_ = server.cmd.Process.Signal(syscall.SIGKILL)
	server.wait()
	verifyStore(t, disk.files, workers)
	t.Logf("%d calls failed", happened)
	if happened == 0 {
		t.Error("no call failed: the disk is none")
	}
}

// round has the workers work while the disk fails, and after it, until the
// power is cut. It returns how many calls failed.
func (d *faultDisk) round(fault diskFault, workers []*crashWorker) int {
	server, dir := startDurable(d.T, d.files)
	for _, w := range workers {
		w.verify(d.T, dir)
	}
	d.command("fail "+fault.String(), "ok")
	workOn(d.T, workers, dir, 150)
	if fault.count == 0 && rand.IntN(2) == 0 {
		d.command("well", "")
		writesAgain(d.T, dir)
	}
	if fault.count > 0 {
		writesAgain(d.T, dir)
	}
	workOn(d.T, workers, dir, 50+rand.Int64N(100))
	end := syscall.SIGKILL
	if rand.IntN(4) == 0 {
		end = syscall.SIGTERM // it closes its files, on a disk that may fail
	}
	_ = server.cmd.Process.Signal(end)
	server.wait()
	var failed int
	_, _ = fmt.Sscan(d.command("well", ""), &failed)
	if rand.IntN(2) == 0 { // else the next directory finds in memory what may not be on the disk
		d.command("cut", "ok")
	}
	verifyWinners(d.T, workers)
	return failed
}

// workOn has the workers do so many operations, refused ones among them.
func workOn(t *testing.T, workers []*crashWorker, dir lonja.Directory, operations int64) {
	var left atomic.Int64
	left.Store(operations)
	var working sync.WaitGroup
	for _, w := range workers {
		working.Go(func() {
			for left.Add(-1) >= 0 {
				w.step(t, dir)
			}
		})
	}
	working.Wait()
}

// writesAgain waits until the directory does.
func writesAgain(t *testing.T, dir lonja.Directory) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		err := dir.Register(t.Context(), "again")
		if err == nil {
			err = dir.Unregister(t.Context(), "again")
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the directory does not write again: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // the disk gives no signal
	}
}
