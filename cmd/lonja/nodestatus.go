package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"time"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/private"
)

// How often a running node looks whether it has news of how it can be reached, and
// how often it says that it still runs. What has said nothing for statusLasts does
// not run any more: it crashed, and its number may be another process's by now.
const (
	statusLook   = time.Second
	statusRenews = time.Minute
	statusLasts  = 3 * statusRenews
)

// statusName is the file in which a running node says how it can be reached.
func statusName(directory string, user lonja.UserName) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", len(directory), directory, user))
	return fmt.Sprintf("node-%x.json", sum[:16])
}

// A statusFile is where a node says how it can be reached, for "lonja who --me".
type statusFile struct {
	state, directory, program string
	log                       *slog.Logger

	name string // of the file that is there, or ""
	last reachLine
}

// keepStatus keeps the file until the returned function is called, which removes
// it and waits for that.
func keepStatus(n *node.Node, f *statusFile) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(statusLook)
		defer ticker.Stop()
		for {
			if err := f.look(n); err != nil {
				f.log.Debug("how this node can be reached is not written down", slog.Any("error", err))
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				f.remove()
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// look writes the file if there is news.
func (f *statusFile) look(n *node.Node) error {
	line, err := reachOf(n, f.program)
	if err != nil { // no user is connected
		f.remove()
		return nil
	}
	same := line
	same.Written = f.last.Written
	if reflect.DeepEqual(same, f.last) && line.Written.Sub(f.last.Written) < statusRenews {
		return nil
	}
	name := statusName(f.directory, lonja.UserName(line.User))
	if name != f.name {
		f.remove()
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	dir, err := private.Lock(f.state, private.Fixed)
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Write(name, append(text, '\n')), dir.Close()); err != nil {
		return err
	}
	f.name, f.last = name, line
	return nil
}

func (f *statusFile) remove() {
	if f.name != "" {
		_ = os.Remove(filepath.Join(f.state, f.name)) // who reads it sees that the process is gone
	}
	f.name, f.last = "", reachLine{}
}

// readStatus reads what a running node says, or nil where none runs.
func readStatus(state, name string) (*reachLine, error) {
	text, err := private.Read(state, name, private.Fixed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var line reachLine
	if err := json.Unmarshal(text, &line); err != nil {
		return nil, lonja.E(lonja.Damaged, "read "+filepath.Join(state, name), err)
	}
	if time.Since(line.Written) > statusLasts || line.Process <= 0 || errors.Is(syscall.Kill(line.Process, 0), syscall.ESRCH) {
		return nil, nil
	}
	return &line, nil
}
