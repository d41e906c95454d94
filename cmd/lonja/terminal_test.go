package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// A terminal is a client on a terminal, as a person sees it.
type terminal struct {
	t    *testing.T
	file *os.File
	cmd  *exec.Cmd
	mu   sync.Mutex
	grew *sync.Cond
	seen bytes.Buffer
	done bool
}

// askPosition is how a program asks a terminal where its cursor is.
const askPosition = "\x1b[6n"

func openTerminal(t *testing.T, dir string, args ...string) *terminal {
	t.Helper()
	return openTerminalOf(t, "xterm", true, dir, args...)
}

// openTerminalOf opens a terminal of that kind, which tells its cursor's
// position or does not.
func openTerminalOf(t *testing.T, kind string, answers bool, dir string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	cmd.Env = append(apart(dir), "XDG_STATE_HOME="+filepath.Join(dir, "state"), "TERM="+kind)
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, file: file, cmd: cmd}
	term.grew = sync.NewCond(&term.mu)
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := file.Read(buf)
			if answers && bytes.Contains(buf[:n], []byte(askPosition)) {
				_, _ = file.WriteString("\x1b[1;1R")
			}
			term.mu.Lock()
			term.seen.Write(buf[:n])
			term.done = err != nil
			term.grew.Broadcast()
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = file.Close()
		<-read
	})
	return term
}

// typed writes keys and waits until the screen has shown all of want since, in
// that order, and then, after the end of a line, until the program asks for
// the next: what is typed earlier meets a terminal that is not the program's.
func (term *terminal) typed(keys string, want ...string) {
	term.t.Helper()
	term.mu.Lock()
	term.seen.Reset()
	term.mu.Unlock()
	if _, err := term.file.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
	if strings.HasSuffix(keys, "\r") {
		want = append(want, askPosition)
	}
	term.waitFor(want...)
}

// screen returns what was written since keys were last typed.
func (term *terminal) screen() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.seen.String()
}

func (term *terminal) waitFor(want ...string) {
	term.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		term.mu.Lock()
		defer term.mu.Unlock()
		late = true
		term.grew.Broadcast()
	})
	defer timer.Stop()
	term.mu.Lock()
	defer term.mu.Unlock()
	from := 0
	for _, w := range want {
		at := -1
		for {
			if at = strings.Index(term.seen.String()[from:], w); at >= 0 {
				break
			}
			if late || term.done {
				term.t.Fatalf("no %q on the screen: %q", w, term.seen.String())
			}
			term.grew.Wait()
		}
		from += at + len(w)
	}
}

// TestTerminal: editing, completion of commands, paths, users and their files,
// and a history that is kept between runs.
func TestTerminal(t *testing.T) {
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0")
	line := server.firstLine()
	port := line[strings.LastIndexByte(line, ':')+1:]
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "unmistakable.txt"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"client", "--classic", "-s", "127.0.0.1", "-p", port, "--datetime", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"}
	term := openTerminal(t, dir, args...)
	term.waitFor("lonja: classic, not encrypted", "c> ")
	const left, up, end = "\x1b[D", "\x1b[A", "\x05"
	term.typed("register anb"+left+"\x7f"+"n"+end+"\x7f"+"a\r", "REGISTER OK")
	term.typed("conn\tannaa\r", "connect annaa", "USER DOES NOT EXIST")
	term.typed(up+"\x7fb\r", "connect annab", "USER DOES NOT EXIST")
	term.typed("list_u\t\r", "list_users", "NOT CONNECTED")
	term.typed("register zoraida\r", "REGISTER OK")
	term.typed("connect zoraida\r", "CONNECT OK")
	term.typed("publish unmis\ta file\r", "publish unmistakable.txt a file", "PUBLISH OK")
	term.typed("list_content zor\t\r", "list_content zoraida", "FILE0: "+dir)
	term.typed("get_multifile unm\tgot.txt\r", "get_multifile unmistakable.txt got.txt", "GET_MULTIFILE OK")
	term.typed("get_file zor\t"+dir[:4]+"\tgot2.txt\r", "GET_FILE OK")
	for _, name := range []string{"got.txt", "got2.txt"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != "content" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	term.typed("\x04", "+++ FINISHED +++")
	if err := term.cmd.Wait(); err != nil {
		t.Errorf("the client ended with %v", err)
	}

	again := openTerminal(t, dir, args...)
	again.waitFor("c> ")
	again.typed(up, "get_file zoraida")
	again.typed("\x03", "+++ FINISHED +++")
	info, err := os.Stat(filepath.Join(dir, "state", "lonja", "history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the history: got %v, %v; want mode 0600", info, err)
	}
}

// TestSecureTerminal: the fingerprint of a directory that was never met is shown
// and asked about; from then on it is only said.
func TestSecureTerminal(t *testing.T) {
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0")
	line := server.firstLine()
	port := line[strings.LastIndexByte(line, ':')+1:]
	_, after, _ := strings.Cut(server.waitStderr("fingerprint="), `fingerprint="`)
	fingerprint, _, _ := strings.Cut(after, `"`)
	args := []string{"client", "-s", "127.0.0.1", "-p", port, "--listen", "127.0.0.1:0"}
	dir := t.TempDir()

	wary := openTerminal(t, dir, args...)
	wary.waitFor("first contact", fingerprint, "[y/N] ")
	wary.typed("\n", "not accepted")
	if err := wary.cmd.Wait(); err == nil {
		t.Error("the client goes on with a directory that nobody accepted")
	}

	term := openTerminal(t, dir, args...)
	term.waitFor("first contact", fingerprint, "[y/N] ")
	term.typed("yes\n", "lonja: TLS, directory "+fingerprint[:shortFingerprint], "c> ")
	term.typed("register zoraida\r", "REGISTER OK")
	term.typed("connect zoraida\r", "CONNECT OK")
	term.typed("\x04", "+++ FINISHED +++")
	if err := term.cmd.Wait(); err != nil {
		t.Errorf("the client ended with %v", err)
	}

	again := openTerminal(t, dir, args...)
	again.waitFor("lonja: TLS, directory "+fingerprint[:shortFingerprint], "c> ")
	screen := again.screen()
	again.typed("\x04", "+++ FINISHED +++")
	if strings.Contains(screen, "first contact") {
		t.Errorf("a directory that is known is asked about: %q", screen)
	}
}

// TestPoorTerminals: on one that does not tell where its cursor is, and on one
// that is known not to, the client works all the same.
func TestPoorTerminals(t *testing.T) {
	for _, kind := range []string{"xterm", "dumb", ""} {
		t.Run("TERM="+kind, func(t *testing.T) {
			term := openTerminalOf(t, kind, false, t.TempDir(), "client", "--classic", "-s", "127.0.0.1", "-p", "1")
			term.waitFor("c> ")
			for range 2 {
				if _, err := term.file.WriteString("help\r"); err != nil {
					t.Fatal(err)
				}
				term.waitFor("LIST_USERS", "HELP")
				term.mu.Lock()
				term.seen.Reset()
				term.mu.Unlock()
			}
			if _, err := term.file.WriteString("quit\r"); err != nil {
				t.Fatal(err)
			}
			term.waitFor("+++ FINISHED +++")
			if err := term.cmd.Wait(); err != nil {
				t.Errorf("the client ended with %v", err)
			}
		})
	}
}
