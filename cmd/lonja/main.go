// Command lonja lets people share files straight from their own machines
// through a directory that they run themselves.
//
// This package reads flags and environment, wires the parts together and turns
// errors into exit statuses. There is one file for each subcommand.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"lonja"
)

// The exit statuses of every subcommand.
const (
	exitOK    = 0
	exitError = 1 // what was asked could not be done
	exitUsage = 2 // what was asked makes no sense
	exitTaken = 3 // another program with the same key is connected now: not to be started again by a machine
)

// exitHelp ends the help of every subcommand.
const exitHelp = `
Exit status: 0 done, 1 it could not be done (standard error says why),
2 wrong flags or arguments.`

// version is set by app.sh to what git describes.
var version = "dev"

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	signal.Ignore(syscall.SIGPIPE) // commands clean up when nobody reads their output any more
	signals, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(signals, stop) // a second signal ends what does not end by itself
	ctx, end := context.WithCancel(signals)
	defer end()
	stdout := &output{file: os.Stdout, end: end}
	root := newRootCommand()
	root.SetOut(stdout)
	root.SetArgs(args)
	addBuiltins(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = stdout.failure()
	}
	if err == nil || stdout.abandoned(err) {
		return exitOK
	}
	fmt.Fprintln(os.Stderr, "lonja:", inWords(err))
	return exitStatus(err)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "lonja",
		Short: "share files straight from your own machines",
		Long: `lonja lets people share files straight from their own machines, through a
directory that they run themselves. The directory knows who is there and what
each one publishes; the files never pass through it.

Start with "lonja up": everything on this machine, for a first look.
` + exitHelp,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          runGroup,

		PersistentPreRunE: applySettings,
	}
	root.PersistentFlags().String(configFlag, "", "`file` with settings (default ~/.config/lonja/"+configName+"; see \"lonja config\")")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %q)", err, cmd.CommandPath()+" --help")}
	})
	root.AddCommand(newServerCommand(), newClientCommand(), newFindCommand(), newUpCommand(),
		newLoggerCommand(), newDatetimeCommand(), newBenchCommand(), newAdminCommand(), newConfigCommand(), newManCommand(),
		newIDCommand(), newTrustCommand(),
		newRegisterCommand(), newUnregisterCommand(), newPublishCommand(), newUnpublishCommand(), newLsCommand(), newGetCommand(), newDownloadsCommand(), newPauseCommand(), newResumeCommand(), newCancelCommand(), newWhyCommand(), newWhoCommand(), newShareCommand(), newEventsCommand())
	completeHelp(root.Commands())
	addCompletions(root)
	return root
}

// addBuiltins adds the commands that cobra has, which take wrong arguments as ours do.
func addBuiltins(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Run, cmd.RunE = nil, runHelp
		case "completion":
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, runGroup
			for _, shell := range cmd.Commands() {
				shell.Args = asUsage(shell.Args)
			}
		}
	}
}

// runHelp shows the help of the command that the arguments name.
func runHelp(cmd *cobra.Command, args []string) error {
	named, rest, err := cmd.Root().Find(args)
	if err != nil {
		return usageError{err}
	}
	if len(rest) > 0 {
		return runGroup(named, rest)
	}
	named.InitDefaultHelpFlag()
	return named.Help()
}

// completeHelp gives each command what all commands have in common.
func completeHelp(cmds []*cobra.Command) {
	for _, cmd := range cmds {
		completeHelp(cmd.Commands())
		if cmd.HasSubCommands() && cmd.Args != nil {
			continue // it only groups others
		}
		cmd.Args = asUsage(cmd.Args)
		cmd.Long += "\n" + exitHelp
	}
}

// runGroup is what a command does that only groups others.
func runGroup(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s has no command %q (see %q)", cmd.CommandPath(), args[0], cmd.CommandPath()+" --help")
	}
	return cmd.Help()
}

// A usageError is what a person must type differently.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// asUsage makes wrong arguments usage errors.
func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			check = cobra.NoArgs
		}
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w (see %q)", err, cmd.CommandPath()+" --help")}
		}
		return refuseEmpty(cmd, args)
	}
}

// logLevel returns what --verbose makes of a program's usual log level.
func logLevel(usual slog.Level, verbose bool) slog.Level {
	if verbose {
		return slog.LevelDebug
	}
	return usual
}

// exitStatus is the table from errors to exit statuses.
func exitStatus(err error) int {
	if _, ok := errors.AsType[usageError](err); ok || errors.Is(err, lonja.Invalid) {
		return exitUsage
	}
	if errors.Is(err, lonja.TakenOver) {
		return exitTaken
	}
	return exitError
}
