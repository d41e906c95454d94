package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/admin"
	"lonja/internal/operator"
)

func withoutAdminVariable(cmd *exec.Cmd) {
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, adminVariable+"=") })
}

// admin runs an operation to its end, and wants it to go well.
func (s *served) admin(args ...string) (stdout string) {
	s.t.Helper()
	status, stdout, stderr := s.tryAdmin(args...)
	if status != 0 || stderr != "" {
		s.t.Fatalf("admin %v: got status %d and %q", args, status, stderr)
	}
	return stdout
}

func (s *served) tryAdmin(args ...string) (status int, stdout, stderr string) {
	s.t.Helper()
	return runToEnd(s.t, slices.Concat([]string{"admin"}, args, []string{"--admin", "unix:" + s.path})...)
}

// oddName is a name that neither JSON nor a terminal takes as it is.
const oddName = "odd\xff\x1b[2J"

// fill gives a directory three accounts, one of them connected, and files.
func (s *served) fill() {
	s.t.Helper()
	ctx := s.t.Context()
	for _, user := range []lonja.UserName{"ana", "luis", oddName} {
		if err := s.dir.Register(ctx, user); err != nil {
			s.t.Fatal(err)
		}
		if err := s.dir.Connect(ctx, user, somewhere); err != nil {
			s.t.Fatal(err)
		}
		for i := range 2 {
			listing := lonja.Listing{Name: lonja.FileName(fmt.Sprintf("/%s/%d.txt", user, i)), Description: "a text\xfe of " + lonja.Description(user)}
			if err := s.dir.Publish(ctx, user, listing); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	for _, user := range []lonja.UserName{"luis", oddName} {
		if err := s.dir.Disconnect(ctx, user); err != nil {
			s.t.Fatal(err)
		}
	}
}

// contents is all that a directory keeps, in an order of its own.
func (s *served) contents() []string {
	s.t.Helper()
	ctx := s.t.Context()
	var all []string
	for _, user := range []lonja.UserName{"ana", "luis", oddName} {
		asking := lonja.UserName("asking")
		if err := s.dir.Register(ctx, asking); err != nil {
			s.t.Fatal(err)
		}
		if err := s.dir.Connect(ctx, asking, somewhere); err != nil {
			s.t.Fatal(err)
		}
		listed, err := s.dir.ListContent(ctx, asking, user)
		if err != nil {
			s.t.Errorf("%q: %v", user, err)
		}
		for _, l := range listed {
			all = append(all, fmt.Sprintf("%q %q %q", user, l.Name, l.Description))
		}
		if err := s.dir.Unregister(ctx, asking); err != nil {
			s.t.Fatal(err)
		}
	}
	return all
}

func TestAdminUsersAndStats(t *testing.T) {
	s := startServed(t, inMemory)
	s.fill()
	users := s.admin("users")
	for _, want := range []string{"ana", "2 published  connected at 127.0.0.1:4000", "luis", "not connected", lonja.Printable(oddName)} {
		if !strings.Contains(users, want) {
			t.Errorf("no %q in\n%s", want, users)
		}
	}
	if strings.Contains(users, "\x1b") || strings.Count(users, "\n") != 3 {
		t.Errorf("got %q", users)
	}
	var names []lonja.UserName
	for line := range strings.Lines(s.admin("users", "--json")) {
		var a operator.Account
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		if a.Publications != 2 || a.Connected != (a.User == "ana") {
			t.Errorf("got %+v", a)
		}
		names = append(names, a.User)
	}
	slices.Sort(names)
	if !slices.Equal(names, []lonja.UserName{"ana", "luis", oddName}) {
		t.Errorf("got the names %q", names)
	}
	var stats operator.Stats
	if err := json.Unmarshal([]byte(s.admin("stats", "--json")), &stats); err != nil {
		t.Fatal(err)
	}
	if stats.Accounts != 3 || stats.Publications != 6 || stats.Connected != 1 || stats.BaseNames != 2 || stats.Lag != 0 {
		t.Errorf("got %+v", stats)
	}
	if text := s.admin("stats"); !strings.Contains(text, "accounts      3\n") {
		t.Errorf("got\n%s", text)
	}
}

func TestAdminRemoveUser(t *testing.T) {
	s := startServed(t, inMemory)
	s.fill()
	if out := s.admin("remove-user", oddName); out != "removed "+lonja.Printable(oddName)+"\n" {
		t.Errorf("got %q", out)
	}
	if status, _, stderr := s.tryAdmin("remove-user", oddName); status != 1 || !strings.Contains(stderr, "user does not exist") {
		t.Errorf("got status %d and %q", status, stderr)
	}
	for _, c := range []struct {
		reply, says string
		users       int
	}{{"n\r", "nothing was removed", 2}, {"\r", "nothing was removed", 2}, {"y\r", "removed ana", 1}} {
		term := openTerminal(t, t.TempDir(), "admin", "remove-user", "ana", "--admin", "unix:"+s.path)
		term.waitFor("Remove the account ana", "[y/N] ")
		if _, err := term.file.WriteString(c.reply); err != nil {
			t.Fatal(err)
		}
		term.waitFor(c.says)
		if users := strings.Count(s.admin("users"), "\n"); users != c.users {
			t.Errorf("after %q: got %d users, want %d", c.reply, users, c.users)
		}
	}
	term := openTerminal(t, t.TempDir(), "admin", "remove-user", "--yes", "luis", "--admin", "unix:"+s.path)
	term.waitFor("removed luis")
}

// TestAdminExportImport: from one engine to the other, and once more without
// effect.
func TestAdminExportImport(t *testing.T) {
	from, to := startServed(t, inMemory), startServed(t, filepath.Join(t.TempDir(), "data"))
	from.fill()
	exported := filepath.Join(t.TempDir(), "directory.jsonl")
	from.admin("export", "-o", exported)
	if out := from.admin("export"); out != readFile(t, exported) {
		t.Errorf("standard output has otherwise than the file:\n%s", out)
	}
	for line := range strings.Lines(readFile(t, exported)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %q", line)
		}
	}
	if out := to.admin("import", exported); out != "added 3 accounts and 6 publications; 0 were there already\n" {
		t.Errorf("got %q", out)
	}
	if got, want := to.contents(), from.contents(); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if out := to.admin("import", exported); out != "added 0 accounts and 0 publications; 9 were there already\n" {
		t.Errorf("once more: got %q", out)
	}
}

// TestAdminImportCutShort: what came is there, what is wrong is said.
func TestAdminImportCutShort(t *testing.T) {
	from, to := startServed(t, inMemory), startServed(t, inMemory)
	from.fill()
	whole := from.admin("export")
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	cut := filepath.Join(t.TempDir(), "cut.jsonl")
	writeFile(t, cut, strings.Join(lines[:len(lines)-1], ""))
	status, stdout, stderr := to.tryAdmin("import", cut)
	if status != 1 || !strings.Contains(stdout, "added ") || stderr == "" {
		t.Errorf("got status %d, %q and %q", status, stdout, stderr)
	}
	writeFile(t, cut, "this is no export\n")
	if status, _, stderr := to.tryAdmin("import", cut); status != 1 || !strings.Contains(stderr, "1") {
		t.Errorf("got status %d and %q", status, stderr)
	}
	// A refusal comes through while there is much left to send.
	writeFile(t, cut, "this is no export\n"+strings.Repeat(lines[0], 32<<20/len(lines[0])))
	if status, _, stderr := to.tryAdmin("import", cut); status != 1 || !strings.Contains(stderr, "import: ") {
		t.Errorf("got status %d and %q", status, stderr)
	}
	p := start(t, nil, "admin", "import", "-", "--admin", "unix:"+to.path)
	if _, err := p.stdin.Write([]byte(whole)); err != nil {
		t.Fatal(err)
	}
	_ = p.stdin.Close()
	if status := p.wait(); status != 0 {
		t.Errorf("from standard input: got status %d and %q", status, p.stderr.String())
	}
	if got, want := to.contents(), from.contents(); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// TestAdminBackupRestore: into an empty directory, whole or not at all.
func TestAdminBackupRestore(t *testing.T) {
	from, to := startServed(t, filepath.Join(t.TempDir(), "data")), startServed(t, filepath.Join(t.TempDir(), "data"))
	from.fill()
	backup := filepath.Join(t.TempDir(), "directory.backup")
	from.admin("backup", "-o", backup)
	if info, err := os.Stat(backup); err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v and %v", info, err)
	}
	whole := readFile(t, backup)
	torn := filepath.Join(t.TempDir(), "torn")
	for _, bad := range []string{whole[:len(whole)-1], whole[:len(whole)/2], strings.Replace(whole, "a text", "b text", 1), ""} {
		writeFile(t, torn, bad)
		fresh := startServed(t, inMemory)
		if status, _, stderr := fresh.tryAdmin("restore", torn); status != 1 || stderr == "" {
			t.Errorf("%d of %d bytes: got status %d and %q", len(bad), len(whole), status, stderr)
		}
	}
	if out := to.admin("restore", backup); out != "restored\n" {
		t.Errorf("got %q", out)
	}
	if got, want := to.contents(), from.contents(); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if out := to.admin("check"); !strings.Contains(out, "all are whole") {
		t.Errorf("got %q", out)
	}
	if err := to.dir.Register(t.Context(), "newcomer"); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := to.tryAdmin("restore", backup); status != 1 || stderr == "" {
		t.Errorf("over other contents: got status %d and %q", status, stderr)
	}
}

// TestAdminCheck: what somebody has done to the store behind the directory's
// back is found, told and exit status 1.
func TestAdminCheck(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServed(t, data)
	s.fill()
	if out := s.admin("check"); out != "9 records read: all are whole, and the index has them\n" {
		t.Errorf("got %q", out)
	}
	db, err := sql.Open("sqlite", filepath.Join(data, "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		spoil string
		says  string
		wrong func(operator.CheckReport) bool
	}{
		{"DELETE FROM records WHERE rev = 2", "1 only there", func(r operator.CheckReport) bool { return r.Extra == 1 && r.Records == 8 }},
		{"UPDATE records SET value = zeroblob(length(value)) WHERE rev = 3", "1 damaged", func(r operator.CheckReport) bool { return r.Damaged == 1 }},
	} {
		if _, err := db.ExecContext(t.Context(), c.spoil); err != nil {
			t.Fatal(err)
		}
		status, stdout, stderr := s.tryAdmin("check")
		if status != 1 || !strings.Contains(stdout, c.says) || !strings.Contains(stderr, "faults found: ") {
			t.Errorf("%s: got status %d, %q and %q", c.spoil, status, stdout, stderr)
		}
		status, stdout, _ = s.tryAdmin("check", "--json")
		var report operator.CheckReport
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 1 || !c.wrong(report) || len(report.Problems) == 0 {
			t.Errorf("%s: got status %d, %+v and %v", c.spoil, status, report, err)
		}
	}
}

// TestAdminOutputIsWholeOrNot: no file is replaced unasked, and none appears
// for a stream that failed.
func TestAdminOutputIsWholeOrNot(t *testing.T) {
	s := startServed(t, inMemory)
	s.fill()
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	writeFile(t, path, "precious")
	if status, _, stderr := s.tryAdmin("export", "-o", path); status != 1 || !strings.Contains(stderr, "--force") {
		t.Errorf("got status %d and %q", status, stderr)
	}
	if got := readFile(t, path); got != "precious" {
		t.Errorf("the file is %q now", got)
	}
	s.admin("export", "-o", path, "--force")
	if got := readFile(t, path); got != s.admin("export") {
		t.Errorf("the file is %q now", got)
	}
	if status, _, stderr := s.tryAdmin("export", "-o", s.path, "--force"); status != 1 || !strings.Contains(stderr, "standard output") {
		t.Errorf("over a socket: got status %d and %q", status, stderr)
	}
	s.stop()
	if status, _, stderr := s.tryAdmin("export", "-o", filepath.Join(dir, "none")); status != 1 || !strings.Contains(stderr, "nothing answers") {
		t.Errorf("got status %d and %q", status, stderr)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v and %v", left, err)
	}
}

// TestAdminStreamTorn: a stream that the server could not finish leaves no
// file, and the reason is told.
func TestAdminStreamTorn(t *testing.T) {
	for _, c := range []struct {
		says string
		end  func(http.ResponseWriter)
	}{
		{"could not finish: record 9 is damaged", func(w http.ResponseWriter) {
			w.Header().Set(http.TrailerPrefix+admin.ErrorTrailer, "record 9 is damaged")
		}},
		{"broke off", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }},
	} {
		address := serveOther(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 1<<20))
			c.end(w)
		}))
		dir := t.TempDir()
		status, _, stderr := runToEnd(t, "admin", "backup", "--admin", address, "-o", filepath.Join(dir, "backup"))
		if status != 1 || !strings.Contains(stderr, c.says) {
			t.Errorf("got status %d and %q, want %q", status, stderr, c.says)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v and %v", left, err)
		}
	}
}

