// Package dirtest is the contract of lonja.Directory as a test suite. Every
// implementation runs it: the rules in process and the client over the network.
// Only tests import it.
package dirtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"lonja"
)

// Run runs the suite. open returns a new, empty directory; addr is the address
// that its Connect gives to users (a directory over the network takes that of
// the connection).
func Run(t *testing.T, addr netip.Addr, open func(t *testing.T) lonja.Directory) {
	for name, test := range map[string]func(*world){
		"accounts":                 testAccounts,
		"presence":                 testPresence,
		"checks come in order":     testOrderOfChecks,
		"publications":             testPublications,
		"disconnect keeps files":   testDisconnectKeepsFiles,
		"unregister drops all":     testUnregisterDropsAll,
		"newest first":             testNewestFirst,
		"holders":                  testHolders,
		"holders by base name":     testHoldersByBaseName,
		"at most 255 holders":      testHolderLimit,
		"names of any bytes":       testNames,
		"one of two at once wins":  testRaces,
		"search: words":            testSearchWords,
		"search: filters":          testSearchFilters,
		"search: groups":           testSearchGroups,
		"search: ranks":            testSearchRanks,
		"search: pages":            testSearchPages,
		"search: while it changes": testSearchWhileThingsChange,
		"search: checks":           testSearchChecks,
	} {
		t.Run(name, func(t *testing.T) { test(&world{t, open(t), addr}) })
	}
}

// A world is one directory and short words for what happens in it.
type world struct {
	*testing.T
	dir  lonja.Directory
	addr netip.Addr
}

func (w *world) endpoint(port uint16) lonja.Endpoint { return lonja.EndpointFrom(w.addr, port) }

func (w *world) register(users ...lonja.UserName) {
	w.Helper()
	for _, u := range users {
		w.ok(w.dir.Register(w.Context(), u))
	}
}

func (w *world) connect(user lonja.UserName, port uint16) {
	w.Helper()
	w.ok(w.dir.Connect(w.Context(), user, w.endpoint(port)))
}

func (w *world) publish(user lonja.UserName, names ...lonja.FileName) {
	w.Helper()
	for _, name := range names {
		w.ok(w.dir.Publish(w.Context(), user, lonja.Listing{Name: name, Description: "about " + lonja.Description(name)}))
	}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("got error %v, want none", err)
	}
}

func (w *world) is(err error, want lonja.Kind) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("got error %v, want %v", err, want)
	}
}

func (w *world) names(user, owner lonja.UserName) []lonja.FileName {
	w.Helper()
	listings, err := w.dir.ListContent(w.Context(), user, owner)
	w.ok(err)
	names := make([]lonja.FileName, len(listings))
	for i, l := range listings {
		names[i] = l.Name
	}
	return names
}

// equal compares two lists and shows both.
func equal[T comparable](w *world, got, want []T) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Errorf("got  %v\nwant %v", got, want)
	}
}

func listUsers(ctx context.Context, dir lonja.Lookups, user lonja.UserName) ([]lonja.Peer, error) {
	peers, err := dir.ListUsers(ctx, user)
	return slices.Collect(peers.All()), err
}

func testAccounts(w *world) {
	w.register("ana")
	w.is(w.dir.Register(w.Context(), "ana"), lonja.NameInUse)
	w.is(w.dir.Unregister(w.Context(), "luis"), lonja.NoSuchUser)
	w.ok(w.dir.Unregister(w.Context(), "ana"))
	w.is(w.dir.Unregister(w.Context(), "ana"), lonja.NoSuchUser)
	w.register("ana")
}

func testPresence(w *world) {
	w.is(w.dir.Connect(w.Context(), "ana", w.endpoint(4000)), lonja.NoSuchUser)
	w.is(w.dir.Disconnect(w.Context(), "ana"), lonja.NoSuchUser)
	w.register("ana", "luis")
	w.is(w.dir.Disconnect(w.Context(), "ana"), lonja.NotConnected)
	w.connect("ana", 4000)
	w.is(w.dir.Connect(w.Context(), "ana", w.endpoint(4001)), lonja.AlreadyConnected)
	w.connect("luis", 4002)
	peers, err := listUsers(w.Context(), w.dir, "ana")
	w.ok(err)
	equal(w, peers, []lonja.Peer{{User: "luis", At: w.endpoint(4002)}, {User: "ana", At: w.endpoint(4000)}})
	w.ok(w.dir.Disconnect(w.Context(), "luis"))
	peers, err = listUsers(w.Context(), w.dir, "ana")
	w.ok(err)
	equal(w, peers, []lonja.Peer{{User: "ana", At: w.endpoint(4000)}})
}

