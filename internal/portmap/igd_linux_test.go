package portmap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huin/goupnp/dcps/internetgateway2"

	"lonja"
)

// mapBy finds a UPnP router and has it map the port.
func mapBy(ctx context.Context, at network) (Mapping, grant, error) {
	found, err := findIGD(ctx, at, testPort)
	if err != nil {
		return Mapping{}, grant{}, err
	}
	return obtain(ctx, found[0], testPort, time.Hour)
}

func mustFindIGD(t *testing.T, r *igdResponder) router {
	t.Helper()
	found, err := findIGD(t.Context(), r.at, testPort)
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

func TestIGDMaps(t *testing.T) {
	foreign := entry{"192.168.1.77", testPort, 0}
	for _, tc := range []struct {
		name    string
		version int
		service string
		odd     func(r *igdResponder)
		by      string
		lease   time.Duration
		other   bool // another port outside
	}{
		{name: "version 2", version: 2, service: internetgateway2.URN_WANIPConnection_2, by: "UPnP IGD v2", lease: time.Hour},
		{name: "version 1", version: 1, service: internetgateway2.URN_WANIPConnection_1, by: "UPnP IGD v1", lease: time.Hour},
		{name: "PPP", version: 1, service: internetgateway2.URN_WANPPPConnection_1, by: "UPnP IGD v1", lease: time.Hour},
		{
			name: "port taken, version 2", version: 2, service: internetgateway2.URN_WANIPConnection_2, by: "UPnP IGD v2", lease: time.Hour, other: true,
			odd: func(r *igdResponder) { r.table[testPort] = foreign },
		},
		{
			name: "port taken, version 1", version: 1, service: internetgateway2.URN_WANIPConnection_1, by: "UPnP IGD v1", lease: time.Hour, other: true,
			odd: func(r *igdResponder) { r.table[testPort] = foreign },
		},
		{
			name: "port taken, which it does not say before", version: 1, service: internetgateway2.URN_WANIPConnection_1, by: "UPnP IGD v1", lease: time.Hour, other: true,
			odd: func(r *igdResponder) {
				r.table[testPort] = foreign
				r.action = refuse("GetSpecificPortMappingEntry", errInvalidAction)
			},
		},
		{
			name: "version 2 that cannot choose a port", version: 2, service: internetgateway2.URN_WANIPConnection_2, by: "UPnP IGD v2", lease: time.Hour, other: true,
			odd: func(r *igdResponder) {
				r.table[testPort] = foreign
				r.action = refuse("AddAnyPortMapping", errNotImplemented)
			},
		},
		{
			name: "leases for good only", version: 2, service: internetgateway2.URN_WANIPConnection_2, by: "UPnP IGD v2",
			odd: func(r *igdResponder) { r.action = refuseLeases(errOnlyPermanent) },
		},
		{
			name: "leases for good only, said badly", version: 1, service: internetgateway2.URN_WANIPConnection_1, by: "UPnP IGD v1",
			odd: func(r *igdResponder) { r.action = refuseLeases(errInvalidArguments) },
		},
		{
			name: "a lease shorter than asked for", version: 2, service: internetgateway2.URN_WANIPConnection_2, by: "UPnP IGD v2", lease: 2 * time.Minute,
			odd: func(r *igdResponder) {
				r.action = func(w http.ResponseWriter, name, _ string) bool {
					e, ok := r.entries()[testPort]
					if name != "GetSpecificPortMappingEntry" || !ok {
						return false
					}
					e.lease = 120
					r.answerEntry(w, e)
					return true
				}
			},
		},
		{
			name: "a description in Latin 1", version: 2, service: internetgateway2.URN_WANIPConnection_2, by: "UPnP IGD v2", lease: time.Hour,
			odd: func(r *igdResponder) {
				r.describe = func(w http.ResponseWriter, _ *http.Request) {
					text := fmt.Sprintf(testFormat, r.version, r.service, "/control")
					text = strings.Replace(text, `"1.0"?>`, `"1.0" encoding="iso-8859-1"?>`, 1)
					_, _ = io.WriteString(w, strings.Replace(text, "<device>", "<device><friendlyName>M\xf6bius</friendlyName>", 1))
				}
			},
		},
		{
			name: "answers that are none before the good one", version: 2, service: internetgateway2.URN_WANIPConnection_2, by: "UPnP IGD v2", lease: time.Hour,
			odd: func(r *igdResponder) {
				r.search = func(target string) []string {
					return []string{
						"", "\x00\xff", strings.Repeat("x", 4000), "HTTP/1.1 200 OK\r\n\r\n",
						searchAnswer("upnp:rootdevice", r.server.URL+"/root.xml"),
						searchAnswer(target, "http://127.0.0.1:1/root.xml"), searchAnswer(target, "http://router/root.xml"),
						searchAnswer(target, "file:///etc/passwd"), searchAnswer(target, "%"),
						searchAnswer(target, r.server.URL+"/root.xml"),
					}
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newIGDResponder(t, tc.version, tc.service, tc.odd)
			before := r.entries()
			d := mustFindIGD(t, r)
			m, given, err := obtain(t.Context(), d, testPort, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if m.Endpoint.Addr() != testOutside || m.By != tc.by || given.lease != tc.lease || (m.Endpoint.Port() != testPort) != tc.other {
				t.Errorf("got %v by %q for %v", m.Endpoint, m.By, given.lease)
			}
			want := maps.Clone(before)
			want[m.Endpoint.Port()] = entry{r.at.local.String(), testPort, uint32(r.entries()[m.Endpoint.Port()].lease)}
			if got := r.entries(); !maps.Equal(got, want) {
				t.Errorf("the router has %v, want %v", got, want)
			}

			if err := d.check(t.Context(), m.Endpoint.Port()); err != nil {
				t.Errorf("check: %v", err)
			}
			if _, again, err := obtain(t.Context(), d, m.Endpoint.Port(), time.Hour); err != nil || again != given {
				t.Errorf("renewed: %v, %v, want %v", again, err, given)
			}
			if err := d.remove(t.Context(), m.Endpoint.Port()); err != nil || !maps.Equal(r.entries(), before) {
				t.Errorf("after removal (%v) the router has %v, want %v", err, r.entries(), before)
			}
		})
	}
}

// refuse refuses the actions whose names begin so.
func refuse(action string, code int) func(http.ResponseWriter, string, string) bool {
	return func(w http.ResponseWriter, name, _ string) bool {
		if !strings.HasPrefix(name, action) {
			return false
		}
		fault(w, code, "no")
		return true
	}
}

func refuseLeases(code int) func(http.ResponseWriter, string, string) bool {
	return func(w http.ResponseWriter, name, body string) bool {
		if name != "AddPortMapping" || strings.Contains(body, "<NewLeaseDuration>0<") {
			return false
		}
		fault(w, code, "no")
		return true
	}
}

// answering answers one action with results, or with a body as it is.
func answering(r *igdResponder, action string, results ...string) func(http.ResponseWriter, string, string) bool {
	return func(w http.ResponseWriter, name, _ string) bool {
		if name != action {
			return false
		}
		if len(results) == 1 {
			_, _ = io.WriteString(w, results[0])
		} else {
			r.answer(w, name, results...)
		}
		return true
	}
}

func TestIGDDoesNotMap(t *testing.T) {
	for _, tc := range []struct {
		name string
		odd  func(r *igdResponder)
		want Problem
		says string
	}{
		{"silence", func(r *igdResponder) { r.search = func(string) []string { return nil } }, NoAnswer, ""},
		{"not allowed", func(r *igdResponder) { r.action = refuse("AddPortMapping", 606) }, Refused, "UPnP error 606 (no)"},
		{"every port taken", func(r *igdResponder) { r.action = refuse("Add", errConflict) }, Refused, "UPnP error 718"},
		{"terminal escapes", func(r *igdResponder) {
			r.action = func(w http.ResponseWriter, name, _ string) bool {
				fault(w, 501, "\u009b2J"+strings.Repeat("ñ", 1000))
				return true
			}
		}, Refused, "UPnP error 501 (\ufffd2Jñ"},
		{"private address", func(r *igdResponder) {
			r.action = answering(r, "GetExternalIPAddress", "NewExternalIPAddress", "10.1.1.1")
		}, DoubleNAT, "10.1.1.1"},
		{"address of a provider's network", func(r *igdResponder) {
			r.action = answering(r, "GetExternalIPAddress", "NewExternalIPAddress", "100.64.3.3")
		}, DoubleNAT, "100.64.3.3"},
		{"no address", func(r *igdResponder) {
			r.action = answering(r, "GetExternalIPAddress", "NewExternalIPAddress", "")
		}, NoOutside, ""},
		{"address 0", func(r *igdResponder) {
			r.action = answering(r, "GetExternalIPAddress", "NewExternalIPAddress", "0.0.0.0")
		}, NoOutside, ""},
		{"address that is none", func(r *igdResponder) {
			r.action = answering(r, "GetExternalIPAddress", "NewExternalIPAddress", "host\x1b[2J")
		}, Garbage, ""},
		{"mapped to somebody else", func(r *igdResponder) {
			r.action = func(w http.ResponseWriter, name, _ string) bool {
				if name != "GetSpecificPortMappingEntry" || len(r.entries()) == 0 {
					return false
				}
				r.answerEntry(w, entry{"192.168.1.66", testPort, 9})
				return true
			}
		}, Garbage, "it mapped the port to 192.168.1.66"},
		{"mapped, it says", func(r *igdResponder) { r.action = answering(r, "AddPortMapping") }, Garbage, "does not list it"},
		{"port 0", func(r *igdResponder) {
			r.table[testPort] = entry{"192.168.1.77", 1, 0}
			r.action = answering(r, "AddAnyPortMapping", "NewReservedPort", "0")
			r.table[0] = entry{r.at.local.String(), testPort, 0}
		}, Garbage, "port 0"},
		{"answers that are no SOAP", func(r *igdResponder) { r.action = answering(r, "GetExternalIPAddress", "<a><b></a>") }, Garbage, ""},
		{"answers that do not end", func(r *igdResponder) {
			r.action = func(w http.ResponseWriter, _, _ string) bool {
				_, _ = io.WriteString(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>`)
				return endless(w)
			}
		}, Garbage, "the answer is too long"},
		{"hangs up", func(r *igdResponder) {
			r.action = func(w http.ResponseWriter, _, _ string) bool { panic(http.ErrAbortHandler) }
		}, NoAnswer, ""},
		{"hangs up when asked for a port", func(r *igdResponder) {
			r.action = func(_ http.ResponseWriter, name, _ string) bool {
				if name == "AddPortMapping" {
					panic(http.ErrAbortHandler)
				}
				return false
			}
		}, Refused, "it does not answer when it is asked for a port"},
		{"no description", func(r *igdResponder) { r.describe = http.NotFound }, Garbage, "status 404"},
		{"a description that is none", func(r *igdResponder) {
			r.describe = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }
		}, Garbage, ""},
		{"a description that does not end", func(r *igdResponder) {
			r.describe = func(w http.ResponseWriter, _ *http.Request) { endless(w) }
		}, Garbage, ""},
		{"a service that maps nothing", func(r *igdResponder) { r.service = "urn:schemas-upnp-org:service:Layer3Forwarding:1" }, Garbage, "no service"},
		{"headers that do not end", func(r *igdResponder) {
			r.describe = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }
		}, NoAnswer, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := version2(t, tc.odd)
			m, _, err := mapBy(t.Context(), r.at)
			if err == nil {
				t.Fatalf("mapped to %v", m)
			}
			got := problemOf(err)
			if got.Problem != tc.want || !strings.Contains(got.Detail, tc.says) {
				t.Errorf("%v says %v %q, want %v %q", err, got.Problem, got.Detail, tc.want, tc.says)
			}
			if len(got.Detail) > maxDetail+100 || got.Detail != lonja.Printable(got.Detail) {
				t.Errorf("%q is too long or not printable", got.Detail)
			}
		})
	}
}

// endless writes a document until the reader has enough, or for too long.
func endless(w io.Writer) bool {
	line := strings.Repeat("<a>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</a>", 100)
	_, err := io.WriteString(w, `<root xmlns="urn:schemas-upnp-org:device-1-0">`)
	for range 64 << 20 / len(line) {
		if err != nil {
			return true
		}
		_, err = io.WriteString(w, line)
	}
	return true
}

// TestIGDReadsNoMore counts what is taken of an answer that does not end: what
// is read, and what the kernels hold beside it.
func TestIGDReadsNoMore(t *testing.T) {
	var taken atomic.Int64
	r := version2(t, func(r *igdResponder) {
		r.describe = func(w http.ResponseWriter, _ *http.Request) {
			endless(writerFunc(func(b []byte) (int, error) {
				n, err := w.Write(b)
				taken.Add(int64(n))
				return n, err
			}))
		}
	})
	if _, _, err := mapBy(t.Context(), r.at); err == nil {
		t.Error("mapped")
	}
	r.server.Close()
	if most := int64(16 << 20); taken.Load() > most {
		t.Errorf("%d bytes were taken, more than %d", taken.Load(), most)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestIGDAsksTheRouterOnly has a router lead to other machines, by each way that
// there is.
func TestIGDAsksTheRouterOnly(t *testing.T) {
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(other.Close)
	for name, odd := range map[string]func(r *igdResponder){
		"location": func(r *igdResponder) {
			r.search = func(st string) []string { return []string{searchAnswer(st, other.URL)} }
		},
		"redirection": func(r *igdResponder) { r.describe = redirect(other.URL) },
		"base": func(r *igdResponder) {
			r.describe = func(w http.ResponseWriter, _ *http.Request) {
				text := fmt.Sprintf(testFormat, 2, r.service, "/control")
				_, _ = io.WriteString(w, strings.Replace(text, "<device>", "<URLBase>"+other.URL+"</URLBase><device>", 1))
			}
		},
		"control": func(r *igdResponder) { r.control = other.URL + "/control" },
		"redirected control": func(r *igdResponder) {
			r.action = func(w http.ResponseWriter, _, _ string) bool { redirect(other.URL)(w, &http.Request{}); return true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := version2(t, odd)
			if m, _, err := mapBy(t.Context(), r.at); err == nil {
				t.Errorf("mapped to %v", m)
			}
			if n := asked.Load(); n != 0 {
				t.Errorf("another machine was asked %d times", n)
			}
		})
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// TestIGDHasOthersAnswer has another machine answer the search.
func TestIGDHasOthersAnswer(t *testing.T) {
	r := version2(t, nil)
	other, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.at.local, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.at.local, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	target := searches[0].target
	answer := []byte(searchAnswer(target, r.server.URL+"/root.xml"))
	c := &carrier{at: r.at, target: target}
	to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if _, err := other.WriteToUDPAddrPort(answer, to); err != nil {
		t.Fatal(err)
	}
	if got := c.receive(t.Context(), conn, time.Now().Add(50*time.Millisecond)); got != nil {
		t.Errorf("the answer of another machine is taken: %v", got)
	}
}

// TestIGDEndsInTime has a router that dawdles, and a context that ends.
func TestIGDEndsInTime(t *testing.T) {
	stuck := make(chan struct{})
	r := version2(t, func(r *igdResponder) {
		r.describe = func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			close(stuck)
			<-req.Context().Done() // the asking side has hung up
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-stuck
		cancel()
	}()
	if _, _, err := mapBy(ctx, r.at); err == nil {
		t.Error("mapped")
	}

	r2 := version2(t, func(r *igdResponder) {
		r.describe = func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
	})
	begun := time.Now()
	if _, _, err := mapBy(t.Context(), r2.at); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("a router that dawdles: %v", err)
	}
	if took := time.Since(begun); took > 10*httpPatience {
		t.Errorf("it took %v", took)
	}
}

func TestIGDNoticesLoss(t *testing.T) {
	r := version2(t, nil)
	d := mustFindIGD(t, r)
	m, _, err := obtain(t.Context(), d, testPort, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.table[testPort] = entry{"192.168.1.66", testPort, 0}
	r.mu.Unlock()
	if err := d.check(t.Context(), m.Endpoint.Port()); err == nil {
		t.Error("a mapping that was taken away is said to be there")
	}
	if err := d.remove(t.Context(), m.Endpoint.Port()); err != nil || len(r.entries()) != 1 {
		t.Errorf("another machine's mapping was removed: %v, %v", err, r.entries())
	}
	r.mu.Lock()
	clear(r.table)
	r.mu.Unlock()
	if err := d.check(t.Context(), m.Endpoint.Port()); err == nil {
		t.Error("a mapping that was forgotten is said to be there")
	}
	if err := d.remove(t.Context(), m.Endpoint.Port()); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
}
