package portmap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/huin/goupnp/ssdp"

	"lonja"
)

const (
	ssdpPort = 1900
	// maxAnswer bounds one answer to a search, and what is read of it.
	maxAnswer = 2 << 10
	// searchSends is how often a question is sent, as datagrams get lost.
	searchSends = 3
	sendEvery   = 200 * time.Millisecond
)

// The searches, in their order, and how long each takes at most. The standard
// counts in whole seconds; what is above them is for the way.
var searches = []struct {
	target   string
	patience time.Duration
}{
	{"urn:schemas-upnp-org:device:InternetGatewayDevice:2", 1500 * time.Millisecond},
	{"urn:schemas-upnp-org:device:InternetGatewayDevice:1", 2500 * time.Millisecond},
}

// search returns where the gateway's description is, by the first answer to the
// first search that it answers.
func search(ctx context.Context, at network) (*url.URL, error) {
	for _, s := range searches {
		location, err := searchFor(ctx, at, s.target, s.patience)
		if err != nil || location != nil {
			return location, err
		}
	}
	return nil, lonja.E(lonja.Unavailable, "look for UPnP", errors.New("no answer"))
}

// searchFor returns nil and no error when there is no answer.
func searchFor(ctx context.Context, at network, target string, patience time.Duration) (*url.URL, error) {
	const op = "look for UPnP"
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := ssdp.RawSearch(asking, &carrier{at: at, target: target}, target, searchSends)
	switch {
	case ctx.Err() != nil:
		return nil, lonja.E(lonja.Canceled, op, ctx.Err())
	case err != nil:
		return nil, lonja.E(lonja.Unavailable, op, err)
	case len(found) == 0:
		return nil, nil
	}
	return found[0].Location()
}

// A carrier carries a search over UDP. The library's own collects every answer
// that arrives in the whole time, from anybody and without bound, and writes to
// the process's log; this one ends with the first good answer of the gateway.
//
// It asks the group that the standard names, and the gateway by itself: some
// networks lose what is sent to groups.
type carrier struct {
	at     network
	target string
}

// DoWithContext implements httpu.ClientInterfaceCtx.
func (c *carrier) DoWithContext(req *http.Request, sends int) ([]*http.Response, error) {
	ctx := req.Context()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.at.local, 0)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	question, err := encodeSearch(req)
	if err != nil {
		return nil, err
	}
	group, err := netip.ParseAddrPort(req.Host)
	if err != nil {
		return nil, err
	}
	for range sends {
		_, errGroup := conn.WriteToUDPAddrPort(question, group)
		_, err := conn.WriteToUDPAddrPort(question, netip.AddrPortFrom(c.at.gateway, ssdpPort))
		if err != nil && errGroup != nil {
			return nil, err
		}
		if answer := c.receive(ctx, conn, time.Now().Add(sendEvery)); answer != nil {
			return []*http.Response{answer}, nil
		}
	}
	deadline, _ := ctx.Deadline() // RawSearch sees to it that there is one
	if answer := c.receive(ctx, conn, deadline); answer != nil {
		return []*http.Response{answer}, nil
	}
	return nil, nil
}

// receive waits for a good answer of the gateway. Everything else is passed
// over, and kept nowhere.
func (c *carrier) receive(ctx context.Context, conn *net.UDPConn, deadline time.Time) *http.Response {
	_ = conn.SetReadDeadline(deadline) // fails only on a closed connection
	buf := make([]byte, maxAnswer)
	for ctx.Err() == nil && time.Now().Before(deadline) {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return nil
		}
		if from.Addr().Unmap() != c.at.gateway {
			continue
		}
		if answer := parseAnswer(buf[:n], c.target, c.at.gateway); answer != nil {
			return answer
		}
	}
	return nil
}

func encodeSearch(req *http.Request) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s * HTTP/1.1\r\n", req.Method)
	if err := req.Header.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// parseAnswer returns an answer to a search for target, or nil unless it is one
// and its description is at the gateway.
func parseAnswer(datagram []byte, target string, gateway netip.Addr) *http.Response {
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(datagram)), nil)
	if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("ST") != target {
		return nil
	}
	if location, err := answer.Location(); err != nil || !atGateway(location, gateway) {
		return nil
	}
	return answer
}

// atGateway reports whether a URL is one that the gateway itself serves, so that
// nobody can have us ask others.
func atGateway(u *url.URL, gateway netip.Addr) bool {
	host, err := netip.ParseAddr(u.Hostname())
	return err == nil && host.Unmap() == gateway && u.Scheme == "http"
}
