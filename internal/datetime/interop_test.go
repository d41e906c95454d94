//go:build interop

// Programs that are not ours, as clients of our service from its WSDL alone and
// as a service for our client. They come from Debian packages, which must be
// installed: a test whose program is missing fails.

package datetime

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lonja"
)

// python is Debian's, which has the packages; another may come first on PATH.
const python = "/usr/bin/python3"

// toolTimeout bounds one run of a program. Compiling is the slowest.
const toolTimeout = 3 * time.Minute

// needModule fails the test if Debian's python cannot import module.
func needModule(t *testing.T, module, debianPackage string) {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import "+module).CombinedOutput(); err != nil {
		t.Fatalf("this test needs the Debian package %s: import %s: %v\n%s", debianPackage, module, err, out)
	}
}

// output runs a program in dir and returns its standard output.
func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = withoutProxy()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

// withoutProxy keeps programs that heed such variables on this machine.
func withoutProxy() []string { return append(os.Environ(), "no_proxy=*", "NO_PROXY=*") }

// testdata returns the absolute path of a file there.
func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func expectLines(t *testing.T, got string, want ...string) {
	t.Helper()
	if want := strings.Join(want, "\n") + "\n"; got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestZeepAsClient(t *testing.T) {
	needModule(t, "zeep", "python3-zeep")
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	got := output(t, "", python, testdata(t, "zeep_client.py"), service.url+"/?wsdl")
	expectLines(t, got, stamp, stamp, stamp, stamp, "soap:MustUnderstand")
}

// The words of the protocol: this line, and nothing known of the service. Its
// clock is the machine's this time.
func TestZeepInOneLine(t *testing.T) {
	needModule(t, "zeep", "python3-zeep")
	service := start(t, "127.0.0.1:0", ServiceOptions{})
	line := fmt.Sprintf("from zeep import Client; print(Client(%q).service.get_datetime(\"\"))", service.url+"/?wsdl")
	before := time.Now().Truncate(time.Second)
	got := strings.TrimSuffix(output(t, "", python, "-c", line), "\n")
	told, err := time.ParseInLocation(lonja.TimestampLayout, got, time.Local)
	if err != nil || told.Before(before) || told.After(time.Now()) {
		t.Errorf("got %q, %v, want a time between %v and now", got, err, before)
	}
}

func TestPysimplesoapAsClient(t *testing.T) {
	needModule(t, "pysimplesoap", "python3-pysimplesoap")
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	got := output(t, "", python, testdata(t, "pysimplesoap_client.py"), service.url+"/?wsdl")
	expectLines(t, got, stamp, stamp)
}

// gSOAP makes a C program from the WSDL, address included.
func TestGSOAPAsClient(t *testing.T) {
	for program, debianPackage := range map[string]string{
		"wsdl2h": "gsoap", "soapcpp2": "gsoap", "gcc": "gcc", "pkg-config": "pkg-config",
	} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("this test needs the Debian package %s: %v", debianPackage, err)
		}
	}
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "gsoap").Output()
	if err != nil {
		t.Fatalf("this test needs the Debian package libgsoap-dev: pkg-config gsoap: %v", err)
	}
	service := start(t, "127.0.0.1:0", ServiceOptions{Now: fixedTime})
	dir := t.TempDir()
	output(t, dir, "wsdl2h", "-c", "-o", "datetime.h", service.url+"/?wsdl")
	output(t, dir, "soapcpp2", "-c", "-C", "-L", "-x", "datetime.h")
	compile := append([]string{"-o", "client", "-I.", testdata(t, "gsoap_client.c"), "soapC.c", "soapClient.c"},
		strings.Fields(string(flags))...)
	output(t, dir, "gcc", compile...)
	expectLines(t, output(t, dir, filepath.Join(dir, "client")), stamp, stamp)
}

// A foreignService is a running pysimplesoap server.
type foreignService struct {
	host, port string
	cmd        *exec.Cmd
}

// startForeign starts one and waits until it listens.
func startForeign(t *testing.T, host, port string, flags ...string) *foreignService {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	t.Cleanup(cancel)
	args := append([]string{testdata(t, "pysimplesoap_server.py"), host, port, stamp}, flags...)
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Stderr = t.Output() // what it says of clients that went away
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &foreignService{host: host, cmd: cmd}
	t.Cleanup(f.kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the pysimplesoap server did not say its port: %v", err)
	}
	f.port = strings.TrimSpace(line)
	return f
}

// kill ends it without warning and waits for that.
func (f *foreignService) kill() {
	_ = f.cmd.Process.Kill()
	_ = f.cmd.Wait() // "signal: killed", as wanted
}

// The original's service: it answers, dies, and is back on the same port.
func TestPysimplesoapAsService(t *testing.T) {
	needModule(t, "pysimplesoap", "python3-pysimplesoap")
	for _, flags := range [][]string{nil, {"--wsdl-query"}} {
		t.Run(fmt.Sprint(flags), func(t *testing.T) {
			foreign := startForeign(t, ownHost(), "0", flags...)
			c := client(t, "http://"+net.JoinHostPort(foreign.host, foreign.port), patience)
			for range 2 {
				expect(t, c, stamp)
				expect(t, c, stamp)
				foreign.kill()
				expect(t, c, lonja.NoTimestamp)
				foreign = startForeign(t, foreign.host, foreign.port, flags...)
			}
			expect(t, c, stamp)
		})
	}
}

// A service that stops answering without closing anything.
func TestPysimplesoapHangs(t *testing.T) {
	needModule(t, "pysimplesoap", "python3-pysimplesoap")
	foreign := startForeign(t, ownHost(), "0")
	c := client(t, "http://"+net.JoinHostPort(foreign.host, foreign.port), patience)
	expect(t, c, stamp)
	if err := foreign.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.timeout = 100 * time.Millisecond
	expect(t, c, lonja.NoTimestamp)
	if err := foreign.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.timeout = patience
	expect(t, c, stamp)
}
