package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"lonja"
)

// DefaultMemberFiles is how many files a member has published.
const DefaultMemberFiles = 100_000

// MemberOptions is what RunMember measures.
type MemberOptions struct {
	// Executable is the lonja program, whose subcommands are measured.
	Executable string
	// Dir is an existing directory for the files and all else, empty for memory
	// where there is a tmpfs. Nothing is left there.
	Dir    string
	Files  int
	Rounds int
	Tell   func(string) // is told what goes on
}

// A MemberStart is one start of "lonja share" with everything published already.
type MemberStart struct {
	Round   int     `json:"round"`
	Serving Seconds `json:"serving"`     // until it serves, and is listed as connected
	Settled Seconds `json:"settled"`     // until it has looked at all files and rests
	CPU     Seconds `json:"cpu_seconds"` // until then
	Memory  int64   `json:"bytes"`       // that the process holds then
	Peak    int64   `json:"peak_bytes"`  // the most that it held
	Listing Listing `json:"listing"`     // of all that it has, asked for by itself
	Bare    Seconds `json:"bare_walk"`   // looking at all files without lonja, before it
}

// A Listing is how "lonja ls --json" lists all files.
type Listing struct {
	Lines   int     `json:"lines"`
	First   Seconds `json:"first"`   // until the first line
	Longest Seconds `json:"longest"` // pause between two lines
	All     Seconds `json:"all"`
}

// A MemberReport is what RunMember measured.
type MemberReport struct {
	Machine    Machine       `json:"machine"`
	Started    time.Time     `json:"started"`
	Files      int           `json:"files"`
	InMemory   bool          `json:"in_memory"`  // all of it was on a tmpfs
	Publishing Seconds       `json:"publishing"` // the first time
	Median     MemberStart   `json:"median"`
	Starts     []MemberStart `json:"starts"`
}

// A member is a user with a home of its own, and a directory to be in.
type member struct {
	opts   *MemberOptions
	server *process
	env    []string
	home   string
}

const (
	memberName  = "ana"
	sharedFiles = "shared" // below the home
	perFolder   = 1000
)

// RunMember measures "lonja share" of a member who has published many small files,
// started again when their hashes are known: how long it takes, what it costs, and
// how "lonja ls" lists them. The limit of the start is to look at all files.
func RunMember(ctx context.Context, o MemberOptions) (_ *MemberReport, err error) {
	if o.Files < 1 || o.Rounds < 1 {
		return nil, invalid("%d files and %d rounds are too few to measure", o.Files, o.Rounds)
	}
	dir, err := memoryDir(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &MemberReport{Machine: thisMachine(), Started: time.Now(), Files: o.Files, InMemory: inMemory(dir)}
	m := &member{opts: &o, home: filepath.Join(dir, "home")}
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.server.stop()) }()
	o.Tell(fmt.Sprintf("publishing %d files", o.Files))
	began := time.Now()
	if _, err := m.lonja(ctx, "publish", sharedFiles); err != nil {
		return nil, err
	}
	r.Publishing = Seconds(time.Since(began))
	for round := 1; round <= o.Rounds; round++ {
		o.Tell(fmt.Sprintf("start %d of %d", round, o.Rounds))
		start, err := m.start(ctx, round)
		if err != nil {
			return nil, err
		}
		r.Starts = append(r.Starts, *start)
	}
	r.sum()
	return r, nil
}

// open makes the files, starts a directory, and registers.
func (m *member) open(ctx context.Context) error {
	for i := range m.opts.Files {
		folder := filepath.Join(m.home, sharedFiles, fmt.Sprintf("folder %d", i/perFolder))
		if i%perFolder == 0 {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				return err
			}
		}
		name := filepath.Join(folder, fmt.Sprintf("file %d.txt", i))
		if err := os.WriteFile(name, fmt.Appendf(nil, "This is file %d.\n", i), 0o600); err != nil {
			return err
		}
	}
	m.env = []string{
		"HOME=" + m.home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_STATE_HOME=", "XDG_CACHE_HOME=", "XDG_RUNTIME_DIR=" + m.home,
		"LONJA_ADMIN=off", "LONJA_PORT_MAPPING=off",
	}
	var err error
	if m.server, err = startProcess(m.opts.Executable, m.env, "server", "--host", "127.0.0.1", "-p", "0", "--data", InMemory,
		"--limit-publications-per-user", "0"); err != nil {
		return err
	}
	at, err := m.server.await(ctx, regexp.MustCompile(`init server (\S+)`))
	if err == nil {
		m.env = append(m.env, "LONJA_SERVER="+at)
		_, err = m.lonja(ctx, "register", memberName)
	}
	if err != nil {
		err = errors.Join(err, m.server.stop())
	}
	return err
}

func (m *member) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, m.opts.Executable, args...)
	cmd.Dir, cmd.Env = m.home, append(os.Environ(), m.env...)
	return cmd
}

