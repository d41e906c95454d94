package natsstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/natsstore/natscluster"
)

// TestTLS: a cluster whose servers prove who they are.
func TestTLS(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{TLS: natscluster.ServerTLS})
	files := c.Files()
	s := mustOpen(t, c, Options{CA: files.CA})
	put(t, s, "a", "x", 0)
	if got := records(t, s); fmt.Sprint(got) != "[a]" {
		t.Errorf("got %v, want [a]", got)
	}
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const untrusted = "cannot be trusted"
	for what, r := range map[string]struct {
		options Options
		says    string
	}{
		"no authority":              {Options{}, untrusted},
		"no authority, no tls://":   {Options{Servers: strings.ReplaceAll(c.URLs(), "tls://", "nats://")}, untrusted},
		"another authority":         {Options{CA: files.Cert}, untrusted},
		"an address of another":     {Options{CA: files.CA, Servers: strings.ReplaceAll(c.URLs(), "127.0.0.1", "localhost")}, untrusted},
		"no file of that name":      {Options{CA: junk + "s"}, "no such file"},
		"a file without any":        {Options{CA: junk}, junk},
		"a wrong password":          {Options{CA: files.CA, Servers: strings.ReplaceAll(c.URLs(), "lonja:", "lonja:x")}, "does not let this node in"},
		"a certificate and no key":  {Options{CA: files.CA, Cert: files.Cert, Key: junk}, "certificate"},
		"no file of credentials":    {Options{CA: files.CA, Credentials: junk + "s"}, "no such file"},
		"credentials without a key": {Options{CA: files.CA, Credentials: junk}, "seed"},
	} {
		t.Run(what, func(t *testing.T) {
			r.options.Waiting = unexpected(t) // at once, not over and over
			if r.options.Servers == "" {
				r.options.Servers = c.URLs()
			}
			refused(t, r.options, lonja.Invalid, r.says)
		})
	}
}

// unexpected is for an Open that is to wait for nothing.
func unexpected(t *testing.T) func(error) {
	return func(reason error) { t.Errorf("it waits: %v", reason) }
}

// TestMutualTLS: a cluster that wants a certificate of us.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{TLS: natscluster.MutualTLS})
	files := c.Files()
	put(t, mustOpen(t, c, Options{CA: files.CA, Cert: files.Cert, Key: files.Key}), "a", "x", 0)
	// Some attempts end before it is said why.
	waiting := func(reason error) {
		if !strings.Contains(reason.Error(), "this node's certificate") {
			t.Errorf("it waits: %v", reason)
		}
	}
	refused(t, Options{Servers: c.URLs(), CA: files.CA, Waiting: waiting}, lonja.Invalid, "does not take this node's certificate")
	other, err := natscluster.MakeFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	refused(t, Options{Servers: c.URLs(), CA: files.CA, Cert: other.Cert, Key: other.Key, Waiting: waiting}, lonja.Invalid, "does not take this node's certificate")
	refused(t, Options{Servers: tests.shared.URLs(), CA: files.CA, Waiting: unexpected(t)}, lonja.Invalid, "do not offer TLS")
}

// TestCredentials: a cluster that knows users by .creds files. It is found safe
// by the same question, which its accounts export and import.
func TestCredentials(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{Credentials: true})
	user, expired := c.Credentials()
	put(t, mustOpen(t, c, Options{Credentials: user}), "a", "x", 0)
	for what, credentials := range map[string]string{"expired": expired, "none": ""} {
		t.Run(what, func(t *testing.T) {
			refused(t, Options{Servers: c.URLs(), Credentials: credentials, Waiting: unexpected(t)}, lonja.Invalid, "does not let this node in")
		})
	}
}

// TestWaiting: a cluster that is away, or has too few servers, is waited for,
// with the reasons; without Waiting it is not.
func TestWaiting(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	for i := range 3 {
		c.Kill(i)
	}
	refused(t, Options{Servers: c.URLs()}, lonja.Unavailable, "none of its servers")
	reasons, opened := make(chan string, 1000), make(chan *Store, 1)
	go func() {
		s, err := Open(t.Context(), Options{Servers: c.URLs(), Dir: t.TempDir(), Waiting: func(reason error) { reasons <- reason.Error() }})
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	next := func(unlike string) string {
		late := time.After(patience)
		for {
			select {
			case reason := <-reasons:
				if reason != unlike {
					return reason
				}
			case <-late:
				t.Fatalf("it says nothing but %q", unlike)
			}
		}
	}
	nobody := next("")
	if nobody != "none of its servers can be reached" {
		t.Errorf("got reason %q", nobody)
	}
	if err := c.Restart(0); err != nil {
		t.Fatal(err)
	}
	next(nobody) // whatever the server says: it is alone
	if err := errors.Join(c.Restart(1), c.Restart(2)); err != nil {
		t.Fatal(err)
	}
	s := <-opened
	if s == nil {
		return
	}
	defer s.Close()
	put(t, s, "a", "x", 0)
}

// TestWaitingEnds: whoever waits can be stopped, whatever is waited for.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	c.Kill(0)
	c.Kill(1)
	for what, servers := range map[string]string{"for a server": "nats://127.0.0.1:1", "for a majority": c.URLs()} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := Open(ctx, Options{Servers: servers, Dir: t.TempDir(), Waiting: func(error) { cancel() }})
		if err == nil {
			_ = s.Close()
		}
		if !errors.Is(err, lonja.Canceled) {
			t.Errorf("%s: got error %v, want kind %v", what, err, lonja.Canceled)
		}
	}
}

// TestLockedOut: a node that is not let in any more says so, and goes on when
// it is again: passwords are changed on one side first.
func TestLockedOut(t *testing.T) {
	t.Parallel()
	c := newCluster(t, natscluster.Options{})
	var log lockedBuffer
	s := mustOpen(t, c, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	rev := put(t, s, "a", "x", 0)
	restart := func() {
		for i := range 3 {
			c.Kill(i)
		}
		for i := range 3 {
			if err := c.Restart(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.SetLockedOut(true)
	restart()
	const refused = "authorization violation"
	comesTo := func(holds func() bool) {
		t.Helper()
		for late := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("it does not come to this; health: %v", s.Health())
			}
		}
	}
	refusals := func() (n int) {
		for i := range 3 {
			said, err := os.ReadFile(c.Log(i))
			if err != nil {
				t.Fatal(err)
			}
			n += strings.Count(string(said), "authentication error")
		}
		return n
	}
	// NATS's client gives up when one server has refused it twice.
	comesTo(func() bool { return refusals() > 3*2*2 })
	comesTo(func() bool { return strings.Contains(strings.ToLower(fmt.Sprint(s.Health())), refused) })
	if n := strings.Count(log.String(), refused); n < 1 || n > 3 {
		t.Errorf("the log says %d times that it is refused: %s", n, log.String())
	}
	c.SetLockedOut(false)
	restart()
	comesTo(func() bool { return s.Health() == nil })
	put(t, s, "a", "y", rev)
}

// A lockedBuffer is written to while a test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
