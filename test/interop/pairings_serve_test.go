//go:build interop

package interop_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Their clients fetch from ours, and from ours and theirs together.

// whereIs asks a directory where a user listens; who asks must be connected.
func whereIs(t *testing.T, client pythonClient, directory netip.AddrPort, asking, user string) netip.AddrPort {
	t.Helper()
	list := client.ask(t, directory, "LIST_USERS", asking)
	for _, entry := range list.Entries {
		if entry[0] == user {
			at, err := netip.ParseAddrPort(entry[1] + ":" + entry[2])
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
	}
	t.Fatalf("%s is not among the connected users: %q (status %d)", user, list.Entries, list.Status)
	return netip.AddrPort{}
}

func TestPairingPythonClientFetchesFromOurs(t *testing.T) {
	for _, sized := range []bool{false, true} {
		for _, s := range sendings {
			for _, size := range []int{0, 3000} {
				name := fmt.Sprintf("%s, %d bytes", s.name, size)
				client, node := pythonClient{options: s.options}, []string{}
				if sized {
					name += ", size sent"
					client.options = append(slices.Clone(s.options), "--read-size")
					node = append(node, "--send-size")
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					content := patternOf(size)
					_, directory := startServer(t)
					c := startUser(t, directory, "ana", node...)
					path := c.offer(t, "file.bin", content)
					peer := whereIs(t, client, directory, "ana", "ana")
					walkTransfers(t, client, peer, path, content)
				})
			}
		}
	}
}

// With --send-size, what others take for the beginning of the file is its
// size; without it there is none. Slices never have one.
func TestPairingSizeIsSentWhenAskedFor(t *testing.T) {
	content := patternOf(1000)
	for option, want := range map[string][]byte{
		"--send-size=false": content,
		"--send-size":       append([]byte("1000\x00"), content...),
	} {
		t.Run(option, func(t *testing.T) {
			_, directory := startServer(t)
			c := startUser(t, directory, "ana", option)
			path := c.offer(t, "file.bin", content)
			var client pythonClient
			peer := whereIs(t, client, directory, "ana", "ana")
			out := filepath.Join(t.TempDir(), "out")
			if got := client.fetchFile(t, peer, path, out); got.Status != 0 || !bytes.Equal(contentOf(t, out), want) {
				t.Errorf("GET_FILE: %+v, %.40q, want %.40q", got, contentOf(t, out), want)
			}
			if got := client.fetchSlice(t, peer, path, "0", "1", out); got.Status != 0 || !bytes.Equal(contentOf(t, out), content) {
				t.Errorf("GET_MULTIFILE: %+v, %.40q, want %.40q", got, contentOf(t, out), content)
			}
		})
	}
}

// A file is served from its PUBLISH to its DELETE, as long as its user is
// connected.
func TestPairingServesWhatIsPublishedNow(t *testing.T) {
	for _, kind := range directoryKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			directory := kind.start(t, sendings[0])
			c := startUser(t, directory, "ana")
			path := c.write(t, "file.bin", patternOf(1000))
			var client pythonClient
			peer := whereIs(t, client, directory, "ana", "ana")
			out := filepath.Join(t.TempDir(), "out")
			for _, step := range []struct {
				typed, shown string
				status       int
			}{
				{"list_content ana", "LIST_CONTENT OK", 1},
				{"publish file.bin a file", "PUBLISH OK", 0},
				{"publish file.bin again", "PUBLISH FAIL, CONTENT ALREADY PUBLISHED", 0},
				{"delete file.bin", "DELETE OK", 1},
				{"delete file.bin", "DELETE FAIL, CONTENT NOT PUBLISHED", 1},
				{"publish file.bin a file", "PUBLISH OK", 0},
				{"disconnect ana", "DISCONNECT OK", noStatus},
			} {
				c.must(t, step.typed, step.shown)
				if got := client.fetchFile(t, peer, path, out); got.Status != step.status {
					t.Errorf("after %q GET_FILE has status %d, want %d", step.typed, got.Status, step.status)
				}
			}
		})
	}
}

// mixedHolders are files and who has each: pedro and paco have Python's peer,
// the others ours. It is ana who fetches; her own copy counts.
var mixedHolders = map[string][]string{
	"pair.bin":   {"marta", "pedro"},
	"ours.bin":   {"marta", "nora"},
	"theirs.bin": {"pedro", "paco"},
	"all.bin":    {"marta", "pedro", "nora", "paco"},
	"own.bin":    {"ana", "pedro"},
}

// filesWith returns the names of the files that a user has.
func filesWith(user string) []string {
	var files []string
	for file, users := range mixedHolders {
		if slices.Contains(users, user) {
			files = append(files, file)
		}
	}
	return files
}

