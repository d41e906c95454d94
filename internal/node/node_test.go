package node

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/directory/directorytest"
)

// A village is a directory and the nodes of its users, who all see the same
// files of this machine.
type village struct {
	*testing.T
	dir   *switchable
	files string
	state string
}

// switchable is a real directory that can be made to refuse.
type switchable struct {
	lonja.Directory
	refuse       error        // of Publish
	instead      error        // of Connect
	afterConnect func() error // what Connect returns after it was done
}

func (s *switchable) Connect(ctx context.Context, user lonja.UserName, at lonja.Endpoint) error {
	if s.instead != nil {
		return s.instead
	}
	err := s.Directory.Connect(ctx, user, at)
	if err == nil && s.afterConnect != nil {
		err = s.afterConnect()
	}
	return err
}

func (s *switchable) Publish(ctx context.Context, user lonja.UserName, l lonja.Listing) error {
	if s.refuse != nil {
		return s.refuse
	}
	return s.Directory.Publish(ctx, user, l)
}

func newVillage(t *testing.T) *village {
	return &village{t, &switchable{Directory: directorytest.New(t)}, t.TempDir(), t.TempDir()}
}

func (v *village) node() *Node {
	n := New(Options{
		Directory: v.dir, DirectoryName: "village:1", StateDir: v.state, Listen: "127.0.0.1:0",
	})
	v.Cleanup(n.Close)
	return n
}

func (v *village) connected(user lonja.UserName) *Node {
	v.Helper()
	n := v.node()
	if err := v.dir.Register(v.Context(), user); err != nil && !errors.Is(err, lonja.NameInUse) {
		v.Fatal(err)
	}
	v.ok(n.Connect(v.Context(), user))
	return n
}

func (v *village) file(name, content string) string {
	v.Helper()
	path := filepath.Join(v.files, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		v.Fatal(err)
	}
	return path
}

func (v *village) ok(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

func (v *village) is(err error, kind lonja.Kind) {
	v.Helper()
	if !errors.Is(err, kind) {
		v.Errorf("got error %v, want %v", err, kind)
	}
}

// fetch returns what GET_FILE brings, or its error.
func (v *village) fetch(n *Node, owner lonja.UserName, path string) (string, error) {
	target := filepath.Join(v.TempDir(), "got")
	if err := n.FetchFile(v.Context(), owner, lonja.FileName(path), target, nil); err != nil {
		return "", err
	}
	content, err := os.ReadFile(target)
	return string(content), err
}

func TestOneUserAtATime(t *testing.T) {
	v := newVillage(t)
	n := v.connected("ana")
	v.ok(n.Register(t.Context(), "luis"))
	v.is(n.Connect(t.Context(), "luis"), lonja.NodeInUse)
	v.is(n.Connect(t.Context(), "ana"), lonja.NodeInUse)
	if n.User() != "ana" {
		t.Errorf("got user %q", n.User())
	}
	v.ok(n.Disconnect(t.Context(), "ana"))
	v.ok(n.Connect(t.Context(), "luis"))
}

func TestNothingIsSentWithoutAUser(t *testing.T) {
	n := New(Options{}) // no directory: asking it would panic
	ctx := t.Context()
	_, errUsers := n.ListUsers(ctx)
	_, errContent := n.ListContent(ctx, "ana")
	for what, err := range map[string]error{
		"publish": n.Publish(ctx, "/nonexistent", ""), "delete": n.Delete(ctx, "/nonexistent"),
		"users": errUsers, "content": errContent,
		"file":  n.FetchFile(ctx, "ana", "/f", "/nonexistent/f", nil),
		"multi": n.FetchMulti(ctx, "/f", "/nonexistent/f", nil),
	} {
		if !errors.Is(err, lonja.NotConnected) {
			t.Errorf("%s: got error %v, want %v", what, err, lonja.NotConnected)
		}
	}
}

func TestServesOnlyWhatIsListed(t *testing.T) {
	v := newVillage(t)
	ana, luis := v.connected("ana"), v.connected("luis")
	path := v.file("f", "content")
	v.ok(ana.Publish(t.Context(), path, "a file"))
	if got, err := v.fetch(luis, "ana", path); got != "content" {
		t.Errorf("got %q, %v", got, err)
	}
	v.ok(ana.Delete(t.Context(), path))
	_, err := v.fetch(luis, "ana", path)
	v.is(err, lonja.NoSuchFile)

	v.dir.refuse = lonja.Refused
	v.is(ana.Publish(t.Context(), path, "a file"), lonja.Refused)
	_, err = v.fetch(luis, "ana", path)
	v.is(err, lonja.NoSuchFile)

	// The directory lists it already: then it is offered, whatever this node
	// remembers.
	v.dir.refuse = lonja.AlreadyPublished
	v.is(ana.Publish(t.Context(), path, "a file"), lonja.AlreadyPublished)
	if got, err := v.fetch(luis, "ana", path); got != "content" {
		t.Errorf("got %q, %v", got, err)
	}
	// A refused second publication does not take the first one away.
	v.dir.refuse = lonja.Unavailable
	v.is(ana.Publish(t.Context(), path, "a file"), lonja.Unavailable)
	if got, err := v.fetch(luis, "ana", path); got != "content" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPublicationsSurviveARestart(t *testing.T) {
	v := newVillage(t)
	path := v.file("f", "content")
	first := v.connected("ana")
	v.ok(first.Publish(t.Context(), path, "a file"))
	first.Close()
	v.connected("ana")
	luis := v.connected("luis")
	if got, err := v.fetch(luis, "ana", path); got != "content" {
		t.Errorf("after a restart: got %q, %v", got, err)
	}
}

func TestANewAccountOffersNothing(t *testing.T) {
	v := newVillage(t)
	path := v.file("f", "content")
	ana, luis := v.connected("ana"), v.connected("luis")
	v.ok(ana.Publish(t.Context(), path, "a file"))
	ana.Close()
	// Unregistered from elsewhere, by somebody whose state is not ours.
	v.ok(v.dir.Unregister(t.Context(), "ana"))
	again := v.node()
	v.ok(again.Register(t.Context(), "ana"))
	v.ok(again.Connect(t.Context(), "ana"))
	_, err := v.fetch(luis, "ana", path)
	v.is(err, lonja.NoSuchFile)
}

// TestLeavingEndsTheListener whatever the directory says.
func TestLeavingEndsTheListener(t *testing.T) {
	for name, leave := range map[string]func(*village, *Node){
		"disconnect": func(v *village, n *Node) { v.ok(n.Disconnect(v.Context(), "ana")) },
		"disconnect refused": func(v *village, n *Node) {
			v.ok(v.dir.Disconnect(v.Context(), "ana"))
			v.is(n.Disconnect(v.Context(), "ana"), lonja.NotConnected)
		},
		"unregister": func(v *village, n *Node) { v.ok(n.Unregister(v.Context(), "ana")) },
		"close":      func(_ *village, n *Node) { n.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t)
			n := v.connected("ana")
			luis := v.connected("luis")
			peers, err := luis.ListUsers(t.Context())
			v.ok(err)
			at := peers[len(peers)-1].At.String() // the oldest account
			leave(v, n)
			if conn, err := net.Dial("tcp", at); err == nil {
				_ = conn.Close()
				t.Error("the node still listens")
			}
			if n.User() != "" {
				t.Errorf("user %q is still connected", n.User())
			}
		})
	}
}

