package downloads

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"lonja"
)

// What is said on the socket of a download is one JSON object on a line, and what is
// answered likewise. Only its owner gets at the socket.

// A word is what the process is told that fetches a download.
type word string

const (
	wordStatus word = "status"
	wordPause  word = "pause"  // answered when it has stopped
	wordCancel word = "cancel" // answered when nothing is left
)

type question struct {
	Do word `json:"do"`
}

type answer struct {
	Status *Status `json:"status,omitempty"`
	Error  string  `json:"error,omitempty"`
	Late   bool    `json:"late,omitempty"` // it has ended by itself, or for another's word
}

// The bounds of what is said.
const (
	maxQuestion = 1 << 10
	maxAnswer   = 4 << 20
	maxAskers   = 16 // at once
	questionFor = 5 * time.Second
	stopsFor    = 30 * time.Second // until a download has stopped
)

const socketName = "control"

// maxSocketPath is what systems take for the path of a socket, and a little less.
const maxSocketPath = 100

// errNobody is why nobody answers at a socket: whoever had it has ended.
var errNobody = errors.New("nobody fetches it")

// withSocket gives use a path to the socket in a directory that is short enough.
func withSocket(dir string, use func(path string) error) error {
	path := filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath {
		return use(path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName))
}

// A control answers at the socket of a download.
type control struct {
	running  *Active
	dir      string
	listener *net.UnixListener
	serving  sync.WaitGroup
	places   chan struct{}

	ended   chan struct{} // closed when the download has ended
	failure error         // of ending it; set before ended is closed
}

// openControl makes the socket, in the place of one that a crash left, and answers
// there.
func openControl(dir string, r *Active) (*control, error) {
	c := &control{running: r, dir: dir, places: make(chan struct{}, maxAskers), ended: make(chan struct{})}
	err := withSocket(dir, func(path string) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // withdraw does, while nobody else can have made another one
		c.listener = l
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		if c.listener != nil {
			_ = c.listener.Close()
		}
		return nil, failed("make the socket of a download in "+dir, err)
	}
	c.serving.Go(c.serve)
	return c, nil
}

// withdraw has nobody find the socket any more.
func (c *control) withdraw() { _ = os.Remove(filepath.Join(c.dir, socketName)) }

// close tells those who wait how the download has ended, and returns when all were
// answered.
func (c *control) close(failure error) {
	c.failure = failure
	close(c.ended)
	_ = c.listener.Close()
	c.serving.Wait()
}

func (c *control) serve() {
	for {
		c.places <- struct{}{}
		conn, err := c.listener.Accept()
		if err != nil {
			<-c.places
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select {
			case <-time.After(50 * time.Millisecond): // no more files, say
				continue
			case <-c.ended:
				return
			}
		}
		c.serving.Go(func() {
			defer func() { <-c.places }()
			defer conn.Close()
			c.answer(conn)
		})
	}
}

// answer answers one question. An error means that whoever asked is gone.
func (c *control) answer(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(questionFor))
	line, err := bufio.NewReader(io.LimitReader(conn, maxQuestion)).ReadBytes('\n')
	if err != nil {
		return
	}
	b, err := json.Marshal(c.heard(line))
	if err != nil {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(questionFor))
	_, _ = conn.Write(append(b, '\n'))
}

// heard does what a line says.
func (c *control) heard(line []byte) answer {
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		return answer{Error: "that is no question"}
	}
	return c.do(q.Do)
}

func (c *control) do(w word) answer {
	switch w {
	case wordStatus:
		s := Status{Received: c.running.Received, Size: c.running.Size}
		if tell := c.running.status.Load(); tell != nil {
			s = (*tell)()
		}
		return answer{Status: &s}
	case wordPause:
		return c.end(ErrPaused)
	case wordCancel:
		return c.end(ErrCanceled)
	}
	return answer{Error: "there is no such question"}
}

// end stops the download and waits until it has ended.
func (c *control) end(cause error) answer {
	c.running.stop(cause)
	select {
	case <-c.ended:
		if c.failure != nil {
			return answer{Error: c.failure.Error()}
		}
		return answer{Late: !errors.Is(context.Cause(c.running.ctx), cause)}
	case <-time.After(stopsFor):
		return answer{Error: fmt.Sprintf("it has not stopped for %v", stopsFor)}
	}
}

// ask asks the process that fetches the download in a directory: errNobody if there
// is none.
func ask(dir string, w word) (a answer, err error) {
	var conn net.Conn
	err = withSocket(dir, func(path string) error {
		conn, err = net.DialTimeout("unix", path, questionFor)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return a, errNobody
	case err != nil:
		return a, failed("ask the process that fetches it", err)
	}
	defer conn.Close()
	patience := questionFor
	if w != wordStatus {
		patience += stopsFor
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	q, err := json.Marshal(question{w})
	if err == nil {
		_, err = conn.Write(append(q, '\n'))
	}
	if err == nil {
		a, err = readAnswer(conn)
	}
	if err != nil {
		return a, lonja.E(lonja.Unavailable, "ask the process that fetches it", err)
	}
	if a.Error != "" {
		return a, lonja.E(lonja.Refused, "ask the process that fetches it", errors.New(lonja.Printable(a.Error)))
	}
	if a.Late {
		return a, errNobody
	}
	return a, nil
}

func readAnswer(r io.Reader) (a answer, err error) {
	b, err := bufio.NewReader(io.LimitReader(r, maxAnswer)).ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("no answer: %w", err)
	}
	return a, json.Unmarshal(b, &a)
}
