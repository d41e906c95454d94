package main

import (
	"maps"
	"net"
	"slices"
	"testing"

	"lonja"
)

// TestNamesThatAreNoText: two names that differ in bytes that are no UTF-8 are two, for
// programs too.
func TestNamesThatAreNoText(t *testing.T) {
	f := openFair(t)
	eva := f.join("eva")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	old := f.classic()
	at := lonja.Endpoint{AddrPort: ln.Addr().(*net.TCPAddr).AddrPort()}
	users := []lonja.UserName{"old\xfe", "old\xff"}
	for _, user := range users {
		for _, err := range []error{
			old.Register(t.Context(), user), old.Connect(t.Context(), user, at),
			old.Publish(t.Context(), user, lonja.Listing{Name: lonja.FileName("/tape" + user[3:] + ".ogg"), Description: "from caf\xe9"}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	present := make(map[string]bool)
	for _, p := range lines[presentLine](t, eva.does("who", "--json")) {
		present[string(p.UserBytes)] = true
	}
	found := make(map[string]bool)
	for _, l := range lines[foundLine](t, eva.does("find", "--json", "--ext", "ogg")) {
		found[string(l.OwnerBytes)+string(l.NameBytes)+string(l.BaseBytes)+string(l.DescriptionBytes)] = true
	}
	for _, user := range users {
		if !present[string(user)] {
			t.Errorf("%q is not among %q", user, slices.Collect(maps.Keys(present)))
		}
		tape := "tape" + string(user[3:]) + ".ogg"
		if want := string(user) + "/" + tape + tape + "from caf\xe9"; !found[want] {
			t.Errorf("%q is not among %q", want, slices.Collect(maps.Keys(found)))
		}
		listed := lines[publishedLine](t, eva.does("ls", "--json", string(user)))
		if len(listed) != 1 || string(listed[0].OwnerBytes) != string(user) || string(listed[0].NameBytes) != "/"+tape {
			t.Errorf("got %+v", listed)
		}
	}
	eva.does("publish", eva.file("café.txt", "text"))
	if l := lines[publishedLine](t, eva.does("ls", "--json"))[0]; l.NameBytes != nil || l.OwnerBytes != nil || l.DescriptionBytes != nil {
		t.Errorf("text has bytes beside it: %+v", l)
	}
}