// testOrderOfChecks: existence, then connection, then the rest.
func testOrderOfChecks(w *world) {
	ctx, file := w.Context(), lonja.Listing{Name: "/f"}
	askAll := func(want lonja.Kind) {
		w.Helper()
		w.is(w.dir.Publish(ctx, "ana", file), want)
		w.is(w.dir.Delete(ctx, "ana", "/nothing"), want)
		_, err := w.dir.ListUsers(ctx, "ana")
		w.is(err, want)
		_, err = w.dir.ListContent(ctx, "ana", "nobody")
		w.is(err, want)
	}
	askAll(lonja.NoSuchUser)
	w.register("ana")
	askAll(lonja.NotConnected)
	if _, err := w.dir.Holders(ctx, "ana", "/f"); err == nil || errors.Is(err, lonja.NoHolder) {
		w.Errorf("got error %v of a user who is not connected, want one that is not NoHolder", err)
	}
	w.connect("ana", 4000)
	w.ok(w.dir.Publish(ctx, "ana", file))
	w.is(w.dir.Publish(ctx, "ana", file), lonja.AlreadyPublished)
	w.is(w.dir.Delete(ctx, "ana", "/nothing"), lonja.NotPublished)
	_, err := w.dir.ListContent(ctx, "ana", "nobody")
	w.is(err, lonja.NoSuchOwner)
	_, err = w.dir.Holders(ctx, "ana", "/nothing")
	w.is(err, lonja.NoHolder)
}

func testPublications(w *world) {
	w.register("ana", "luis")
	w.connect("ana", 4000)
	equal(w, w.names("ana", "ana"), nil)
	w.publish("ana", "/a", "/b", "/c")
	w.ok(w.dir.Delete(w.Context(), "ana", "/b"))
	w.is(w.dir.Delete(w.Context(), "ana", "/b"), lonja.NotPublished)
	equal(w, w.names("ana", "ana"), []lonja.FileName{"/c", "/a"})
	equal(w, w.names("ana", "luis"), nil)
	w.publish("ana", "/b")
	equal(w, w.names("ana", "ana"), []lonja.FileName{"/b", "/c", "/a"})
}

func testDisconnectKeepsFiles(w *world) {
	w.register("ana", "luis")
	w.connect("ana", 4000)
	w.connect("luis", 4001)
	w.publish("ana", "/f")
	w.ok(w.dir.Disconnect(w.Context(), "ana"))
	equal(w, w.names("luis", "ana"), []lonja.FileName{"/f"})
	_, err := w.dir.Holders(w.Context(), "luis", "/f")
	w.is(err, lonja.NoHolder)
	w.connect("ana", 4002)
	holders, err := w.dir.Holders(w.Context(), "luis", "f")
	w.ok(err)
	equal(w, places(holders), []string{w.endpoint(4002).String() + " /f"})
}

func testUnregisterDropsAll(w *world) {
	w.register("ana", "luis")
	w.connect("ana", 4000)
	w.connect("luis", 4001)
	w.publish("ana", "/f")
	w.ok(w.dir.Unregister(w.Context(), "ana"))
	_, err := w.dir.ListContent(w.Context(), "luis", "ana")
	w.is(err, lonja.NoSuchOwner)
	_, err = w.dir.Holders(w.Context(), "luis", "/f")
	w.is(err, lonja.NoHolder)
	peers, err := listUsers(w.Context(), w.dir, "luis")
	w.ok(err)
	equal(w, peers, []lonja.Peer{{User: "luis", At: w.endpoint(4001)}})
	w.register("ana")
	w.is(w.dir.Disconnect(w.Context(), "ana"), lonja.NotConnected)
	w.connect("ana", 4003)
	equal(w, w.names("luis", "ana"), nil)
}

// testNewestFirst: users by the age of their accounts, not of their connections.
func testNewestFirst(w *world) {
	w.register("a", "b", "c")
	w.connect("b", 4001)
	w.connect("c", 4002)
	w.connect("a", 4000)
	peers, err := listUsers(w.Context(), w.dir, "a")
	w.ok(err)
	equal(w, peers, []lonja.Peer{
		{User: "c", At: w.endpoint(4002)}, {User: "b", At: w.endpoint(4001)}, {User: "a", At: w.endpoint(4000)},
	})
}

// places shows holders without their users, which not every dialect tells.
func places(holders []lonja.Holder) []string {
	list := make([]string, len(holders))
	for i, h := range holders {
		list[i] = fmt.Sprintf("%v %s", h.At, h.Name)
	}
	slices.Sort(list)
	return list
}

