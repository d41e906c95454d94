package datetime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"lonja"
	"lonja/internal/soap"
)

// patience bounds what must not take long but may, on a busy machine.
const patience = 20 * time.Second

// stamp is what a service says that fixedTime gives the time.
const stamp = "23/11/2026 05:54:17"

func fixedTime() time.Time { return time.Date(2026, time.November, 23, 5, 54, 17, 999, time.UTC) }

// ourQuestion is the request that our service is asked with.
func ourQuestion() []byte { return soap.AppendRequest(nil, soap.Datetime().Request("")) }

// A running service can be stopped before its test ends.
type running struct {
	addr string
	url  string
	stop func()
}

// start serves on addr until the test ends or stop is called, and fails the
// test if Serve does.
func start(t testing.TB, addr string, options ServiceOptions) running {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, ln, options)
}

// startOn is start with a listener.
func startOn(t testing.TB, ln net.Listener, options ServiceOptions) running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- NewService(options).Serve(ctx, ln) }()
	var stopped bool
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: got %v, want nil after its context ended", err)
		}
	}
	t.Cleanup(stop)
	return running{addr: ln.Addr().String(), url: "http://" + ln.Addr().String(), stop: stop}
}

// handle serves with a handler of the test's own: somebody else's service.
func handle(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// ownHost returns a loopback address that no other test uses, so that a port
// on it can be left and taken again without anybody coming in between.
func ownHost() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// client builds a client of the service at url. What is tested for an answer
// gets all the time it needs; what is tested for having none sets a timeout.
func client(t testing.TB, url string, timeout time.Duration) *Client {
	t.Helper()
	c, err := NewClient(Options{URL: url, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// expect asks and compares.
func expect(t testing.TB, c *Client, want string) {
	t.Helper()
	begin := time.Now()
	if got := c.Now(t.Context()); got != want {
		t.Errorf("Now() = %q, want %q", got, want)
	}
	if took := time.Since(begin); want == lonja.NoTimestamp && took > patience {
		t.Errorf("finding that there is no answer took %v", took)
	}
}
