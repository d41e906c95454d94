package portmap

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"golang.org/x/text/encoding/charmap"

	"lonja"
)

const (
	// maxBody bounds what is read of one answer, in bytes. Descriptions have
	// some 10 KiB.
	maxBody = 256 << 10
	// httpPatience bounds one exchange with the router, from first to last byte.
	httpPatience = 4 * time.Second
	// maxServices bounds the connections of one router that are tried.
	maxServices = 4
)

// findIGD finds the gateway's UPnP services that map ports, version 2 first.
func findIGD(ctx context.Context, at network, port uint16) ([]router, error) {
	const op = "look at the router's UPnP description"
	location, err := search(ctx, at)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Timeout:       httpPatience,
		Transport:     newGate(at),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return nil, lonja.E(lonja.Malformed, op, err)
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, lonja.E(lonja.Unavailable, op, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, lonja.E(lonja.Malformed, op, fmt.Errorf("status %d", answer.StatusCode))
	}
	root, err := parseDescription(answer.Body, location)
	if err != nil {
		return nil, lonja.E(lonja.Malformed, op, err)
	}
	found := servicesOf(root, at, port)
	if len(found) == 0 {
		return nil, lonja.E(lonja.Malformed, op, errors.New("it has no service that maps ports"))
	}
	return found, nil
}

// parseDescription reads a description that came from location. The texts in it
// are not shown to anybody, so what is not UTF-8 is read as if it were Latin 1.
func parseDescription(r io.Reader, location *url.URL) (*goupnp.RootDevice, error) {
	d := xml.NewDecoder(io.LimitReader(r, maxBody))
	d.DefaultSpace = goupnp.DeviceXMLNamespace
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) {
		return charmap.ISO8859_1.NewDecoder().Reader(in), nil
	}
	var root goupnp.RootDevice
	if err := d.Decode(&root); err != nil {
		return nil, err
	}
	base := location
	if root.URLBaseStr != "" {
		given, err := url.Parse(root.URLBaseStr)
		if err != nil {
			return nil, err
		}
		base = given
	}
	root.SetURLBase(base)
	return &root, nil
}

// servicesOf returns what maps ports in a description, the newest first.
func servicesOf(root *goupnp.RootDevice, at network, port uint16) []router {
	var found []router
	for _, kind := range []string{
		internetgateway2.URN_WANIPConnection_2,
		internetgateway2.URN_WANIPConnection_1,
		internetgateway2.URN_WANPPPConnection_1,
	} {
		for _, s := range root.Device.FindService(kind) {
			if len(found) < maxServices && s.ControlURL.Ok && atGateway(&s.ControlURL.URL, at.gateway) {
				found = append(found, newIGD(s, kind, at, port))
			}
		}
	}
	return found
}

// A gate is a transport that goes to the gateway, from this machine's address
// on its side, and nowhere else, and lets through no more than maxBody of an
// answer. It notes how the last exchange went, which goupnp does not tell. It is
// for one goroutine at a time.
type gate struct {
	*http.Transport
	gateway netip.Addr
	failed  error // of the last exchange's transport
}

func newGate(at network) *gate {
	dialer := net.Dialer{Timeout: httpPatience}
	dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(at.local, 0))
	return &gate{gateway: at.gateway, Transport: &http.Transport{
		DialContext:            dialer.DialContext,
		DisableKeepAlives:      true, // exchanges are minutes apart
		DisableCompression:     true, // or a small answer could be a large one
		MaxResponseHeaderBytes: 16 << 10,
	}}
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if !atGateway(req.URL, g.gateway) {
		g.failed = fmt.Errorf("%s is not at the router", req.URL.Host)
		return nil, g.failed
	}
	answer, err := g.Transport.RoundTrip(req)
	if g.failed = err; err != nil {
		return nil, err
	}
	answer.Body = &bounded{gate: g, body: answer.Body, left: maxBody}
	return answer, nil
}

var errTooLong = errors.New("the answer is too long")

// A bounded is a body that fails where it becomes too long.
type bounded struct {
	gate *gate
	body io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.body.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err != nil && err != io.EOF {
		b.gate.failed = err
	}
	return n, err
}

func (b *bounded) Close() error { return b.body.Close() }
