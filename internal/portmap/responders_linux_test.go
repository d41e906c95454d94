package portmap

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/huin/goupnp/dcps/internetgateway2"
)

// Routers of odd kinds, on loopback addresses of their own: there the ports of
// the protocols are free. How real ones behave is tested in the lab.

const testFormat = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>` +
	`<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:%d</deviceType><serviceList><service>` +
	`<serviceType>%s</serviceType><controlURL>%s</controlURL></service></serviceList></device></root>`

// loopbackNetwork returns a router's and a machine's address that no other test
// has, most likely, and on which the router's ports are free.
func loopbackNetwork() network {
	a := [4]byte{127, byte(1 + rand.IntN(254)), byte(rand.IntN(256)), byte(2 + 2*rand.IntN(120))}
	b := a
	b[3]++
	return network{gateway: netip.AddrFrom4(a), local: netip.AddrFrom4(b)}
}

// An entry is a mapping in a router's table.
type entry struct {
	client string
	port   uint16
	lease  uint32
}

// An igdResponder is a UPnP router. Its fields make it odd; they are not changed
// once it runs.
type igdResponder struct {
	at      network
	version int    // of the device
	service string // the type of its one service

	search   func(target string) []string                        // the answers to a search; nil is a good one
	describe http.HandlerFunc                                    // nil is a good description
	control  string                                              // the control URL; empty is its own
	action   func(w http.ResponseWriter, name, body string) bool // true if it has answered

	server *httptest.Server
	mu     sync.Mutex
	table  map[uint16]entry
}

// newIGDResponder starts a router that odd, unless it is nil, has made odd.
func newIGDResponder(t *testing.T, version int, service string, odd func(*igdResponder)) *igdResponder {
	t.Helper()
	r := &igdResponder{at: loopbackNetwork(), version: version, service: service, table: map[uint16]entry{}}
	l, err := net.Listen("tcp4", netip.AddrPortFrom(r.at.gateway, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	r.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(r.serve)}}
	if odd != nil {
		odd(r)
	}
	r.server.Start()
	t.Cleanup(r.server.Close)
	serveUDP(t, netip.AddrPortFrom(r.at.gateway, ssdpPort), r.answerSearch)
	return r
}

func version2(t *testing.T, odd func(*igdResponder)) *igdResponder {
	t.Helper()
	return newIGDResponder(t, 2, internetgateway2.URN_WANIPConnection_2, odd)
}

// serveUDP answers each datagram with those that answer returns, until the end
// of the test.
func serveUDP(t *testing.T, at netip.AddrPort, answer func([]byte) [][]byte) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for _, b := range answer(buf[:n]) {
				_, _ = conn.WriteToUDPAddrPort(b, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); done.Wait() })
}

func (r *igdResponder) answerSearch(question []byte) [][]byte {
	target := ""
	for line := range strings.SplitSeq(string(question), "\r\n") {
		if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "ST") {
			target = value
		}
	}
	if r.search == nil {
		if !strings.HasSuffix(target, fmt.Sprintf(":InternetGatewayDevice:%d", r.version)) {
			return nil
		}
		return [][]byte{[]byte(searchAnswer(target, r.server.URL+"/root.xml"))}
	}
	var all [][]byte
	for _, text := range r.search(target) {
		all = append(all, []byte(text))
	}
	return all
}

func searchAnswer(target, location string) string {
	return "HTTP/1.1 200 OK\r\nST: " + target + "\r\nUSN: uuid:1\r\nLOCATION: " + location + "\r\n\r\n"
}

func (r *igdResponder) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/root.xml" {
		if r.describe != nil {
			r.describe(w, req)
			return
		}
		fmt.Fprintf(w, testFormat, r.version, r.service, cmp.Or(r.control, "/control"))
		return
	}
	_, name, _ := strings.Cut(strings.Trim(req.Header.Get("SOAPAction"), `"`), "#")
	body, _ := io.ReadAll(req.Body)
	if r.action != nil && r.action(w, name, string(body)) {
		return
	}
	r.act(w, name, body)
}

// A soapCall is what all requests have in common.
type soapCall struct {
	Arguments struct {
		External uint16 `xml:"NewExternalPort"`
		Internal uint16 `xml:"NewInternalPort"`
		Client   string `xml:"NewInternalClient"`
		Lease    uint32 `xml:"NewLeaseDuration"`
	} `xml:",any"`
}

// act does what a good router does.
func (r *igdResponder) act(w http.ResponseWriter, name string, body []byte) {
	var envelope struct {
		Body soapCall `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	if err := xml.Unmarshal(body, &envelope); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := envelope.Body.Arguments
	found, taken := r.table[a.External]
	ours := found.client == a.Client
	switch {
	case name == "GetExternalIPAddress":
		r.answer(w, name, "NewExternalIPAddress", testOutside.String())
	case name == "AddPortMapping" && taken && !ours:
		fault(w, errConflict, "ConflictInMappingEntry")
	case name == "AddPortMapping":
		r.table[a.External] = entry{a.Client, a.Internal, a.Lease}
		r.answer(w, name)
	case name == "AddAnyPortMapping":
		for taken {
			a.External++
			_, taken = r.table[a.External]
		}
		r.table[a.External] = entry{a.Client, a.Internal, a.Lease}
		r.answer(w, name, "NewReservedPort", fmt.Sprint(a.External))
	case !taken:
		fault(w, errNoSuchEntry, "NoSuchEntryInArray")
	case name == "GetSpecificPortMappingEntry":
		r.answerEntry(w, found)
	case name == "DeletePortMapping":
		delete(r.table, a.External)
		r.answer(w, name)
	default:
		fault(w, errInvalidAction, "Invalid Action")
	}
}

func (r *igdResponder) answerEntry(w io.Writer, e entry) {
	r.answer(w, "GetSpecificPortMappingEntry", "NewInternalPort", fmt.Sprint(e.port), "NewInternalClient", e.client,
		"NewEnabled", "1", "NewPortMappingDescription", "x", "NewLeaseDuration", fmt.Sprint(e.lease))
}

// answer writes an action's results, names and values in turn.
func (r *igdResponder) answer(w io.Writer, action string, results ...string) {
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:%sResponse xmlns:u="%s">`, action, r.service)
	for i := 0; i < len(results); i += 2 {
		fmt.Fprintf(w, "<%s>%s</%s>", results[i], results[i+1], results[i])
	}
	fmt.Fprintf(w, "</u:%sResponse></s:Body></s:Envelope>", action)
}

func fault(w http.ResponseWriter, code int, text string) {
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>`+
		`<faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode>`+
		`<errorDescription>%s</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code, text)
}

// entries returns the router's table.
func (r *igdResponder) entries() map[uint16]entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[uint16]entry, len(r.table))
	for port, e := range r.table {
		all[port] = e
	}
	return all
}