// testHolders: the asking user counts, and one with several matching files
// stands there once for each.
func testHolders(w *world) {
	w.register("ana", "luis")
	w.connect("ana", 4000)
	w.connect("luis", 4001)
	w.publish("ana", "/x/f", "/y/f")
	w.publish("luis", "/f", "/g")
	holders, err := w.dir.Holders(w.Context(), "luis", "f")
	w.ok(err)
	ana, luis := w.endpoint(4000).String(), w.endpoint(4001).String()
	equal(w, places(holders), []string{ana + " /x/f", ana + " /y/f", luis + " /f"})
	w.ok(w.dir.Delete(w.Context(), "ana", "/x/f"))
	holders, err = w.dir.Holders(w.Context(), "luis", "/elsewhere/f")
	w.ok(err)
	equal(w, places(holders), []string{ana + " /y/f", luis + " /f"})
}

func testHoldersByBaseName(w *world) {
	w.register("ana")
	w.connect("ana", 4000)
	w.publish("ana", `C:\Users\ana\foo.txt`, "/home/ana/bar.txt", "plain", "/ends/in/")
	for name, found := range map[lonja.FileName]bool{
		"foo.txt": true, "/home/luis/foo.txt": true, `D:\foo.txt`: true, `\a/foo.txt`: true,
		"bar.txt": true, "plain": true, "/in/plain": true, "FOO.txt": false, "foo": false, "in": false,
	} {
		holders, err := w.dir.Holders(w.Context(), "ana", name)
		if found && (err != nil || len(holders) != 1) || !found && !errors.Is(err, lonja.NoHolder) {
			w.Errorf("holders of %q: got %v, %v; want found %v", name, holders, err, found)
		}
	}
}

func testHolderLimit(w *world) {
	w.register("ana")
	w.connect("ana", 4000)
	for i := range lonja.MaxHolders + 3 {
		w.publish("ana", lonja.FileName(fmt.Sprintf("/%d/f", i)))
	}
	holders, err := w.dir.Holders(w.Context(), "ana", "f")
	w.ok(err)
	if len(holders) != lonja.MaxHolders {
		w.Errorf("got %d holders, want %d", len(holders), lonja.MaxHolders)
	}
}

func testNames(w *world) {
	long := lonja.UserName(strings.Repeat("ñ", lonja.MaxUserName/2) + "x")
	users := []lonja.UserName{"ñandú", "用户", "a b", "\xff\xfe", "x\ny", long}
	w.register("ana")
	w.connect("ana", 4000)
	for i, u := range users {
		w.register(u)
		w.connect(u, uint16(5000+i))
		w.publish(u, "/búsqueda/日本.txt")
	}
	peers, err := listUsers(w.Context(), w.dir, "ana")
	w.ok(err)
	for i, u := range users {
		want := lonja.Peer{User: u, At: w.endpoint(uint16(5000 + i))}
		if !slices.Contains(peers, want) {
			w.Errorf("no %v among %v", want, peers)
		}
		equal(w, w.names("ana", u), []lonja.FileName{"/búsqueda/日本.txt"})
	}
}

// testRaces: of many who want the same at once, exactly one gets it.
func testRaces(w *world) {
	const rivals = 16
	race := func(do func(context.Context) error, lost lonja.Kind) {
		w.Helper()
		results := make(chan error, rivals)
		for range rivals {
			go func() { results <- do(w.Context()) }()
		}
		won := 0
		for range rivals {
			if err := <-results; err == nil {
				won++
			} else {
				w.is(err, lost)
			}
		}
		if won != 1 {
			w.Errorf("%d won, want 1", won)
		}
	}
	race(func(ctx context.Context) error { return w.dir.Register(ctx, "ana") }, lonja.NameInUse)
	race(func(ctx context.Context) error { return w.dir.Connect(ctx, "ana", w.endpoint(4000)) }, lonja.AlreadyConnected)
	race(func(ctx context.Context) error {
		return w.dir.Publish(ctx, "ana", lonja.Listing{Name: "/f"})
	}, lonja.AlreadyPublished)
	race(func(ctx context.Context) error { return w.dir.Delete(ctx, "ana", "/f") }, lonja.NotPublished)
	race(func(ctx context.Context) error { return w.dir.Disconnect(ctx, "ana") }, lonja.NotConnected)
	race(func(ctx context.Context) error { return w.dir.Unregister(ctx, "ana") }, lonja.NoSuchUser)
}
