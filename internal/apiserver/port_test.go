package apiserver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/dirclient"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirserver"
	"lonja/internal/frames"
	"lonja/internal/limits"
)

type endlessly struct{}

func (endlessly) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// bomb is little that becomes much.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.CopyN(w, endlessly{}, 8<<20); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func client(t *testing.T, s *apitest.Site, certificates ...tls.Certificate) *apiclient.Client {
	t.Helper()
	c := apiclient.New(apiclient.Options{Addresses: []string{s.Address}, TLS: s.TLS(certificates...)})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var here = []lonja.Endpoint{apiclient.WayHere(4445)}

// TestOnePortTwoDialects: what one says the other sees, but no classic client
// acts for a name that is bound to a key.
func TestOnePortTwoDialects(t *testing.T) {
	s := site(t, apitest.Setup{})
	ctx := t.Context()
	cert := apitest.Certificate(t)
	secure, classic := client(t, s, cert), dirclient.New(dirclient.Options{Address: s.Address})
	ana := lonja.Member{User: "ana", Key: apitest.KeyOf(cert)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(secure.RegisterMember(ctx, ana, ""))
	must(secure.ConnectMember(ctx, ana, here))
	must(classic.Register(ctx, "luis"))
	must(classic.Connect(ctx, "luis", here[0]))
	must(classic.Publish(ctx, "luis", lonja.Listing{Name: "/f"}))
	listings, err := secure.ListContent(ctx, "ana", "luis")
	if err != nil || len(listings) != 1 || listings[0].Name != "/f" || listings[0].Proof != nil {
		t.Errorf("got %+v, %v", listings, err)
	}
	peers, err := classic.ListUsers(ctx, "luis")
	if err != nil || peers.Len() != 2 {
		t.Errorf("got %v, %v", peers, err)
	}
	if err := classic.Register(ctx, "ana"); !errors.Is(err, lonja.NameInUse) {
		t.Errorf("REGISTER of a bound name: got %v", err)
	}
	for name, err := range map[string]error{
		"DISCONNECT": classic.Disconnect(ctx, "ana"), "CONNECT": classic.Connect(ctx, "ana", here[0]),
		"UNREGISTER": classic.Unregister(ctx, "ana"), "PUBLISH": classic.Publish(ctx, "ana", lonja.Listing{Name: "/g"}),
		"DELETE": classic.Delete(ctx, "ana", "/g"),
	} {
		if !errors.Is(err, lonja.Refused) {
			t.Errorf("%s for a bound name: got %v", name, err)
		}
	}
	if _, err := classic.ListUsers(ctx, "ana"); !errors.Is(err, lonja.Refused) {
		t.Errorf("LIST_USERS for a bound name: got %v", err)
	}
	must(secure.Authorize(ana))
}

// TestClassicOff: classic clients are refused with a status, the others served.
func TestClassicOff(t *testing.T) {
	s := site(t, apitest.Setup{Port: dirserver.Options{ClassicOff: true}})
	classic := dirclient.New(dirclient.Options{Address: s.Address})
	if err := classic.Register(t.Context(), "ana"); !errors.Is(err, lonja.Refused) {
		t.Errorf("REGISTER: got %v", err)
	}
	if _, err := classic.ListUsers(t.Context(), "ana"); !errors.Is(err, lonja.Refused) {
		t.Errorf("LIST_USERS: got %v", err)
	}
	cert := apitest.Certificate(t)
	c := client(t, s, cert)
	ana := lonja.Member{User: "ana", Key: apitest.KeyOf(cert)}
	if err := c.RegisterMember(t.Context(), ana, ""); err != nil {
		t.Fatal(err)
	}
	if session, err := c.Begin(t.Context(), ana, here); err != nil || session.Classic {
		t.Errorf("got %+v, %v", session, err)
	}
}

// TestOlderTLS: TLS 1.3 only, whatever the configuration says.
func TestOlderTLS(t *testing.T) {
	s := site(t, apitest.Setup{})
	config := s.TLS()
	config.MaxVersion = tls.VersionTLS12
	if conn, err := tls.Dial("tcp", s.Address, config); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.2 was spoken")
	}
}

// TestOtherKeysProveNothing: a certificate of another kind of key is as good as
// none.
func TestOtherKeysProveNothing(t *testing.T) {
	s := site(t, apitest.Setup{})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, s, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	if err := c.RegisterMember(t.Context(), lonja.Member{User: "ana"}, ""); !errors.Is(err, lonja.Forbidden) {
		t.Errorf("got %v, want Forbidden", err)
	}
}

// TestBoundUser: a frame connection acts for the user that it has connected.
func TestBoundUser(t *testing.T) {
	s := site(t, apitest.Setup{})
	c := client(t, s)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Register(t.Context(), "ana"))
	raw, err := tls.Dial("tcp", s.Address, func() *tls.Config { c := s.TLS(); c.NextProtos = []string{apiserver.ProtocolFrames}; return c }())
	must(err)
	conn, err := frames.NewClient(t.Context(), raw, frames.ClientOptions{})
	must(err)
	defer conn.Close()
	users, connect := uint16(15), uint16(9)
	if _, err := conn.Call(t.Context(), users, nil); !errors.Is(err, lonja.Invalid) {
		t.Errorf("nobody's list: got %v", err)
	}
	body := append([]byte{1<<3 | 2, 3}, "ana"...)                       // user
	body = append(body, append([]byte{2<<3 | 2, 9}, "0.0.0.0:1"...)...) // ways
	_, err = conn.Call(t.Context(), connect, body)
	must(err)
	_, err = conn.Call(t.Context(), users, nil)
	must(err)
	if _, err := conn.Call(t.Context(), users, []byte("\xff")); !errors.Is(err, lonja.Invalid) {
		t.Errorf("no message: got %v", err)
	}
}

