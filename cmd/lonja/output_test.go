package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/oplog"
)

// A quitter is a running lonja whose output is read for a line only.
type quitter struct {
	cmd    *exec.Cmd
	stderr lockedBuffer
	out    *bufio.Reader
	close  func() error
}

// startQuitter runs lonja with temporary files in a directory of its own,
// which it returns.
func startQuitter(t *testing.T, args ...string) (q *quitter, temporary string) {
	t.Helper()
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	temporary = t.TempDir()
	q = &quitter{cmd: exec.Command(binary, args...), out: bufio.NewReader(ours), close: ours.Close}
	q.cmd.Env = append(apart(t.TempDir()), "TMPDIR="+temporary)
	q.cmd.Stdout, q.cmd.Stderr = theirs, &q.stderr
	if err := q.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	t.Cleanup(func() { _ = q.cmd.Process.Kill(); _ = ours.Close() })
	return q, temporary
}

// quit reads a line and closes the output.
func (q *quitter) quit(t *testing.T) {
	t.Helper()
	if line, err := q.out.ReadString('\n'); err != nil {
		t.Fatalf("got %q, %v, and on standard error\n%s", line, err, q.stderr.String())
	}
	_ = q.close()
}

// wait waits for the end, which must be a clean one.
func (q *quitter) wait(t *testing.T) {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = q.cmd.Process.Kill() })
	defer late.Stop()
	if err := q.cmd.Wait(); err != nil {
		t.Errorf("%v ended with %v, and on standard error\n%s", q.cmd.Args[1:], err, q.stderr.String())
	}
}

// TestUpCleansUpAfterItsReaderHasGone: "lonja up | head -1".
func TestUpCleansUpAfterItsReaderHasGone(t *testing.T) {
	q, temporary := startQuitter(t, "up")
	q.quit(t)
	q.wait(t)
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestLoggerEndsWithItsReader: "lonja logger | head -1", which is no failure.
func TestLoggerEndsWithItsReader(t *testing.T) {
	q, _ := startQuitter(t, "logger", "--rpcbind=false", "--host", "127.0.0.1", "--port", "0")
	port := ""
	for late := time.After(patience); port == ""; {
		grew := q.stderr.grew()
		if _, after, ok := strings.Cut(q.stderr.String(), "listening on port "); ok {
			port, _, _ = strings.Cut(after, " ")
			break
		}
		select {
		case <-grew:
		case <-late:
			t.Fatalf("the logger does not say where it listens:\n%s", q.stderr.String())
		}
	}
	client, err := oplog.NewClient(oplog.ClientOptions{Target: "127.0.0.1:" + port})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	defer func() { stop(); <-ended }()
	client.Record(lonja.OperationRecord{User: "ana", Operation: "REGISTER"})
	q.quit(t)
	client.Record(lonja.OperationRecord{User: "luis", Operation: "REGISTER"})
	q.wait(t)
}

// TestHelpForAReaderThatHasSeenEnough: commands that only print say nothing of it.
func TestHelpForAReaderThatHasSeenEnough(t *testing.T) {
	q, _ := startQuitter(t, "--help")
	_ = q.close() // before, or after, it has written
	q.wait(t)
}
