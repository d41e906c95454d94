package partial

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// targetVariable tells a copy of this test binary to begin a file, say so,
// and wait to be killed.
const targetVariable = "LONJA_PARTIAL_TEST_TARGET"

func TestMain(m *testing.M) {
	if target := os.Getenv(targetVariable); target != "" {
		receiveForever(target)
	}
	os.Exit(m.Run())
}

func receiveForever(target string) {
	f, err := Create(target, Options{})
	if err == nil {
		_, err = f.data.Write(make([]byte, 1<<20))
	}
	if err == nil {
		_, err = f.Scratch()
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("ready\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // the parent never writes
	os.Exit(0)
}

// A process killed while it receives leaves nothing, and the old file whole.
func TestKilledLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "file")
	write(t, target, "old", 0o600)

	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), targetVariable+"="+target)
	child.Stderr = os.Stderr
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q (%v)", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	wantDir(t, dir, "file", "old")
}
