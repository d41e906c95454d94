package oncrpc_test

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"lonja"
	"lonja/internal/oncrpc"
)

func TestMapping(t *testing.T) {
	m := oncrpc.Mapping{Program: oncrpc.LoggerProgram, Version: 1, Protocol: oncrpc.ProtocolUDP, Port: 5000}
	want := unhex(t, "20000001 00000001 00000011 00001388")
	if got := oncrpc.AppendMapping(nil, m); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestBinding(t *testing.T) {
	v := oncrpc.Binding{Program: oncrpc.LoggerProgram, Version: 1, NetID: "tcp6", Address: "::.19.136", Owner: "0"}
	want := unhex(t, "20000001 00000001 00000004 74637036 00000009 3a3a2e31392e313336 000000 00000001 30000000")
	if got := oncrpc.AppendBinding(nil, v); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestDecodeResults(t *testing.T) {
	if done, err := oncrpc.DecodeDone(unhex(t, "00000001")); !done || err != nil {
		t.Errorf("true: got %v, %v", done, err)
	}
	if done, err := oncrpc.DecodeDone(unhex(t, "00000000")); done || err != nil {
		t.Errorf("false: got %v, %v", done, err)
	}
	if _, err := oncrpc.DecodeDone(unhex(t, "00000002")); !errors.Is(err, lonja.Malformed) {
		t.Errorf("neither: got %v", err)
	}
	if port, err := oncrpc.DecodePort(unhex(t, "0000ffff")); port != 65535 || err != nil {
		t.Errorf("port: got %v, %v", port, err)
	}
	if _, err := oncrpc.DecodePort(unhex(t, "00010000")); !errors.Is(err, lonja.Malformed) {
		t.Errorf("port 65536: got %v", err)
	}
}

func TestDecodeLists(t *testing.T) {
	dump := unhex(t, `00000001 20000001 00000001 00000003 74637000 00000001 61000000 00000000
		00000001 00000002 00000003 00000000 00000000 00000000 00000000`)
	wantBindings := []oncrpc.Binding{
		{Program: oncrpc.LoggerProgram, Version: 1, NetID: "tcp", Address: "a"}, {Program: 2, Version: 3},
	}
	if got, err := oncrpc.DecodeBindings(dump); err != nil || !reflect.DeepEqual(got, wantBindings) {
		t.Errorf("got %+v, %v; want %+v", got, err, wantBindings)
	}
	entries := unhex(t, "00000001 00000001 61000000 00000003 75647000 00000001 00000001 78000000 00000001 79000000 00000000")
	wantEntries := []oncrpc.Entry{{Address: "a", NetID: "udp"}}
	if got, err := oncrpc.DecodeEntries(entries); err != nil || !reflect.DeepEqual(got, wantEntries) {
		t.Errorf("got %+v, %v; want %+v", got, err, wantEntries)
	}
	for name, err := range map[string]error{
		"bindings without an end": second(oncrpc.DecodeBindings(dump[:len(dump)-4])),
		"entries without an end":  second(oncrpc.DecodeEntries(entries[:len(entries)-4])),
	} {
		if !errors.Is(err, lonja.Malformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestUniversalAddress(t *testing.T) {
	for text, at := range map[string]string{
		"127.0.0.1.19.136": "127.0.0.1:5000",
		"0.0.0.0.0.111":    "0.0.0.0:111",
		"::.255.255":       "[::]:65535",
		"fe80::1.4.1":      "[fe80::1]:1025",
	} {
		want := netip.MustParseAddrPort(at)
		if got := oncrpc.UniversalAddress(want); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
		if got, err := oncrpc.ParseUniversalAddress(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "1.2", "127.0.0.1", "127.0.0.1.256.0", "127.0.0.1.0.-1", "x.1.1", "/run/rpcbind.sock"} {
		if got, err := oncrpc.ParseUniversalAddress(text); !errors.Is(err, lonja.Malformed) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
}

// FuzzRpcbind: the decoders of rpcbind's answers neither panic
// nor misread what they would write themselves.
func FuzzRpcbind(f *testing.F) {
	f.Add(unhex(f, "00000001 20000001 00000001 00000003 74637000 00000001 61000000 00000000 00000000"))
	f.Add(unhex(f, "00000001 00000001 61000000 00000003 75647000 00000001 00000001 78000000 00000001 79000000 00000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		bindings, _ := oncrpc.DecodeBindings(b)
		for _, v := range bindings {
			one := append(oncrpc.AppendBinding([]byte{0, 0, 0, 1}, v), 0, 0, 0, 0)
			if got, err := oncrpc.DecodeBindings(one); err != nil || len(got) != 1 || got[0] != v {
				t.Errorf("got %+v, %v; want %+v", got, err, v)
			}
		}
		entries, _ := oncrpc.DecodeEntries(b)
		for _, e := range entries {
			_, _ = oncrpc.ParseUniversalAddress(e.Address)
		}
		_, _ = oncrpc.DecodeDone(b)
		_, _ = oncrpc.DecodePort(b)
	})
}

// FuzzUniversalAddress: what was parsed means the same when it is written again.
func FuzzUniversalAddress(f *testing.F) {
	f.Add("127.0.0.1.19.136")
	f.Add("::.0.111")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := oncrpc.ParseUniversalAddress(text)
		if err != nil {
			return
		}
		if again, err := oncrpc.ParseUniversalAddress(oncrpc.UniversalAddress(at)); err != nil || again != at {
			t.Errorf("got %v, %v; want %v", again, err, at)
		}
	})
}