// lines collects what is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// TestOperatorsSeeIt: the lines, the log and the figures of the secure dialect.
func TestOperatorsSeeIt(t *testing.T) {
	var out lines
	var mu sync.Mutex
	var records []lonja.OperationRecord
	var observed []string
	s := site(t, apitest.Setup{
		Secure: apiserver.Options{Observe: func(method string, _ time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				method += " fails"
			}
			observed = append(observed, method)
		}},
		Port: dirserver.Options{Announce: &out, Record: func(r lonja.OperationRecord) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, r)
		}},
	})
	c := client(t, s)
	ctx := t.Context()
	_ = c.Register(ctx, "a\nna")
	_ = c.Connect(ctx, "a\nna", here[0])
	_ = c.Publish(ctx, "a\nna", lonja.Listing{Name: "/f"})
	_, _ = c.ListContent(ctx, "a\nna", "luis")
	_ = c.Authorize(lonja.Member{User: "a\nna"})
	s.Stop()
	text := out.text.String()
	for _, want := range []string{"s> OPERATION REGISTER FROM a\uFFFDna AT ", "s> OPERATION CONNECT FROM ", "s> OPERATION PUBLISH FROM ", "s> OPERATION LIST_CONTENT FROM "} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n != 4 {
		t.Errorf("got %d lines:\n%s", n, text)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(records) != 4 || records[2].File != "/f" || records[3].File != "luis" || records[0].Operation != "REGISTER" {
		t.Errorf("got records %+v", records)
	}
	if want := []string{"Register", "Connect", "Publish", "Content fails", "Authorize"}; !slices.Equal(observed, want) {
		t.Errorf("got %q, want %q", observed, want)
	}
}

// TestLimits: those of the port hold for both dialects.
func TestLimits(t *testing.T) {
	limiter := limits.New(limits.Options{OperationsPerUser: 1, ConnectionsPerAddress: 2, Loopback: true}, time.Now())
	var mu sync.Mutex
	reasons := make(map[limits.Reason]int)
	s := site(t, apitest.Setup{Port: dirserver.Options{Limits: limiter, Limited: func(r limits.Reason) {
		mu.Lock()
		defer mu.Unlock()
		reasons[r]++
	}}})
	c := client(t, s)
	if err := c.Register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	limited := 0
	for range 20 {
		if err := c.Authorize(lonja.Member{User: "ana"}); errors.Is(err, lonja.Limited) {
			limited++
		}
	}
	if limited < 10 {
		t.Errorf("%d of 20 were over the limit of one a second and five at once", limited)
	}
	second := client(t, s)
	_ = second.Register(t.Context(), "luis")
	third, err := tls.Dial("tcp", s.Address, s.TLS())
	if err == nil {
		_ = third.Close()
		t.Error("a third connection of an address was served")
	}
	mu.Lock()
	defer mu.Unlock()
	if reasons[limits.UserOperations] != limited || reasons[limits.AddressConnections] == 0 {
		t.Errorf("got refusals %v", reasons)
	}
}

// TestCancelReachesTheStore: through both carriers.
func TestCancelReachesTheStore(t *testing.T) {
	dir := &slow{MemberDirectory: directorytest.New(t), begun: make(chan struct{}), ended: make(chan error, 1)}
	s := site(t, apitest.Setup{Directory: dir})
	c, overHTTP := client(t, s), httpClient(t, s)
	for name, register := range map[string]func(ctx context.Context){
		"frames": func(ctx context.Context) { _ = c.Register(ctx, "ana") },
		"HTTP": func(ctx context.Context) {
			r := request(t, "https://"+s.Address+"/lonja.v1.Directory/Register", strings.NewReader(`{"user":"ana","withoutKey":true}`))
			if answer, err := overHTTP.Do(r.WithContext(ctx)); err == nil {
				_ = answer.Body.Close()
			}
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); register(ctx) }()
		<-dir.begun
		cancel()
		if err := <-dir.ended; err == nil {
			t.Errorf("%s: the operation was not cancelled", name)
		}
		<-done
	}
}

// slow is a directory whose REGISTER takes until it is cancelled.
type slow struct {
	lonja.MemberDirectory
	begun chan struct{}
	ended chan error
}

func (s *slow) Register(ctx context.Context, _ lonja.UserName) error {
	s.begun <- struct{}{}
	<-ctx.Done()
	s.ended <- ctx.Err()
	return ctx.Err()
}

// TestSilentConnections: who connects and says nothing, or begins a handshake and
// goes no further, is ended.
func TestSilentConnections(t *testing.T) {
	s := site(t, apitest.Setup{
		Secure: apiserver.Options{HandshakeTimeout: 50 * time.Millisecond},
		Port:   dirserver.Options{RequestTimeout: 50 * time.Millisecond},
	})
	for name, says := range map[string]string{"nothing": "", "one byte": "\x16", "half a hello": "\x16\x03\x01\x02\x00\x01"} {
		conn, err := net.Dial("tcp", s.Address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(says)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
		_ = conn.Close()
	}
}
