package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/transport"
)

// TestAdviceAboutRouters: it is given where nothing answers, not where something says
// that nobody listens.
func TestAdviceAboutRouters(t *testing.T) {
	way := lonja.Endpoint{}
	for _, c := range []struct {
		name    string
		dial    func(ctx context.Context) error
		advised bool
	}{
		{"refused", func(context.Context) error { return syscall.ECONNREFUSED }, false},
		{"unreachable", func(context.Context) error { return syscall.EHOSTUNREACH }, true},
		{"silent", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := transport.NewDialer(transport.Options{Timeout: time.Second, Dial: func(ctx context.Context, _ lonja.Endpoint) (net.Conn, error) {
					return nil, fmt.Errorf("dial: %w", c.dial(ctx))
				}})
				_, err := d.Dial(t.Context(), []lonja.Endpoint{way}, &tls.Config{})
				err = unreached("ana", []lonja.Endpoint{way}, err)
				if !errors.Is(err, lonja.Unavailable) || strings.Contains(err.Error(), "behind a router") != c.advised {
					t.Errorf("got %v; advice wanted: %v", err, c.advised)
				}
			})
		})
	}
}