// Users of both sorts at directories of both sorts: everybody can have every
// file, from each of its holders and from all of them.
func TestPairingMixed(t *testing.T) {
	content := patternOf(10_001)
	for _, kind := range directoryKinds {
		for _, s := range sendings {
			t.Run(kind.name+", "+s.name, func(t *testing.T) {
				t.Parallel()
				directory := kind.start(t, s)
				client := pythonClient{options: s.options}
				paths := make(map[string]string) // by user and file
				offer := func(c *console, user string) {
					for _, file := range filesWith(user) {
						paths[user+file] = c.offer(t, file, content)
					}
				}
				ana := startUser(t, directory, "ana")
				offer(ana, "ana")
				offer(startUser(t, directory, "marta"), "marta")
				offer(startUser(t, directory, "nora", "--send-size"), "nora")
				for _, user := range []string{"pedro", "paco"} {
					files := make(map[string][]byte)
					for _, file := range filesWith(user) {
						files[file] = content
					}
					peer, theirs := startPythonHolder(t, files, s.options...)
					enrol(t, client, directory, user, peer, valuesOf(theirs)...)
					for file, path := range theirs {
						paths[user+file] = path
					}
				}
				fetchMixed(t, ana, client, directory, paths, content)
			})
		}
	}
}

// fetchMixed has ana's client, and the Python client, fetch every file.
func fetchMixed(t *testing.T, ana *console, client pythonClient, directory netip.AddrPort, paths map[string]string, content []byte) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	for file, users := range mixedHolders {
		ana.mustFetch(t, "get_multifile "+file, "GET_MULTIFILE OK", content)
		for _, user := range users {
			ana.mustFetch(t, "get_file "+user+" "+paths[user+file], "GET_FILE OK", content)
		}
		got := client.fetchMulti(t, directory, "ana", file, out)
		if got.Status != 0 || got.Holders != len(users) || !bytes.Equal(contentOf(t, out), content) {
			t.Errorf("the Python client fetches %s from %q: %+v", file, users, got)
		}
	}
	folderMustHave(t, filepath.Dir(out), map[string][]byte{"out": content})
}

// A Python peer that dies is replaced by one of ours, and one of ours that dies
// by a Python peer.
func TestPairingMixedHoldersDie(t *testing.T) {
	content := patternOf(10_001)
	for _, kind := range directoryKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			directory := kind.start(t, sendings[0])
			var client pythonClient
			c := startUser(t, directory, "luis")
			marta := startUser(t, directory, "marta")
			marta.offer(t, "file.bin", content)
			path := fileOf(t, "file.bin", content)
			theirs, peer := startPythonPeer(t, nil, "--file", path)
			enrol(t, client, directory, "pedro", peer, path)
			_, peer = startPythonPeer(t, nil, "--file", path)
			enrol(t, client, directory, "paco", peer, path)

			theirs.kill() // the directory still lists pedro
			c.mustFetch(t, "get_multifile file.bin", "GET_MULTIFILE OK", content)
			marta.kill() // and marta
			c.mustFetch(t, "get_multifile file.bin", "GET_MULTIFILE OK", content)
			if got := client.ask(t, directory, "GET_MULTIFILE", "luis", "file.bin"); string(got.Count) != "3" {
				t.Errorf("the directory lists %s holders, want the 3 that have not disconnected", got.Count)
			}
		})
	}
}

// As many holders as the count of the answer, which is a byte, can tell.
func TestPairingMostHolders(t *testing.T) {
	const most = 255
	content := patternOf(100_003)
	for _, kind := range directoryKinds {
		for _, s := range sendings {
			t.Run(kind.name+", "+s.name, func(t *testing.T) {
				t.Parallel()
				directory := kind.start(t, s)
				client := pythonClient{options: s.options}
				marta := startUser(t, directory, "marta")
				for i := range most + 1 { // one too many
					marta.offer(t, filepath.Join(itoa(i), "file.bin"), content)
				}
				got := client.ask(t, directory, "GET_MULTIFILE", "marta", "file.bin")
				if string(got.Count) != itoa(most) || len(got.Entries) != most || got.Trailing != 0 {
					t.Errorf("the directory lists %s holders, %d entries and %d bytes more, want %d", got.Count, len(got.Entries), got.Trailing, most)
				}
				out := filepath.Join(t.TempDir(), "out")
				got = client.fetchMulti(t, directory, "marta", "file.bin", out)
				if got.Holders != most || !bytes.Equal(contentOf(t, out), content) {
					t.Errorf("the Python client fetches from them: %+v", got)
				}
				c := startUser(t, directory, "luis")
				c.mustFetch(t, "get_multifile file.bin", "GET_MULTIFILE OK", content)
				if list := marta.typed(t, "list_content marta"); strings.Count(list, "\n\tFILE") != most+1 {
					t.Errorf("LIST_CONTENT shows %d files, want %d", strings.Count(list, "\n\tFILE"), most+1)
				}
			})
		}
	}
}
