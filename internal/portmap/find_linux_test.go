package portmap

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
)

func TestFindsAllProtocols(t *testing.T) {
	speaks := func(at network) (names []string, err error) {
		found, err := findRouters(t.Context(), at, testPort)
		for _, r := range found {
			names = append(names, r.by())
		}
		return names, err
	}
	mapped := func(in, out uint16, s uint32) []byte { return mapAnswer(0, 1000, in, out, s) }
	t.Run("both", func(t *testing.T) {
		t.Parallel()
		r := version2(t, nil)
		answerPMP(t, r.at, goodAddress, mapped)
		if names, err := speaks(r.at); err != nil || !slices.Equal(names, []string{"UPnP IGD v2", "NAT-PMP"}) {
			t.Errorf("got %q, %v", names, err)
		}
	})
	t.Run("NAT-PMP", func(t *testing.T) {
		t.Parallel()
		at := startPMP(t, goodAddress, mapped)
		if names, err := speaks(at); err != nil || !slices.Equal(names, []string{"NAT-PMP"}) {
			t.Errorf("got %q, %v", names, err)
		}
	})
	t.Run("UPnP, and NAT-PMP that makes no sense", func(t *testing.T) {
		t.Parallel()
		r := version2(t, nil)
		answerPMP(t, r.at, func() []byte { return []byte{9, 9, 9} }, mapped)
		if names, err := speaks(r.at); err != nil || !slices.Equal(names, []string{"UPnP IGD v2"}) {
			t.Errorf("got %q, %v", names, err)
		}
	})
	t.Run("neither", func(t *testing.T) {
		t.Parallel()
		names, err := speaks(loopbackNetwork())
		if err == nil || problemOf(err).Problem != NoAnswer {
			t.Errorf("got %q, %v", names, err)
		}
	})
}

// TestRunsOnTheNetwork is Run but for the route table, with a router of either
// protocol.
func TestRunsOnTheNetwork(t *testing.T) {
	start := func(at network) (states chan State, end func() error) {
		ctx, cancel := context.WithCancel(t.Context())
		states = make(chan State, 10)
		m := newMapper(Options{Port: testPort, Changed: func(s State) { states <- s }})
		m.look, m.find = func() network { return at }, findRouters
		ended := make(chan error, 1)
		go func() { ended <- m.run(ctx) }()
		return states, func() error { cancel(); return <-ended }
	}
	t.Run("UPnP", func(t *testing.T) {
		r := version2(t, nil)
		states, end := start(r.at)
		if s := <-states; s.Mapping.By != "UPnP IGD v2" || len(r.entries()) != 1 {
			t.Errorf("%q, and the router has %v", s, r.entries())
		}
		if err := end(); err != nil || len(r.entries()) != 0 {
			t.Errorf("at the end (%v) the router has %v", err, r.entries())
		}
	})
	t.Run("NAT-PMP", func(t *testing.T) {
		var seconds atomic.Uint32
		at := startPMP(t, goodAddress, func(in, out uint16, s uint32) []byte {
			seconds.Store(s)
			return mapAnswer(0, 1000, in, out, s)
		})
		states, end := start(at)
		if s := <-states; s.Mapping.By != "NAT-PMP" || seconds.Load() != 3600 {
			t.Errorf("%q, asked for %d seconds", s, seconds.Load())
		}
		if err := end(); err != nil || seconds.Load() != 0 {
			t.Errorf("at the end (%v) it asks for %d seconds", err, seconds.Load())
		}
	})
	t.Run("a router that is stuck when it ends", func(t *testing.T) {
		stuck := make(chan struct{}, 10)
		r := version2(t, func(r *igdResponder) {
			r.describe = func(_ http.ResponseWriter, req *http.Request) {
				stuck <- struct{}{}
				<-req.Context().Done()
			}
		})
		states, end := start(r.at)
		<-stuck
		if err := end(); err != nil || len(states) != 0 {
			t.Errorf("%v, and %d states", err, len(states))
		}
	})
}

// TestIGDAsksForVersion2First has a router of version 1 note what is looked for.
func TestIGDAsksForVersion2First(t *testing.T) {
	var (
		mu    sync.Mutex
		asked []string
	)
	r := newIGDResponder(t, 1, internetgateway2.URN_WANIPConnection_1, func(r *igdResponder) {
		r.search = func(target string) []string {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, target[strings.LastIndex(target, ":"):])
			if !strings.HasSuffix(target, ":1") {
				return nil
			}
			return []string{searchAnswer(target, r.server.URL+"/root.xml")}
		}
	})
	if m, _, err := mapBy(t.Context(), r.at); err != nil || m.By != "UPnP IGD v1" {
		t.Errorf("got %v, %v", m, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := slices.Compact(asked); !slices.Equal(got, []string{":2", ":1"}) {
		t.Errorf("versions are asked for in the order %q", got)
	}
}

func TestNetwork(t *testing.T) {
	loop := netip.MustParseAddr("127.0.0.1")
	if got := localTo(netip.MustParseAddr("127.0.0.9")); got != loop {
		t.Errorf("on the side of loopback this machine is %v", got)
	}
	if got := gatewayTo(loop); got.IsValid() {
		t.Errorf("the way to this machine itself leads by %v", got)
	}
	// Where tests run there may be a way out or none; but not half of one.
	if got := lookAround(); got.gateway.IsValid() != got.local.IsValid() {
		t.Errorf("this machine is at %v", got)
	}
}

func FuzzParseAnswer(f *testing.F) {
	gateway := netip.MustParseAddr("192.168.1.1")
	target := searches[0].target
	f.Add([]byte(searchAnswer(target, "http://192.168.1.1:5000/root.xml")))
	f.Add([]byte(searchAnswer(target, "http://192.168.1.2/")))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		answer := parseAnswer(datagram, target, gateway)
		if answer == nil {
			return
		}
		if location, err := answer.Location(); err != nil || location.Hostname() != gateway.String() {
			t.Errorf("the description is said to be at %v, %v", location, err)
		}
	})
}

func FuzzParseDescription(f *testing.F) {
	at := network{gateway: netip.MustParseAddr("192.168.1.1"), local: netip.MustParseAddr("192.168.1.11")}
	f.Add(`<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>http://192.168.1.1:5000</URLBase><device>` +
		`<deviceList><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:2</serviceType>` +
		`<controlURL>ctl</controlURL></service></serviceList></device></deviceList></device></root>`)
	f.Add(fmt.Sprintf(testFormat, 2, internetgateway2.URN_WANIPConnection_2, "http://192.168.1.2/control"))
	f.Add(`<?xml version="1.0" encoding="koi8-r"?><root><device><deviceType>` + "\xff" + `</deviceType></device></root>`)
	f.Add(strings.Repeat("<device>", 1000))
	location, err := url.Parse("http://192.168.1.1:5000/root.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parseDescription(strings.NewReader(text), location)
		if err != nil {
			return
		}
		services := servicesOf(root, at, testPort)
		if len(services) > maxServices {
			t.Errorf("%d services", len(services))
		}
		for _, s := range services {
			if control := controlOf(s); !atGateway(&control, at.gateway) {
				t.Errorf("a service is said to be at %v", &control)
			}
		}
	})
}

func controlOf(r router) url.URL {
	client := r.(*igd).wan.(interface{ GetServiceClient() *goupnp.ServiceClient }).GetServiceClient()
	return client.SOAPClient.EndpointURL
}
