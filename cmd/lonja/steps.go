package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// A stepWriter shows what several actors do, a line for each step, from any
// goroutine.
type stepWriter struct {
	mu  sync.Mutex
	out io.Writer
}

// actorWidth is that of the longest actor's name.
const actorWidth = len("operation log")

func (w *stepWriter) step(actor, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.out, "%-*s  %s\n", actorWidth, actor, text)
}

// named returns a writer whose lines are steps of actor. Each Write holds
// whole lines.
func (w *stepWriter) named(actor string) io.Writer { return actorWriter{w, actor} }

type actorWriter struct {
	steps *stepWriter
	actor string
}

func (a actorWriter) Write(lines []byte) (int, error) {
	for line := range strings.Lines(string(lines)) {
		a.steps.step(a.actor, strings.TrimSuffix(line, "\n"))
	}
	return len(lines), nil
}
