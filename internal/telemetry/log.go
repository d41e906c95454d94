// Package telemetry is how a running program tells its operator what it does:
// the diagnostic log, bars of progress, and metrics. The operation log, which
// users' requests go to, is another thing: see package oplog.
package telemetry

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// NewLog returns a logger that writes to w a line for each event of that level
// or worse. Colours are used on a terminal only, and never where NO_COLOR is
// set.
func NewLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level: level, TimeFormat: time.DateTime, NoColor: !IsTerminal(w) || os.Getenv("NO_COLOR") != "",
	}))
}

// IsTerminal reports whether f, a reader or a writer, is a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}
