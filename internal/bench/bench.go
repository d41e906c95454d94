// Package bench measures a directory: Run measures it under load, RunStore its
// durable writes, RunIndex how it starts and answers with a million listings,
// and RunPresence the renewals of leases. Each measures its limit in turns with
// it: what the same machine does in the same run without lonja.
//
// Run has many clients at once, each doing random operations, one connection
// for each, as the classic protocol wants.
//
// What is measured runs as processes of its own, started from the same
// executable; this process is the clients. Each measurement has a twin against
// the limit: a bare server that accepts, reads the strings of the request,
// answers one byte and closes. What a directory reaches of the limit in the
// same run says how much its own work costs; operations per second alone say
// more about the machine.
//
// The parts: a script makes a client's requests and knows what may be answered,
// a client performs them, a load runs many clients, a site starts and stops the
// processes of one Trial, Run performs the trials of a plan, and a Report turns
// their results into a table, a CSV file and plots.
package bench

import (
	"fmt"
	"strings"
	"time"
)

// The defaults of Options.
const (
	DefaultRounds        = 3
	DefaultDuration      = 3 * time.Second
	DefaultWarmup        = time.Second
	DefaultTimeout       = 10 * time.Second
	DefaultLoggerClients = 300
)

// DefaultClients returns the default sweep.
func DefaultClients() []int { return []int{1, 3, 10, 30, 100, 300, 1000, 3000} }

// InMemory is the Options.Data of servers that keep nothing.
const InMemory = ":memory:"

// Options is what Run measures. Executable must be set.
type Options struct {
	// Executable is the lonja program, whose subcommands are measured.
	Executable string
	// Data is an existing directory below which each server on test keeps its
	// data while it runs, empty for the one of DiskDir, or InMemory.
	Data string
	// Clients are the numbers of clients at once, ascending.
	Clients []int
	// Services are the configurations that are swept.
	Services []Services
	// LoggerClients is the number of clients at which a running, a stopped
	// and no logger are compared. 0: they are not.
	LoggerClients int

	Rounds   int           // measurements of each point
	Duration time.Duration // of one measurement
	Warmup   time.Duration // load before each measurement, not counted
	Timeout  time.Duration // an operation that takes longer has failed
	Seed     uint64        // same seed, same requests

	// Progress, if set, is told before each trial and once at the end.
	Progress func(done, total int)
}

// A LoggerState is what becomes of the operation log's service in a trial.
type LoggerState uint8

// The states of the logger.
const (
	NoLogger LoggerState = iota
	LoggerRunning
	LoggerStopped // there, but suspended: it accepts and never answers
)

// Services are the services that run beside the directory.
type Services struct {
	Logger   LoggerState
	Datetime bool // each client asks it for the time before each operation
}

// serviceNames are the names of Services for people and flags.
var serviceNames = []struct {
	name     string
	services Services
}{
	{"none", Services{}},
	{"logger", Services{Logger: LoggerRunning}},
	{"datetime", Services{Datetime: true}},
	{"both", Services{LoggerRunning, true}},
	{"stopped-logger", Services{Logger: LoggerStopped}},
	{"stopped-logger+datetime", Services{LoggerStopped, true}},
}

// String returns the name that ParseServices takes.
func (s Services) String() string {
	for _, known := range serviceNames {
		if known.services == s {
			return known.name
		}
	}
	return fmt.Sprintf("logger %d, datetime %t", s.Logger, s.Datetime)
}

// ParseServices is the reverse of String.
func ParseServices(name string) (Services, error) {
	names := make([]string, 0, len(serviceNames))
	for _, known := range serviceNames {
		if known.name == name {
			return known.services, nil
		}
		names = append(names, known.name)
	}
	return Services{}, fmt.Errorf("no services are called %q: there are %s", name, strings.Join(names, ", "))
}
