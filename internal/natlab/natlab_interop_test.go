//go:build interop && linux

package natlab_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lonja/internal/natlab"
)

// ask has one host of a lab connect to another, which answers, and returns what
// it got. Debian's bash can do both without other programs, but not listen:
// that is left to python3.
func ask(t *testing.T, lab *natlab.Lab, from, to natlab.Host) (string, error) {
	t.Helper()
	const listen = `import socket
s = socket.create_server(("", 4445))
print("ready", flush=True)
c, peer = s.accept()
c.sendall(peer[0].encode())`
	server := lab.Command(to, "python3", "-c", listen)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	ready := make([]byte, len("ready\n"))
	if _, err := out.Read(ready); err != nil {
		t.Fatalf("%s does not listen: %v", to, err)
	}
	got, err := lab.Command(from, "timeout", "5", "bash", "-c", fmt.Sprintf("cat </dev/tcp/%v/4445", lab.Addr(to))).Output()
	return string(got), err
}

// TestLabs has two labs with the same addresses up at once.
func TestLabs(t *testing.T) {
	const delay = 500 * time.Millisecond // more than starting the programs takes
	one := natlab.Start(t, natlab.Options{})
	two := natlab.Start(t, natlab.Options{A: "sym", Delay: delay})
	for name, lab := range map[string]*natlab.Lab{"one": one, "two": two} {
		for _, tc := range []struct{ from, to, seen natlab.Host }{
			{natlab.A1, natlab.Directory, natlab.RouterA},
			{natlab.B1, natlab.PublicPeer, natlab.RouterB},
			{natlab.A1, natlab.A2, natlab.A1},
		} {
			begun := time.Now()
			got, err := ask(t, lab, tc.from, tc.to)
			if took := time.Since(begun); lab == two && tc.from != tc.seen && took < 2*delay {
				t.Errorf("lab %s: it took %v, and there and back is %v", name, took, 2*delay)
			}
			if want := lab.Addr(tc.seen).String(); err != nil || got != want {
				t.Errorf("lab %s: %s sees %s as %q (%v), want %q", name, tc.to, tc.from, got, err, want)
			}
		}
		if got, err := ask(t, lab, natlab.PublicPeer, natlab.A1); err == nil {
			t.Errorf("lab %s: a1 is reached from outside, as %q", name, got)
		}
	}
}

// TestLabGoesWithItsTest looks for what a lab leaves.
func TestLabGoesWithItsTest(t *testing.T) {
	var tag string
	t.Run("lab", func(t *testing.T) {
		lab := natlab.Start(t, natlab.Options{A: "port+upnp"})
		tag = strings.TrimSuffix(lab.Enter(natlab.A1)[3], "-"+string(natlab.A1))
		if left := namespaces(t, tag); len(left) == 0 {
			t.Errorf("no namespace begins with %q", tag)
		}
		if err := lab.Command(natlab.A1, "sleep", "1000").Start(); err != nil {
			t.Error(err)
		}
	})
	if left := namespaces(t, tag); len(left) > 0 {
		t.Errorf("the lab left %q", left)
	}
	if _, err := os.Stat("/run/natlab-" + tag); err == nil {
		t.Error("the lab left its directory")
	}
}

func namespaces(t *testing.T, tag string) []string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, tag+"-") {
			found = append(found, line)
		}
	}
	return found
}
