package bench

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

var ready = regexp.MustCompile(`(?m)^ready (\S+)$`)

// obedient is the end of a script that waits until it is told to end.
const obedient = "; trap 'kill $!; exit 0' TERM; tail -f /dev/null & echo trapped; wait"

var trapped = regexp.MustCompile(`(?m)^(trapped)$`)

// shell starts a shell script as a process.
func shell(t *testing.T, script string) *process {
	t.Helper()
	emptyTemp(t)
	p, err := startProcess("/bin/sh", []string{"GREETING=hello"}, "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProcessSaysWhereItIs(t *testing.T) {
	for _, stream := range []string{"1", "2"} {
		p := shell(t, "echo noise; echo ready $GREETING >&"+stream+obedient)
		if got, err := p.await(t.Context(), ready); got != "hello" || err != nil {
			t.Errorf("stream %s: got %q, %v", stream, got, err)
		}
		if _, err := p.await(t.Context(), trapped); err != nil {
			t.Error(err)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestProcessThatEndsEarlyIsQuoted(t *testing.T) {
	p := shell(t, "echo no such luck >&2; exit 3")
	_, err := p.await(t.Context(), ready)
	for _, want := range []string{"lonja -c", "exit status 3", "no such luck"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %q", err, want)
		}
	}
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("stop returned %v, want that it had ended", err)
	}
}

func TestSuspendedProcessStops(t *testing.T) {
	p := shell(t, "echo begun"+obedient)
	if _, err := p.await(t.Context(), trapped); err != nil {
		t.Fatal(err)
	}
	if err := p.suspend(); err != nil {
		t.Fatal(err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestProcessThatDoesNotStopIsKilled(t *testing.T) {
	p := shell(t, "trap '' TERM; echo ready now; exec tail -f /dev/null")
	if _, err := p.await(t.Context(), ready); err != nil {
		t.Fatal(err)
	}
	p.patience = 10 * time.Millisecond
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Errorf("stop returned %v, want that it had to be killed", err)
	}
	select {
	case <-p.ended:
	default:
		t.Error("the process is still there")
	}
}
