package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja/internal/classic"
	"lonja/internal/console"
	"lonja/internal/datetime"
	"lonja/internal/dirclient"
	"lonja/internal/node"
	"lonja/internal/telemetry"
)

// datetimeVariable is where the date-time service is, unless a flag says it.
const datetimeVariable = "LONJA_DATETIME"

type clientOptions struct {
	server    string
	port      int
	classic   bool
	inputFile string
	listen    string
	datetime  string
	stateDir  string
	sendSize  bool
	verbose   bool
}

func (o *clientOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.server, "server", "s", "", "`host` of the directory (required)")
	f.IntVarP(&o.port, "port", "p", 4444, "`port` of the directory")
	f.BoolVar(&o.classic, "classic", true, "speak the classic protocol, the only one so far")
	f.StringVar(&o.inputFile, "input-file", "", "read commands from `file`; without a QUIT in it, go on serving")
	f.StringVar(&o.listen, "listen", ":0", "`address` on which published files are served; port 0 takes any free one")
	f.StringVar(&o.datetime, "datetime", envOr(datetimeVariable, datetime.DefaultURL),
		"`URL` of the date-time service; $"+datetimeVariable)
	f.StringVar(&o.stateDir, "state-dir", "", "where publications and the history are kept (default $XDG_STATE_HOME/lonja)")
	f.BoolVar(&o.sendSize, "send-size", false, "send a file's size before it, as some clients want")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell also of single connections")
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

On a terminal, Tab completes commands, paths, users and their files, and the
history is kept. From a pipe or a file, commands are plain lines.`,
		Example: `  lonja client -s localhost -p 4444
  printf 'register ana\nconnect ana\nlist_users\n' | lonja client -s localhost
  lonja client -s localhost --input-file commands.txt`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runClient(cmd.Context(), opts) },
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runClient(ctx context.Context, opts clientOptions) error {
	if opts.server == "" {
		return usagef(`-s HOST is missing: which directory? (see "lonja client --help")`)
	}
	if opts.port < 1 || opts.port > 65535 {
		return usagef("port %d is not between 1 and 65535", opts.port)
	}
	if !opts.classic {
		return usagef("--classic=false: there is no other dialect yet")
	}
	if err := checkListen(opts.listen); err != nil {
		return usagef("--listen %s: %w", opts.listen, err)
	}
	stateDir, err := stateDir(opts.stateDir)
	if err != nil {
		return err
	}
	log := telemetry.NewLog(os.Stderr, logLevel(slog.LevelWarn, opts.verbose))
	clock, err := datetime.NewClient(datetime.Options{URL: opts.datetime, Log: log})
	if err != nil {
		return usagef("--datetime: %w", err)
	}
	defer clock.Close()

	address := net.JoinHostPort(hostName(opts.server), strconv.Itoa(opts.port))
	n := node.New(node.Options{
		Directory:     dirclient.New(dirclient.Options{Address: address, Timestamp: clock.Now}),
		DirectoryName: address,
		StateDir:      stateDir,
		Listen:        opts.listen,
		SendSize:      opts.sendSize,
		Log:           log,
	})
	defer n.Close()
	return runConsole(ctx, opts, n, stateDir, log)
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

// hostName returns host without the brackets in which IPv6 addresses are often
// written.
func hostName(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// runConsole gives the node the right kind of console.
func runConsole(ctx context.Context, opts clientOptions, n *node.Node, stateDir string, log *slog.Logger) error {
	shown := console.Options{Node: n, Out: os.Stdout, Explain: os.Stderr}
	if telemetry.IsTerminal(os.Stderr) {
		shown.Progress = telemetry.NewTransferBar(os.Stderr)
	}
	var in io.Reader = os.Stdin
	switch {
	case opts.inputFile != "":
		file, err := os.Open(opts.inputFile)
		if err != nil {
			return usagef("--input-file: %w", err)
		}
		defer file.Close()
		in, shown.Echo, shown.StayAtEnd = file, true, true
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
