package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard lets pass only who may be the operator. Whoever can open a loopback
// connection or the Unix socket is trusted, but for web pages in a browser on
// this machine: these cannot send Header; and a page whose own name was made
// to point here (DNS rebinding) gives itself away by its Host.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !private(r):
			refuse(w, http.StatusForbidden, "operations are served on a loopback address or a Unix socket only: this is neither")
		case r.Header.Get(Header) != "1":
			refuse(w, http.StatusForbidden, "the header "+Header+": 1 is missing")
		case !plainHost(r.Host):
			refuse(w, http.StatusForbidden, "the host that was asked for is neither an address nor localhost")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// private reports whether only this machine can reach the listener that the
// request came through. A connection's own address does not tell: a listener
// on all addresses has loopback connections, too.
func private(r *http.Request) bool {
	switch addr := r.Context().Value(listenerKey{}).(type) {
	case *net.TCPAddr:
		return addr.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// plainHost reports whether a Host header, with or without a port, names no
// site.
func plainHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil
}
