package attack_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/fileapi"
	"lonja/internal/frames"
	"lonja/internal/identity"
)

// TestReplayedToANode: the bytes of a transfer, sent to its node once more, bring
// nothing of the file. In classic the same bring all of it, so that the replay is
// one.
func TestReplayedToANode(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	random := make([]byte, 1<<20)
	_, _ = rand.Read(random)
	content := string(random)
	ana.offers("f", content)
	p := v.tap(ana.way())
	v.rules.lies(nil, leadsTo(endpoint(p.at)))
	luis.gets("ana", "f", content)
	v.ok(luis.FetchMulti(t.Context(), "f", t.TempDir()+"/got", nil))
	recorded, told := p.heard(), p.told()
	if len(recorded) < 2 {
		t.Fatalf("%d connections were heard", len(recorded))
	}
	for i, said := range recorded {
		if len(said) == 0 {
			continue // a connection that was not needed any more
		}
		// A node's side of the handshake, with an alert at its end.
		if got := v.replays(ana.way(), said); len(got) > 8<<10 || bytes.Equal(got, told[i][:min(len(got), len(told[i]))]) && len(got) > 0 {
			t.Errorf("connection %d: a replay brings %d bytes, %x ...", i, len(got), got[:min(len(got), 64)])
		}
	}
	luis.gets("ana", "f", content)

	plain := v.tap(ana.way())
	request := []byte("GET_FILE\x00f\x00")
	for _, at := range []string{plain.at, ana.way()} {
		if got := v.replays(at, request); string(got) != "\x00"+content {
			t.Errorf("in classic a replay brings %d bytes", len(got))
		}
	}
}

// withoutItsKey is the certificate in the hands of somebody who has got hold of it,
// as everybody does whom its owner speaks to.
func (c *citizen) withoutItsKey(shown tls.Certificate) tls.Certificate {
	return tls.Certificate{Certificate: shown.Certificate, PrivateKey: c.key}
}

// TestCertificatesWithoutTheirKeys: whoever shows a certificate has to sign with
// its key, whichever side it is on.
func TestCertificatesWithoutTheirKeys(t *testing.T) {
	v := newTown(t)
	ctx := t.Context()
	ana, luis, eve := v.resident("ana"), v.resident("luis"), v.resident("eve")
	file := ana.offers("f", "the content").Proof.File
	luis.gets("ana", "f", "the content")

	if got := asks(t, ana.way(), file, luis.issued()); !strings.HasSuffix(got, "the content") {
		t.Fatalf("with his key, luis gets %q", got)
	}
	if got := asks(t, ana.way(), file, eve.withoutItsKey(luis.issued())); got != "" {
		t.Errorf("a node answers who has not the key %q", got)
	}

	for name, c := range map[string]tls.Certificate{"issued": luis.issued(), "of his own": luis.own()} {
		if _, err := v.whoHas(c).ListContent(ctx, "luis", "luis"); err != nil {
			t.Errorf("%s: with his key: %v", name, err)
		}
		_, err := v.whoHas(eve.withoutItsKey(c)).ListContent(ctx, "luis", "luis")
		if lonja.KindOf(err) != lonja.Unavailable {
			t.Errorf("%s: without it: got %v, want that there is no connection", name, err)
		}
	}

	v.rules.lies(nil, leadsTo(v.poses(ana.issued(), "the content")))
	luis.gets("ana", "f", "the content")
	v.rules.lies(nil, leadsTo(v.poses(eve.withoutItsKey(ana.issued()), "the content")))
	if got, err := luis.fetch("ana", "f"); err == nil {
		t.Errorf("who has not her key serves %q", got)
	}
	v.rules.lies(nil, nil)

	config := v.authority.ServerConfig([]string{"lonja/1"})
	certificate := config.GetCertificate
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		c, err := certificate(hello)
		if err != nil {
			return nil, err
		}
		taken := eve.withoutItsKey(*c)
		return &taken, nil
	}
	if err := v.citizenBy("new", v.serve(config)).Register(ctx, "new"); err == nil {
		t.Error("who has not its key is taken for the directory")
	}
}

// A request is one that was recorded inside of TLS.
type request struct {
	method api.Method
	body   []byte
}

