package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"lonja"
	"lonja/internal/downloads"
	"lonja/internal/shell"
)

// defaultProgress is how often it is said how far a download is, where there is no
// terminal.
const defaultProgress = 5 * time.Second

// follow tells how a download goes, every so often, until stop is called, which waits
// for that; 0 is never.
func follow(every time.Duration, status func() downloads.Status, tell func(downloads.Status)) (stop func()) {
	if every <= 0 {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				tell(status())
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// progressLine returns a function that writes how far a download is.
func progressLine(w io.Writer, path string) func(downloads.Status) {
	return func(s downloads.Status) {
		fmt.Fprintf(w, "lonja: %s: %s of %s, %s\n", lonja.Printable(filepath.Base(path)), shell.FormatSize(s.Received), shell.FormatSize(s.Size), progressText(s))
	}
}

// progressText says how a download goes, but for the bytes.
func progressText(s downloads.Status) string {
	if s.Waits != "" {
		return "waits: " + lonja.Printable(firstLine(s.Waits))
	}
	text := shell.FormatSize(s.Speed) + "/s"
	if left, known := s.Left(); known {
		text += ", " + left.Round(time.Second).String() + " left"
	}
	text += ", " + holders(s.Connected())
	if s.OfFiles > 0 {
		return text + fmt.Sprintf(", file %d of %d", s.Files, s.OfFiles)
	}
	return text + fmt.Sprintf(", piece %d of %d", s.Pieces, s.Of)
}

func holders(n int) string {
	if n == 1 {
		return "1 holder"
	}
	return fmt.Sprintf("%d holders", n)
}
