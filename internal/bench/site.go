package bench

import (
	"context"
	"errors"
	"regexp"

	"lonja/internal/datetime"
)

// A Target is what a trial puts the load on.
type Target uint8

// The targets.
const (
	Limit Target = iota // the bare server
	Lonja               // the directory
	targetCount
)

// String returns the target's name.
func (t Target) String() string {
	if t == Limit {
		return "limit"
	}
	return "lonja"
}

// LimitCommand is the subcommand, of "lonja bench", that runs the limit server.
const LimitCommand = "limit-server"

// logHostVariable tells "lonja server" where the operation log is.
const logHostVariable = "LOG_RPC_IP"

// What the subcommands print once they listen.
var (
	serverListens   = regexp.MustCompile(`(?m)^s> init server (\S+)$`)
	loggerListens   = regexp.MustCompile(`listening on port (\d+) `)
	datetimeListens = regexp.MustCompile(`date-time service on (\S+), `)
)

// A site is the processes of one trial. A process that the trial does not have
// is nil.
type site struct {
	server   *process
	logger   *process
	datetime *process

	address string // of the server
	url     string // of the date-time service
}

// openSite starts what a trial needs and waits until all of it listens. The
// caller closes it.
func openSite(ctx context.Context, opts Options, t Trial) (_ *site, err error) {
	program := opts.Executable
	s := &site{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if t.Services.Datetime {
		if err := s.startDatetime(ctx, program); err != nil {
			return nil, err
		}
	}
	if t.Target == Limit {
		s.address, s.server, err = listening(ctx, serverListens, program, nil, "bench", LimitCommand)
		return s, err
	}
	env := []string{logHostVariable + "="}
	if t.Services.Logger != NoLogger {
		port, err := s.startLogger(ctx, program)
		if err != nil {
			return nil, err
		}
		env = []string{logHostVariable + "=127.0.0.1:" + port}
	}
	s.address, s.server, err = s.startServer(ctx, opts, env)
	if err == nil && t.Services.Logger == LoggerStopped {
		err = s.logger.suspend()
	}
	return s, err
}

// serverData is the data directory of a server, in the directory of its
// process: each trial begins with an empty one.
const serverData = "data"

func (s *site) startServer(ctx context.Context, opts Options, env []string) (string, *process, error) {
	data, base := serverData, opts.Data
	if opts.Data == InMemory {
		data, base = InMemory, ""
	}
	p, err := startProcessIn(base, opts.Executable, env,
		"server", "--host", "127.0.0.1", "--port", "0", "--admin", "off", "--data", data)
	return awaitListener(ctx, serverListens, p, err)
}

func (s *site) startDatetime(ctx context.Context, program string) (err error) {
	var address string
	address, s.datetime, err = listening(ctx, datetimeListens, program, nil,
		"datetime", "--host", "127.0.0.1", "--port", "0")
	s.url = "http://" + address + "/"
	return err
}

func (s *site) startLogger(ctx context.Context, program string) (port string, err error) {
	port, s.logger, err = listening(ctx, loggerListens, program, nil,
		"logger", "--host", "127.0.0.1", "--rpcbind=false")
	return port, err
}

// listening starts a process and waits for it to print where it listens.
func listening(ctx context.Context, where *regexp.Regexp, program string, env []string, args ...string) (string, *process, error) {
	p, err := startProcess(program, env, args...)
	return awaitListener(ctx, where, p, err)
}

// awaitListener waits for a process, unless err says that there is none, to
// print where it listens.
func awaitListener(ctx context.Context, where *regexp.Regexp, p *process, err error) (string, *process, error) {
	if err != nil {
		return "", nil, err
	}
	address, err := p.await(ctx, where)
	if err != nil {
		return "", nil, errors.Join(err, p.stop())
	}
	return address, p, nil
}

// newClock returns a client of the site's date-time service.
func (s *site) newClock() (clock, error) {
	c, err := datetime.NewClient(datetime.Options{URL: s.url})
	if err != nil {
		return nil, err // and not a clock that is a nil *Client
	}
	return c, nil
}

// terminate asks all processes to end.
func (s *site) terminate() {
	for _, p := range s.processes() {
		p.terminate()
	}
}

// close ends all processes, the server first: it feeds the logger.
func (s *site) close() error {
	var errs []error
	for _, p := range s.processes() {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

func (s *site) processes() []*process {
	var there []*process
	for _, p := range []*process{s.server, s.logger, s.datetime} {
		if p != nil {
			there = append(there, p)
		}
	}
	return there
}