func TestDisconnectingSomebodyElse(t *testing.T) {
	v := newVillage(t)
	ana := v.connected("ana")
	v.connected("luis")
	v.ok(ana.Disconnect(t.Context(), "luis"))
	if ana.User() != "ana" {
		t.Error("another one's DISCONNECT ended this user's session")
	}
}

func TestFailedConnectLeavesNothing(t *testing.T) {
	v := newVillage(t)
	n := v.node()
	v.is(n.Connect(t.Context(), "nobody"), lonja.NoSuchUser)
	v.ok(v.dir.Register(t.Context(), "ana"))
	v.ok(n.Connect(t.Context(), "ana"))
}

func TestBadArguments(t *testing.T) {
	v := newVillage(t)
	n := v.connected("ana")
	blank := v.file("with blank", "x")
	for name, err := range map[string]error{
		"no file":   n.Publish(t.Context(), filepath.Join(v.files, "nothing"), ""),
		"folder":    n.Publish(t.Context(), v.files, ""),
		"blank":     n.Publish(t.Context(), blank, ""),
		"long":      n.Delete(t.Context(), "/"+strings.Repeat("x", 255)),
		"no target": n.FetchFile(t.Context(), "ana", "/f", filepath.Join(v.files, "no", "where"), nil),
		"a folder":  n.FetchMulti(t.Context(), "f", v.files, nil),
	} {
		if !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: got error %v, want kind Invalid", name, err)
		}
	}
}

func TestFetchFromEverybody(t *testing.T) {
	v := newVillage(t)
	content := strings.Repeat("0123456789", 100_000) + "end"
	path := v.file("f", content)
	for _, user := range []lonja.UserName{"ana", "luis", "eva"} {
		v.ok(v.connected(user).Publish(t.Context(), path, "a file"))
	}
	n := v.connected("marta")
	target := filepath.Join(t.TempDir(), "got")
	v.ok(n.FetchMulti(t.Context(), "f", target, nil))
	if got, err := os.ReadFile(target); string(got) != content {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(content))
	}
	_, err := v.fetch(n, "nobody", path)
	v.is(err, lonja.NoSuchOwner)
	v.is(n.FetchMulti(t.Context(), "nothing", target, nil), lonja.NoHolder)
}
