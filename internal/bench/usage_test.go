package bench

import (
	"math"
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	tests := []struct {
		name, stat string
		want       time.Duration
		fails      bool
	}{
		{"plain", "12 (lonja) S 1 2 3 4 5 6 7 8 9 10 250 75 0 0 20 0 9", 3250 * time.Millisecond, false},
		{"name with blanks and brackets", "12 (a b) c) R 1 2 3 4 5 6 7 8 9 10 1 2 0", 30 * time.Millisecond, false},
		{"cut short", "12 (lonja) S 1 2", 0, true},
		{"not a number", "12 (lonja) S 1 2 3 4 5 6 7 8 9 10 x 75 0", 0, true},
		{"empty", "", 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStat([]byte(test.stat))
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("got %v, %v, want %v, failing %t", got, err, test.want, test.fails)
			}
		})
	}
}

func TestParseMachineStat(t *testing.T) {
	busy, all, err := parseMachineStat([]byte("cpu  1 2 3 40 50 6 7 8 9 10\ncpu0 0 0\n"))
	if busy != 27*clockTick || all != 117*clockTick || err != nil {
		t.Errorf("got %v of %v, %v, want 270ms of 1.17s", busy, all, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "cpux 1 2 3 4 5 6 7 8", "cpu a 2 3 4 5 6 7 8"} {
		if _, _, err := parseMachineStat([]byte(bad)); err == nil {
			t.Errorf("%q is taken for the stat of a machine", bad)
		}
	}
}

func TestMeterReckons(t *testing.T) {
	m := &meter{}
	m.from.at = time.Now()
	m.to.at = m.from.at.Add(2 * time.Second)
	m.to.cpu = [meterCount]time.Duration{time.Second, 0, 0, time.Second}
	m.to.busy, m.to.all = 3*time.Second, 4*time.Second
	if got := m.perOperation(meterServer, 1000); got != 500*time.Microsecond {
		t.Errorf("per operation %v, want 500µs", got)
	}
	if got := m.perOperation(meterServer, 0); got != 0 {
		t.Errorf("without operations %v, want 0", got)
	}
	if got := m.disturbance(); got != 0.25 {
		t.Errorf("disturbance %g, want 0.25", got)
	}
}

func TestKibibytes(t *testing.T) {
	const status = "Name:\tlonja\nVmHWM:\t    2048 kB\nThreads:\t3\n"
	if got, err := kibibytes([]byte(status), "VmHWM:"); got != 2<<20 || err != nil {
		t.Errorf("got %d, %v, want 2 MiB", got, err)
	}
	if got, err := kibibytes([]byte(status), "VmRSS:"); err == nil {
		t.Errorf("a line that is not there gave %d", got)
	}
}

// TestOwnProcess holds the parsers against the real files.
func TestOwnProcess(t *testing.T) {
	cpu, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	own, err := ownCPUTime()
	if err != nil {
		t.Fatal(err)
	}
	if own+2*clockTick < cpu {
		t.Errorf("/proc says %v of processor time, getrusage only %v after it", cpu, own)
	}
	peak, err := peakMemory(os.Getpid())
	if err != nil || peak < 1<<20 || peak > 1<<40 {
		t.Errorf("peak memory %d, %v", peak, err)
	}
	if _, err := cpuTime(math.MaxInt32); err == nil {
		t.Error("a process that cannot exist has processor time")
	}
}

func TestMachineKnowsItself(t *testing.T) {
	m := thisMachine()
	if m.Cores < 1 || m.Memory < 1<<20 || m.Kernel == "" || m.Go == "" {
		t.Errorf("machine %+v", m)
	}
	if got := cpuName([]byte("processor\t: 0\nmodel name\t: Some CPU @ 2: fast\n")); got != "Some CPU @ 2: fast" {
		t.Errorf("cpu %q", got)
	}
	got := Machine{Cores: 2, CPU: "X", Memory: 3 << 29, Kernel: "6.1", Go: "go1.26"}.String()
	if want := "2 cores (X), 1.5 GiB of memory, kernel 6.1, go1.26"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheckDescriptors(t *testing.T) {
	if err := checkDescriptors(1); err != nil {
		t.Error(err)
	}
	if err := checkDescriptors(1 << 30); err == nil {
		t.Error("two thousand million open files are allowed")
	}
}
