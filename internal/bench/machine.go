package bench

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// A Machine is the size of what a report was measured on.
type Machine struct {
	Cores  int    // that this process may use
	CPU    string // the processor's name, or empty
	Memory int64  // bytes, or 0
	Kernel string // release, or empty
	Go     string // version, system and architecture
}

// thisMachine returns what can be learned of it.
func thisMachine() Machine {
	m := Machine{
		Cores: runtime.NumCPU(),
		Go:    fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuName(b)
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		m.Memory, _ = kibibytes(b, "MemTotal:") // 0 says that it is not known
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = string(bytes.TrimSpace(b))
	}
	return m
}

func cpuName(cpuinfo []byte) string {
	for line := range strings.Lines(string(cpuinfo)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String returns one line.
func (m Machine) String() string {
	parts := []string{fmt.Sprintf("%d cores", m.Cores)}
	if m.CPU != "" {
		parts[0] += " (" + m.CPU + ")"
	}
	if m.Memory > 0 {
		parts = append(parts, fmt.Sprintf("%.1f GiB of memory", float64(m.Memory)/(1<<30)))
	}
	if m.Kernel != "" {
		parts = append(parts, "kernel "+m.Kernel)
	}
	return strings.Join(append(parts, m.Go), ", ")
}
