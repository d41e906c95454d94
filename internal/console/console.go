// Package console is the client's console: it reads commands, has a node carry
// them out, and shows the outcome in the words of package shell.
//
// On a terminal it edits lines, keeps a history and completes words; from a
// pipe or a file it reads plain lines. What it writes to its output is the
// same to the byte in all three, and is what docs/protocol.md says.
package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/shell"
)

// Options is what a console works with. Node, Lines and Out must be set.
type Options struct {
	Node  *node.Node
	Lines LineReader
	Out   io.Writer // what the protocol says, and nothing else
	// Explain gets a sentence on each failure that Out tells by FAIL alone.
	Explain io.Writer
	// Echo shows each command behind its prompt, as if it had been typed.
	Echo bool
	// StayAtEnd keeps the node serving when the lines have ended without
	// QUIT, until the context ends.
	StayAtEnd bool
	// Progress, if not nil, returns what is told the bytes of a transfer, and
	// what to call when it has ended.
	Progress func(name string) (report func(int64), done func())
}

// A LineReader gives the lines of commands, without their ends.
type LineReader interface {
	// ReadLine shows prompt and returns the next line; io.EOF after the last,
	// or the context's error when that ends first.
	ReadLine(ctx context.Context, prompt string) (string, error)
}

// Run reads and performs commands until QUIT, the end of the lines or the end
// of ctx. Then it disconnects the node's user, silently, and says that it has
// finished. An error means that lines cannot be read or Out not be written.
func Run(ctx context.Context, opts Options) error {
	if opts.Explain == nil {
		opts.Explain = io.Discard
	}
	c := &console{Options: opts}
	err := c.loop(ctx)
	c.Node.Close()
	c.print(shell.Finished)
	return errors.Join(err, c.writeErr)
}

type console struct {
	Options
	writeErr error
	last     search
}

// print writes to the output; the first failure ends the console.
func (c *console) print(text string) {
	if c.writeErr == nil {
		_, c.writeErr = io.WriteString(c.Out, text)
	}
}

func (c *console) loop(ctx context.Context) error {
	for c.writeErr == nil {
		line, err := c.Lines.ReadLine(ctx, shell.Prompt)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF):
			if c.StayAtEnd {
				<-ctx.Done()
			}
			return nil
		case errors.Is(err, ErrLineTooLong):
			c.print("Error: " + err.Error() + "\n")
			continue
		case err != nil:
			return fmt.Errorf("read commands: %w", err)
		}
		if c.Echo {
			c.print(lonja.Printable(line) + "\n")
		}
		cmd, err := shell.Parse(line)
		if err != nil {
			c.print(err.Error() + "\n")
			continue
		}
		if cmd.Verb == shell.Quit {
			return nil
		}
		c.perform(ctx, cmd)
	}
	return nil
}

// perform carries out one command and shows what came of it.
func (c *console) perform(ctx context.Context, cmd shell.Command) {
	var err error
	var list iter.Seq[string] // shown below the result, line by line
	switch cmd.Verb {
	case shell.Nothing:
		return
	case shell.Help:
		c.print(shell.HelpText())
		return
	case shell.Register:
		err = c.Node.Register(ctx, cmd.User)
	case shell.Unregister:
		err = c.Node.Unregister(ctx, cmd.User)
	case shell.Connect:
		err = c.Node.Connect(ctx, cmd.User)
	case shell.Disconnect:
		err = c.Node.Disconnect(ctx, cmd.User)
	case shell.Publish:
		err = c.Node.Publish(ctx, cmd.Local, cmd.Description)
	case shell.Delete:
		err = c.Node.Delete(ctx, cmd.Local)
	case shell.ListUsers:
		var peers []lonja.Peer
		peers, err = c.Node.ListUsers(ctx)
		list = shell.Users(peers)
	case shell.ListContent:
		var listings []lonja.Listing
		listings, err = c.Node.ListContent(ctx, cmd.User)
		list = shell.Content(listings)
	case shell.Find:
		var found string
		found, err = c.find(ctx, cmd)
		list = slices.Values([]string{found})
	case shell.GetFile, shell.GetMultifile:
		err = c.fetch(ctx, cmd)
	}
	if ctx.Err() != nil && err != nil {
		return // told to end meanwhile
	}
	c.print(shell.Result(cmd, err) + "\n")
	if list != nil && err == nil {
		c.printLines(list)
	}
	if shell.NeedsExplanation(cmd, err) {
		c.explain(err)
	}
}

// printLines prints a list that may be long: it is never held as one text.
func (c *console) printLines(lines iter.Seq[string]) {
	if c.writeErr != nil {
		return
	}
	out := bufio.NewWriter(c.Out)
	for line := range lines {
		if _, c.writeErr = out.WriteString(line); c.writeErr != nil {
			return
		}
	}
	c.writeErr = out.Flush()
}

// explain says why a command failed. The text may be somebody else's.
func (c *console) explain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(c.Explain, "lonja:", lonja.Printable(strings.TrimSuffix(line, "\n")))
	}
}

func (c *console) fetch(ctx context.Context, cmd shell.Command) error {
	var report func(int64)
	if c.Progress != nil {
		var done func()
		report, done = c.Progress(string(cmd.Remote))
		defer done()
	}
	if cmd.Verb == shell.GetFile {
		return c.Node.FetchFile(ctx, cmd.User, cmd.Remote, cmd.Local, report)
	}
	return c.Node.FetchMulti(ctx, cmd.Remote, cmd.Local, report)
}
