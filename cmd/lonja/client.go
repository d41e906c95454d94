package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/classic"
	"lonja/internal/console"
	"lonja/internal/datetime"
	"lonja/internal/dirclient"
	"lonja/internal/identity"
	"lonja/internal/node"
	"lonja/internal/telemetry"
)

// datetimeVariable is where the date-time service is, unless a flag says it.
const datetimeVariable = "LONJA_DATETIME"

type clientOptions struct {
	memberOptions
	classic   string
	inputFile string
	listen    string
	mapping   string
	partial   string
	datetime  string
	sendSize  bool
	fetches   int // downloads at once
	rateOptions
}

// classicOnly is the --classic of a client that speaks nothing else.
const classicOnly = "only"

func (o *clientOptions) addFlags(f *pflag.FlagSet) {
	o.memberOptions.addFlags(f)
	f.StringVar(&o.classic, "classic", switchOn, "only (or nothing behind it): speak the classic protocol, unencrypted; on: serve `classic` peers too, where the directory does; off: not even that")
	f.Lookup("classic").NoOptDefVal = classicOnly
	f.StringVar(&o.inputFile, "input-file", "", "read commands from `file`; without a QUIT in it, go on serving")
	f.StringVar(&o.listen, "listen", "", "`address` on which published files are served (default :4445 or the next free port)")
	f.StringVar(&o.mapping, "port-mapping", switchOn, "`on`: have the router lead to that port; off: leave the router alone")
	f.StringVar(&o.partial, "partial", switchOn, "`on`: give others what is here of a file while it is fetched, and be listed for that; off: neither")
	f.StringVar(&o.datetime, "datetime", envOr(datetimeVariable, datetime.DefaultURL),
		"`URL` of the date-time service, with --classic; $"+datetimeVariable)
	f.BoolVar(&o.sendSize, "send-size", false, "send a file's size before it to classic peers, as some want")
	addDownloadsFlag(f, &o.fetches)
	o.rateOptions.addFlags(f)
	notSettings(f, "input-file")
}