// TestAdminWrongUse: what is said, in one line, and which status ends it.
func TestAdminWrongUse(t *testing.T) {
	other := serveOther(t, http.NotFoundHandler())
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"stats --admin nowhere", 2, "neither HOST:PORT nor unix:PATH"},
		{"stats --admin 127.0.0.1:http", 2, "the port is not between"},
		{"stats --admin unix:", 2, "the path is missing"},
		{"stats --admin unix:/" + strings.Repeat("x", 100), 2, "at most 80 bytes"},
		{"stats --admin unix:/nonexistent/socket", 1, "is the server running"},
		{"stats --admin 127.0.0.1:1", 1, "is the server running"},
		{"stats --admin " + other, 1, "not a lonja server"},
		{"users --admin " + other, 1, "not a lonja server"},
		{"remove-user", 2, "takes 1 argument, not 0"},
		{"import /nonexistent", 2, "no such file"},
		{"restore a b", 2, "at most 1 argument, not 2"},
		{"fly", 2, "has no command"},
	} {
		t.Run(c.args, func(t *testing.T) {
			status, stdout, stderr := runToEnd(t, append([]string{"admin"}, strings.Fields(c.args)...)...)
			if status != c.status || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 || stdout != "" {
				t.Errorf("got status %d, %q and %q; want %d and %q", status, stdout, stderr, c.status, c.says)
			}
		})
	}
}

// serveOther returns the address of a server of something else.
func serveOther(t *testing.T, handler http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Shutdown(context.WithoutCancel(t.Context()))
		<-done
	})
	return ln.Addr().String()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
