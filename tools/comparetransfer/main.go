// Command comparetransfer brings one file over the loopback address with lonja and
// with the programs that people use otherwise, in turns, and prints what each
// took. scripts/compare-transfer runs it.
//
// It starts what it needs, servers as well, in a directory of its own and on free
// ports, and ends and removes it. A program that is not installed is named, with
// how to have it. Nothing of lonja is linked in but words: what it measures is the
// program that people run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

type options struct {
	lonja  string
	dir    string
	size   int64 // MiB
	rounds int
	only   string
	json   bool
}

func main() {
	if is, err := runBare(os.Args[1:]); is {
		exit(err)
	}
	var o options
	flag.StringVar(&o.lonja, "lonja", "bin/lonja", "the `program` to compare with others")
	flag.StringVar(&o.dir, "dir", "", "`directory` for the files, which are removed again (default /dev/shm, so that no disk is measured)")
	flag.Int64Var(&o.size, "size", 1024, "of the file, in `MiB`")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each brings it")
	flag.StringVar(&o.only, "only", "", "compare only those in whose name one of these `words` is, with commas between them")
	flag.BoolVar(&o.json, "json", false, "print the report as JSON")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `Brings one file over the loopback address with lonja and with other programs, each in turn, and compares them.

  scripts/compare-transfer
  scripts/compare-transfer -size 256 -rounds 7 -only lonja,curl

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, o, os.Stdout, os.Stderr)
	stop()
	exit(err)
}

// exit ends the program.
func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "compare-transfer:", err)
	os.Exit(1)
}

// patience is how long one transfer may take.
const patience = 5 * time.Minute

// run compares, and writes the report to out and what goes on to notes.
func run(ctx context.Context, o options, out, notes io.Writer) (err error) {
	if o.size < 1 || o.rounds < 1 {
		return errors.New("nothing to measure: -size and -rounds are at least 1")
	}
	s, err := newStage(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report := &report{Machine: machine(), Bytes: s.size, Rounds: o.rounds, Started: time.Now()}
	var ready []*contestant
	for _, c := range contestants() {
		if !wanted(c.name, o.only) {
			continue
		}
		if missing := c.missing(); len(missing) > 0 {
			report.Missing = append(report.Missing, absence{c.name, missing})
			continue
		}
		fmt.Fprintf(notes, "preparing %s\n", c.name)
		if err := c.start(ctx, s, c); err != nil {
			return fmt.Errorf("prepare %s: %w", c.name, err)
		}
		ready = append(ready, c)
	}
	for round := 1; round <= o.rounds; round++ {
		for i := range ready {
			if round%2 == 0 { // a machine that slows down favours nobody
				i = len(ready) - 1 - i
			}
			r, err := s.measure(ctx, ready[i], round)
			if err != nil {
				return fmt.Errorf("%s: %w", ready[i].name, err)
			}
			fmt.Fprintf(notes, "round %d: %s, %.0f MB/s\n", round, r.Name, r.rate())
			report.Results = append(report.Results, *r)
		}
	}
	report.sum(ready)
	if o.json {
		return report.writeJSON(out)
	}
	return report.writeTable(out)
}

// wanted reports whether only has one of its words in name, or is empty.
func wanted(name, only string) bool {
	if only == "" {
		return true
	}
	for word := range strings.SplitSeq(only, ",") {
		if strings.Contains(name, strings.TrimSpace(word)) {
			return true
		}
	}
	return false
}

// A contestant is a way to bring a file over.
type contestant struct {
	name    string
	checked string    // what makes sure that the right content came; empty: nothing does
	needs   []program // without which it cannot take part

	// start starts its servers, and sets what follows.
	start   func(ctx context.Context, s *stage, c *contestant) error
	servers []*server
	// prepare, if set, is called before each transfer, and not timed. Its servers
	// are of that transfer.
	prepare func(ctx context.Context) ([]*server, error)
	// fetch brings the file to target, whose directory is there.
	fetch func(ctx context.Context, r *runner, target string) error
}

// A program is one that must be installed.
type program struct{ name, install string }

func debian(name, pkg string) program { return program{name, "apt-get install " + pkg} }

// find returns where a program is. Servers are not always where people look for
// programs.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	return exec.LookPath(filepath.Join("/usr/sbin", name))
}

// missing returns the programs that are not installed, with how to have them.
func (c *contestant) missing() (missing []string) {
	for _, p := range c.needs {
		if _, err := find(p.name); err != nil {
			missing = append(missing, fmt.Sprintf("%s (%s)", p.name, p.install))
		}
	}
	return missing
}

func contestants() []*contestant {
	nginx, b3sum := debian("nginx", "nginx-light"), debian("b3sum", "b3sum")
	curl, aria2c := debian("curl", "curl"), debian("aria2c", "aria2")
	ssh, sshd := debian("ssh", "openssh-client"), debian("sshd", "openssh-server")
	return []*contestant{
		{name: "lonja get, one holder", checked: "each piece, BLAKE3", start: startLonja(1)},
		{name: "lonja get, three holders", checked: "each piece, BLAKE3", start: startLonja(3)},
		{name: "bare TLS, one sender", start: startBare(1)},
		{name: "bare TLS, three senders", start: startBare(3)},
		{name: "curl from nginx", needs: []program{curl, nginx}, start: startCurl(false)},
		{name: "curl from nginx, then b3sum", checked: "whole, BLAKE3", needs: []program{curl, nginx, b3sum}, start: startCurl(true)},
		{name: "aria2c from three nginx", checked: "whole, SHA-256", needs: []program{aria2c, nginx}, start: startAria2},
		{name: "rsync over ssh", checked: "whole, its own", needs: []program{debian("rsync", "rsync"), ssh, sshd}, start: startRsync},
		{name: "scp", needs: []program{debian("scp", "openssh-client"), ssh, sshd}, start: startSCP},
		{
			name: "BitTorrent, aria2c and opentracker", checked: "each piece, SHA-1",
			needs: []program{aria2c, debian("opentracker", "opentracker"), debian("mktorrent", "mktorrent")}, start: startTorrent,
		},
		{
			name: "croc with its own relay", checked: "whole, xxHash",
			needs: []program{{"croc", "apt-get install croc where Debian has it, else go install github.com/schollz/croc/v10@latest"}}, start: startCroc,
		},
	}
}