func newClientCommand() *cobra.Command {
	var opts clientOptions
	cmd := &cobra.Command{
		Use:   "client",
		Short: "share and fetch files from a console",
		Long: `Opens the console of a directory. HELP lists its commands. A connected user's
published files are served to the others until DISCONNECT or QUIT; they are
served again when the user connects again, also after a restart.

It speaks TLS, with the key of this machine (see "lonja id"). At first contact the
directory's fingerprint is shown and remembered; one that changes later stops
everything. --classic speaks the original protocol: unencrypted, and nothing is
proved. Nothing ever falls back to that by itself. Which of the two is spoken is
said on standard error.

On a terminal, Tab completes commands, paths, users and their files, and the
history is kept. From a pipe or a file, commands are plain lines.`,
		Example: `  lonja client -s localhost -p 4444
  printf 'register ana\nconnect ana\nlist_users\n' | lonja client -s localhost
  lonja client -s localhost --input-file commands.txt`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runClient(cmd, opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func (o *clientOptions) check() error {
	switch {
	case o.classic != switchOn && o.classic != switchOff && o.classic != classicOnly:
		return usagef("--classic=%s: it is only, on or off", o.classic)
	case o.mapping != switchOn && o.mapping != switchOff:
		return usagef("--port-mapping %s: it is on or off", o.mapping)
	case o.partial != switchOn && o.partial != switchOff:
		return usagef("--partial %s: it is on or off", o.partial)
	}
	if err := checkDownloads(o.fetches); err != nil {
		return err
	}
	if o.listen == "" {
		o.listen = ":" + strconv.Itoa(node.DefaultPort)
	}
	if err := checkListen(o.listen); err != nil {
		return usagef("--listen %s: %w", o.listen, err)
	}
	return o.rateOptions.check()
}

func runClient(cmd *cobra.Command, opts clientOptions) error {
	if err := opts.check(); err != nil {
		return err
	}
	input, err := opts.input()
	if err != nil {
		return err
	}
	defer input.Close()
	n, closeNode, err := opts.node(cmd)
	if err != nil {
		return err
	}
	defer closeNode()
	stateDir, err := stateDir(opts.stateDir)
	if err != nil {
		return err
	}
	log := telemetry.NewLog(os.Stderr, logLevel(slog.LevelWarn, opts.verbose))
	return opts.runConsole(cmd.Context(), n, input, stateDir, log)
}

// input opens what commands are read from.
func (o *clientOptions) input() (*os.File, error) {
	if o.inputFile == "" {
		return os.Stdin, nil
	}
	file, err := os.Open(o.inputFile)
	if err != nil {
		return nil, usagef("--input-file: %w", err)
	}
	return file, nil
}

// node returns a node that speaks the dialect of the options, and what closes it.
func (o *clientOptions) node(cmd *cobra.Command) (*node.Node, func(), error) {
	if o.classic == classicOnly {
		return o.classicNode(cmd)
	}
	m, err := o.memberOptions.open(cmd)
	if err != nil {
		return nil, nil, err
	}
	which := "a directory that is met for the first time"
	if len(m.known) > 0 {
		which = "directory " + identity.Hex(m.known[len(m.known)-1])[:shortFingerprint]
	}
	banner("TLS, " + which)
	hashes, trees := m.hashes(), m.outboards()
	n := node.New(node.Options{
		Directory: m.client, DirectoryName: m.name(), StateDir: m.state,
		Listen: o.listen, SendSize: o.sendSize, Log: m.log,
		Secure: &node.SecureOptions{
			Directory: m.client, Key: m.key, Authority: m.set, Follow: m.follow, Pins: m, Hashes: hashes, Outboards: trees,
			Invitation: m.invitation, ClassicOff: o.classic == switchOff,
			MapPort: o.mapping == switchOn && !isLoopback(o.listen), PartialOff: o.partial == switchOff, Rates: o.rates(),
			Begun: listTyped(downloadsBelow(m.state), m.site, m.log),
		},
	})
	stop := keepStatus(n, &statusFile{state: m.state, directory: m.name(), program: "client", log: m.log})
	work := workOff(n, workOptions{state: m.state, site: m.name(), most: o.fetches, log: m.log, sayer: &outcomeSayer{log: m.log}})
	return n, func() {
		work()
		stop()
		n.Close()
		m.close()
		_ = trees.Close()
		_ = hashes.Close()
	}, nil
}

// shortFingerprint is how much of one reminds people of which directory it is: four
// groups of four digits.
const shortFingerprint = 19

// banner says which dialect is spoken: on standard error, as the protocol says each
// byte of the console.
func banner(text string) { fmt.Fprintln(os.Stderr, "lonja:", text) }

// isLoopback reports whether only this machine can reach what listens there.
func isLoopback(listen string) bool {
	addr, err := net.ResolveTCPAddr("tcp", listen)
	return err == nil && addr.IP.IsLoopback()
}

func (o *clientOptions) classicNode(cmd *cobra.Command) (*node.Node, func(), error) {
	where, err := o.site()
	if err != nil {
		return nil, nil, err
	}
	state, err := stateDir(o.stateDir)
	if err != nil {
		return nil, nil, err
	}
	log := telemetry.NewLog(os.Stderr, logLevel(slog.LevelWarn, o.verbose))
	clock, err := datetime.NewClient(datetime.Options{URL: o.datetime, Log: log})
	if err != nil {
		return nil, nil, usagef("--datetime: %w", err)
	}
	// Scripts that say --classic themselves, and take both outputs for the console's,
	// know it, and go on working.
	if somebodyThere() || !onTheCommandLine(cmd, "classic") {
		banner("classic, not encrypted")
	}
	n := node.New(node.Options{
		Directory:     dirclient.New(dirclient.Options{Address: where.name(), Timestamp: clock.Now}),
		DirectoryName: where.name(),
		StateDir:      state,
		Listen:        o.listen,
		SendSize:      o.sendSize,
		Rates:         o.rates(),
		Log:           log,
	})
	return n, func() {
		n.Close()
		clock.Close()
	}, nil
}

// checkListen reports why files cannot be served at address: the protocol knows
// no ports below 1024.
func checkListen(address string) error {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err == nil && addr.Port != 0 && addr.Port < classic.MinPort {
		err = fmt.Errorf("port %d is not between %d and 65535", addr.Port, classic.MinPort)
	}
	return err
}

// runConsole gives the node the right kind of console.
func (o *clientOptions) runConsole(ctx context.Context, n *node.Node, in *os.File, stateDir string, log *slog.Logger) error {
	shown := console.Options{Node: n, Out: os.Stdout, Explain: os.Stderr}
	if telemetry.IsTerminal(os.Stderr) {
		shown.Progress = telemetry.NewTransferBar(os.Stderr)
	}
	switch {
	case o.inputFile != "":
		shown.Echo, shown.StayAtEnd = true, true
	case telemetry.IsTerminal(os.Stdin) && telemetry.IsTerminal(os.Stdout) && canEdit(os.Getenv("TERM")):
		terminal, err := console.NewTerminal(historyFile(stateDir, log), console.CompleteFor(ctx, n))
		if err != nil {
			return err
		}
		defer terminal.Close()
		shown.Lines = terminal
		return console.Run(ctx, shown)
	}
	lines, stop := console.NewPlainReader(in, os.Stdout)
	defer stop()
	shown.Lines = lines
	return console.Run(ctx, shown)
}

// canEdit reports whether a terminal of that kind can move its cursor.
func canEdit(kind string) bool { return kind != "" && kind != "dumb" }

// historyFile returns where the commands typed are kept, for their owner only,
// or "" where that cannot be.
func historyFile(stateDir string, log *slog.Logger) string {
	path := filepath.Join(stateDir, "history")
	err := os.MkdirAll(stateDir, 0o700)
	if err == nil {
		var file *os.File
		if file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND, 0o600); err == nil {
			err = file.Close()
		}
	}
	if err != nil {
		log.Warn("the history is not kept", slog.Any("error", err))
		return ""
	}
	return path
}

// stateDir returns the directory for what must survive a restart, by the XDG
// base directory specification.
func stateDir(chosen string) (string, error) {
	if chosen != "" {
		return chosen, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lonja"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("nowhere to keep what is published: %w; set XDG_STATE_HOME or use --state-dir", err)
	}
	return filepath.Join(home, ".local", "state", "lonja"), nil
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