// requests reads what a client has said in frames (docs/wire.md).
func (v *town) requests(said []byte) (all []request) {
	v.Helper()
	const header, isRequest = 16, 2
	for len(said) >= header {
		length := int(binary.BigEndian.Uint32(said))
		if len(said) < header+length {
			break
		}
		if said[4] == isRequest {
			all = append(all, request{api.Method(binary.BigEndian.Uint16(said[6:])), said[header : header+length]})
		}
		said = said[header+length:]
	}
	return all
}

// TestReplayedRequests: who knows what a member has asked of its directory word
// by word, as an earlier directory's node does that was broken into, can ask none
// of it in a session of its own.
func TestReplayedRequests(t *testing.T) {
	v := newTown(t)
	ctx := t.Context()
	inside := v.tap(v.at)
	said := new(bytes.Buffer)
	ana := v.citizenBy("ana", inside.at)
	inside.turns(func(client net.Conn) {
		near := tls.Server(client, v.authority.ServerConfig([]string{"lonja/1"}))
		far, err := tls.Dial("tcp", v.at, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{ana.own()}, NextProtos: []string{"lonja/1"}})
		if err != nil {
			return
		}
		back := make(chan struct{})
		go func() { defer close(back); _, _ = io.Copy(near, far); _ = client.Close() }()
		_, _ = io.Copy(far, io.TeeReader(near, lockedWriter{&inside.mu, said}))
		_ = far.Close()
		<-back
	})
	v.ok(ana.Register(ctx, "ana"))
	v.ok(ana.Connect(ctx, "ana"))
	ana.offers("f", "the content")
	ana.offers("g", "another content")
	v.ok(ana.Delete(ctx, "g"))
	inside.mu.Lock()
	asked := v.requests(bytes.Clone(said.Bytes()))
	inside.mu.Unlock()
	before, err := v.rules.ContentDigest(ctx, "ana")
	v.ok(err)

	eve := v.resident("eve")
	conn, err := tls.Dial("tcp", v.at, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{eve.own()}, NextProtos: []string{"lonja/1"}})
	v.ok(err)
	session, err := frames.NewClient(ctx, conn, frames.ClientOptions{})
	v.ok(err)
	defer session.Close()
	refused := make(map[api.Method]bool)
	for _, r := range asked {
		want := lonja.OtherKey
		switch r.method {
		case api.Method_METHOD_WATCH, api.Method_METHOD_KEYS, api.Method_METHOD_REVOCATIONS: // nobody acts in them
			continue
		case api.Method_METHOD_REGISTER:
			want = lonja.NameInUse
		}
		if answer, err := session.Call(ctx, uint16(r.method), r.body); lonja.KindOf(err) != want {
			t.Errorf("%v: got %q, %v, want %v", r.method, answer, err, want)
		}
		refused[r.method] = true
	}
	for _, m := range []api.Method{
		api.Method_METHOD_REGISTER, api.Method_METHOD_CONNECT, api.Method_METHOD_PUBLISH, api.Method_METHOD_DELETE,
	} {
		if !refused[m] {
			t.Errorf("%v was not recorded", m)
		}
	}
	after, err := v.rules.ContentDigest(ctx, "ana")
	if v.ok(err); before != after {
		t.Errorf("it has changed what is published: %+v, before %+v", after, before)
	}
}

// TestReplayedFileRequests: a request for a file, word by word, brings somebody
// else nothing who is not meant to have it.
func TestReplayedFileRequests(t *testing.T) {
	v := newTown(t)
	ana, luis, eve := v.resident("ana"), v.resident("luis"), v.resident("eve")
	path := fileapi.Path(ana.keeps("secret", "for luis only", "luis").Proof.File)
	if got := asksPath(t, ana.way(), path, luis.issued()); !strings.HasSuffix(got, "for luis only") {
		t.Fatalf("luis gets %q", got)
	}
	if got := asksPath(t, ana.way(), path, eve.issued()); !strings.HasPrefix(got, "HTTP/1.1 404") {
		t.Errorf("eve gets %q", got)
	}
	if got := asksPath(t, ana.way(), path, luis.issued()); !strings.HasSuffix(got, "for luis only") {
		t.Errorf("after that luis gets %q", got)
	}
}

// own returns the certificate that the citizen proves its key with at the directory.
func (c *citizen) own() tls.Certificate {
	c.town.Helper()
	own, err := identity.Certificate(c.key)
	c.town.ok(err)
	return own
}
