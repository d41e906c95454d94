package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of the times in /proc: USER_HZ, which is 100 on every
// architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuTime returns the processor time that a process has used so far, in user
// and in system mode.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(b)
}

// parseStat reads the fields utime and stime, the 14th and 15th, of proc(5)'s
// stat. The second may have blanks in it, but ends with the last ')'.
func parseStat(stat []byte) (time.Duration, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("%.80q is not the stat of a process", stat)
	}
	var ticks uint64
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stat of a process: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// machineTime returns the processor time of all processors together since the
// machine started: what programs and the kernel used, what a host took away
// included, and what there was.
func machineTime() (busy, all time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	return parseMachineStat(b)
}

// parseMachineStat reads the first line of /proc/stat: "cpu user nice system
// idle iowait irq softirq steal ...". What follows is part of user and nice.
func parseMachineStat(stat []byte) (busy, all time.Duration, err error) {
	const values, idle, iowait = 8, 3, 4
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line)
	if len(fields) <= values || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("%.80q is not the stat of a machine", line)
	}
	for i, field := range fields[1 : values+1] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("stat of the machine: %w", err)
		}
		all += time.Duration(n) * clockTick
		if i != idle && i != iowait {
			busy += time.Duration(n) * clockTick
		}
	}
	return busy, all, nil
}

// peakMemory returns the most memory that a process has held so far, in bytes.
func peakMemory(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return kibibytes(b, "VmHWM:")
}

// residentMemory returns the memory that a process holds now, in bytes.
func residentMemory(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return kibibytes(b, "VmRSS:")
}

// kibibytes returns, in bytes, the value of a line "name  n kB" as /proc has
// them.
func kibibytes(file []byte, name string) (int64, error) {
	lines := bufio.NewScanner(bytes.NewReader(file))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == name && fields[2] == "kB" {
			n, err := strconv.ParseInt(fields[1], 10, 54)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no line %q", name)
}

// ownCPUTime returns the processor time that this process has used so far.
func ownCPUTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// checkDescriptors reports whether this process may open what that many
// clients need: a connection to the directory and one to the date-time service
// each.
func checkDescriptors(clients int) error {
	const spare = 64
	var most syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if need := uint64(2*clients + spare); need > most.Cur {
		return fmt.Errorf("%d clients need %d open files, the limit is %d (see ulimit -n)", clients, need, most.Cur)
	}
	return nil
}