// lonja runs a subcommand to its end.
func (m *member) lonja(ctx context.Context, args ...string) (stdout []byte, err error) {
	cmd := m.command(ctx, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	stdout, err = cmd.Output()
	if err != nil {
		err = fmt.Errorf("lonja %s: %w; it said %q", args[0], err, lonja.Printable(said.String()))
	}
	return stdout, err
}

// settledTimeout is how long it may take until a started node rests.
const settledTimeout = 10 * time.Minute

func (m *member) start(ctx context.Context, round int) (_ *MemberStart, err error) {
	s := &MemberStart{Round: round}
	if s.Bare, err = walk(filepath.Join(m.home, sharedFiles)); err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := startProcess(m.opts.Executable, m.env, "share", filepath.Join(m.home, sharedFiles), "--listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if _, err := p.awaitFor(ctx, settledTimeout, regexp.MustCompile(`serving ()`)); err != nil {
		return nil, err
	}
	s.Serving = Seconds(time.Since(began))
	if err := s.rest(ctx, p, began); err != nil {
		return nil, err
	}
	if s.Memory, err = residentMemory(p.pid()); err != nil {
		return nil, err
	}
	if s.Peak, err = peakMemory(p.pid()); err != nil {
		return nil, err
	}
	s.Listing, err = m.list(ctx)
	if err == nil && s.Listing.Lines != m.opts.Files {
		err = fmt.Errorf("%d files are listed, of %d", s.Listing.Lines, m.opts.Files)
	}
	return s, err
}

// walk looks at all files below dir.
func walk(dir string) (took Seconds, err error) {
	began := time.Now()
	err = filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err == nil {
			_, err = entry.Info()
		}
		return err
	})
	return Seconds(time.Since(began)), err
}

// A node rests when it takes less than restShare of a processor for restTime.
const (
	restTime  = 2 * time.Second // longer than a file that may still be written is waited for
	restShare = 0.05
)

// rest waits until the process has done what it does after its start.
func (s *MemberStart) rest(ctx context.Context, p *process, began time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, settledTimeout)
	defer cancel()
	for {
		at := time.Since(began)
		before, err := cpuTime(p.pid())
		if err != nil {
			return err
		}
		pass(ctx, restTime)
		if ctx.Err() != nil {
			return p.failed(ctx.Err())
		}
		after, err := cpuTime(p.pid())
		if err != nil {
			return err
		}
		if float64(after-before) < restShare*float64(restTime) {
			s.Settled, s.CPU = Seconds(at), Seconds(before)
			return nil
		}
	}
}

// list lists everything, and looks at how the lines come.
func (m *member) list(ctx context.Context) (l Listing, err error) {
	cmd := m.command(ctx, "ls", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return l, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return l, err
	}
	last := time.Duration(0)
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		if _, err = lines.ReadSlice('\n'); err != nil {
			break
		}
		at := time.Since(began)
		if l.Lines++; l.Lines == 1 {
			l.First = Seconds(at)
		} else {
			l.Longest = max(l.Longest, Seconds(at-last))
		}
		last = at
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	l.All = Seconds(last)
	return l, errors.Join(err, cmd.Wait())
}

// sum makes the medians.
func (r *MemberReport) sum() {
	over := func(value func(MemberStart) float64) float64 { return medianOver(r.Starts, value) }
	seconds := func(value func(MemberStart) Seconds) Seconds {
		return Seconds(over(func(s MemberStart) float64 { return float64(value(s)) }))
	}
	r.Median = MemberStart{
		Serving: seconds(func(s MemberStart) Seconds { return s.Serving }),
		Settled: seconds(func(s MemberStart) Seconds { return s.Settled }),
		CPU:     seconds(func(s MemberStart) Seconds { return s.CPU }),
		Bare:    seconds(func(s MemberStart) Seconds { return s.Bare }),
		Memory:  int64(over(func(s MemberStart) float64 { return float64(s.Memory) })),
		Peak:    int64(over(func(s MemberStart) float64 { return float64(s.Peak) })),
		Listing: Listing{
			Lines:   r.Files,
			First:   seconds(func(s MemberStart) Seconds { return s.Listing.First }),
			Longest: seconds(func(s MemberStart) Seconds { return s.Listing.Longest }),
			All:     seconds(func(s MemberStart) Seconds { return s.Listing.All }),
		},
	}
}

// WriteTable writes the report for people to read.
func (r *MemberReport) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	place := "a disk"
	if r.InMemory {
		place = "a tmpfs"
	}
	fmt.Fprintf(&b, `%s
"lonja share" of %d small files on %s, all published already (which took %.1f s). A process of its own; the last row is the median.

`, r.Machine, r.Files, place, time.Duration(r.Publishing).Seconds())
	t := newTabWriter(&b)
	fmt.Fprintln(t, "start\tbare walk s\tserves after s\trests after s\tCPU s\tMiB then\tpeak\tls: first line s\tlongest pause s\tall s\t")
	s := func(d Seconds) string { return fmt.Sprintf("%.2f", time.Duration(d).Seconds()) }
	for i, x := range append(r.Starts, r.Median) {
		name := fmt.Sprint(x.Round)
		if i == len(r.Starts) {
			name = "median"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.0f\t%.0f\t%s\t%s\t%s\t\n", name, s(x.Bare), s(x.Serving), s(x.Settled), s(x.CPU),
			mebibytes(x.Memory), mebibytes(x.Peak), s(x.Listing.First), s(x.Listing.Longest), s(x.Listing.All))
	}
	_ = t.Flush() // to memory
	_, err := w.Write(b.Bytes())
	return err
}
