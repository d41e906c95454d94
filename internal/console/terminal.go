package console

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/ergochat/readline"
)

// historyLimit is how many commands are kept between runs.
const historyLimit = 1000

// A Terminal reads lines from a terminal, with editing, history and completion.
type Terminal struct {
	instance *readline.Instance
	cursor   *cursor
}

// NewTerminal returns a LineReader of the terminal that is the standard input.
// Its history is kept in historyFile, or not at all if that is empty. complete
// may be nil. Close it to give the terminal back.
//
// A goroutine of it reads the standard input until that ends, or until the
// first key after Close.
func NewTerminal(historyFile string, complete Completer) (*Terminal, error) {
	cursor := newCursor(os.Stdin, os.Stdout)
	config := &readline.Config{
		Stdin:             cursor,
		Stdout:            cursor,
		HistoryFile:       historyFile,
		HistoryLimit:      historyLimit,
		HistorySearchFold: true,
		Undo:              true,
	}
	if complete != nil {
		config.AutoComplete = &wordCompleter{complete}
	}
	instance, err := readline.NewFromConfig(config)
	if err != nil {
		cursor.stop()
		return nil, err
	}
	return &Terminal{instance, cursor}, nil
}

// ReadLine implements LineReader. An interrupt from the keyboard ends the
// lines, as the signal would.
func (t *Terminal) ReadLine(ctx context.Context, prompt string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = t.instance.Close() })
	defer stop()
	t.instance.SetPrompt(prompt)
	line, err := t.instance.ReadLine()
	if errors.Is(err, readline.ErrInterrupt) {
		return "", io.EOF
	}
	return line, err
}

// Close gives the terminal back. It may be called twice.
func (t *Terminal) Close() error {
	defer t.cursor.stop()
	return t.instance.Close()
}
