package classic

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja"
)

func TestPeerRequestsOnTheWire(t *testing.T) {
	longest := lonja.FileName(strings.Repeat("n", lonja.MaxFileName))
	for _, tc := range []struct {
		req  PeerRequest
		wire string
	}{
		{PeerRequest{Name: "/home/ana/f"}, "GET_FILE\x00/home/ana/f\x00"},
		{PeerRequest{Name: ""}, "GET_FILE\x00\x00"},
		{PeerRequest{Name: longest}, "GET_FILE\x00" + string(longest) + "\x00"},
		{PeerRequest{Name: "/f", Slice: Slice{0, 1}}, "GET_MULTIFILE\x00/f\x000\x001\x00"},
		{PeerRequest{Name: longest, Slice: Slice{254, 255}}, "GET_MULTIFILE\x00" + string(longest) + "\x00254\x00255\x00"},
	} {
		if got := string(AppendPeerRequest(nil, tc.req)); got != tc.wire {
			t.Errorf("%+v is sent as %q, want %q", tc.req, got, tc.wire)
		}
		r := reader(tc.wire + "rest")
		got, err := ReadPeerRequest(r)
		if err != nil || got != tc.req {
			t.Errorf("%q is read as %+v (%v), want %+v", tc.wire, got, err, tc.req)
		}
		if n := r.Buffered(); n != len("rest") {
			t.Errorf("%q leaves %d bytes unread, want those of the rest", tc.wire, n)
		}
	}
}

func TestBadPeerRequests(t *testing.T) {
	for _, wire := range []string{
		"", "\x00", "GET_FILE", "GET_FILE\x00", "GET_FILE\x00/f", "get_file\x00/f\x00", "LIST_USERS\x00/f\x00",
		"GET_FILE\x00" + strings.Repeat("n", lonja.MaxFileName+1) + "\x00",
		"GET_FILE\x00" + strings.Repeat("n", 2*ReadBufferSize) + "\x00",
		strings.Repeat("G", 2*ReadBufferSize),
		"GET_MULTIFILE\x00/f\x00", "GET_MULTIFILE\x00/f\x000\x00", "GET_MULTIFILE\x00/f\x000\x001",
		"GET_MULTIFILE\x00/f\x000\x000\x00", "GET_MULTIFILE\x00/f\x001\x001\x00", "GET_MULTIFILE\x00/f\x000\x00256\x00",
		"GET_MULTIFILE\x00/f\x00-1\x001\x00", "GET_MULTIFILE\x00/f\x00+0\x001\x00", "GET_MULTIFILE\x00/f\x00 0\x001\x00",
		"GET_MULTIFILE\x00/f\x00\x001\x00", "GET_MULTIFILE\x00/f\x000x0\x001\x00",
		"GET_MULTIFILE\x00/f\x000\x0018446744073709551617\x00",
	} {
		if got, err := ReadPeerRequest(reader(wire)); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%.60q is read as %+v (%v), want an error of kind Invalid", wire, got, err)
		}
	}
}

func TestRange(t *testing.T) {
	for _, tc := range []struct {
		slice          Slice
		size           int64
		offset, length int64
	}{
		{Slice{}, 0, 0, 0},
		{Slice{}, 10, 0, 10},
		{Slice{0, 1}, 10, 0, 10},
		{Slice{0, 3}, 10, 0, 3},
		{Slice{1, 3}, 10, 3, 3},
		{Slice{2, 3}, 10, 6, 4},
		{Slice{0, 255}, 254, 0, 0},
		{Slice{254, 255}, 254, 0, 254},
		{Slice{1, 3}, 4<<30 + 5, 1431655767, 1431655767},
		{Slice{2, 3}, 4<<30 + 5, 2863311534, 1431655767},
		{Slice{254, 255}, math.MaxInt64, 254 * (math.MaxInt64 / 255), math.MaxInt64 - 254*(math.MaxInt64/255)},
	} {
		if offset, length := tc.slice.Range(tc.size); offset != tc.offset || length != tc.length {
			t.Errorf("%+v of %d bytes is %d bytes at %d, want %d at %d",
				tc.slice, tc.size, length, offset, tc.length, tc.offset)
		}
	}
}

// Slices follow each other without a gap and make the whole file, and all but
// the last have the same length.
func TestSlicesCoverTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, math.MaxInt64).Draw(t, "size")
		total := rapid.IntRange(1, MaxSlices).Draw(t, "total")
		var end int64
		for i := range total {
			offset, length := Slice{i, total}.Range(size)
			if offset != end || i < total-1 && length != size/int64(total) {
				t.Fatalf("slice %d of %d begins at %d with %d bytes, the one before ends at %d", i, total, offset, length, end)
			}
			end += length
		}
		if end != size {
			t.Fatalf("%d slices of %d bytes end at %d", total, size, end)
		}
	})
}

func TestSplitSize(t *testing.T) {
	for head, want := range map[string]struct {
		size   int64
		length int
	}{
		"5\x00hello":                   {5, 2},
		"0\x00":                        {0, 2},
		"007\x00":                      {7, 4},
		"9223372036854775807\x00":      {math.MaxInt64, 20},
		"9223372036854775807\x00 more": {math.MaxInt64, 20},
		"9223372036854775808\x00":      {},
		"10000000000000000000\x00":     {},
		"00000000000000000005\x00":     {},
		"":                             {},
		"5":                            {},
		"\x00":                         {},
		"\x005\x00":                    {},
		"+5\x00":                       {},
		"-5\x00":                       {},
		" 5\x00":                       {},
		"5 \x00":                       {},
		"0x5\x00":                      {},
		"5_0\x00":                      {},
		"٥\x00":                        {},
	} {
		size, length, ok := SplitSize([]byte(head))
		if size != want.size || length != want.length || ok != (want.length > 0) {
			t.Errorf("SplitSize(%q) = %d, %d, %v, want %d, %d", head, size, length, ok, want.size, want.length)
		}
	}
}

func TestPeerStatusAndBack(t *testing.T) {
	for _, kind := range lonja.Kinds() {
		status := PeerStatus(fmt.Errorf("wrapped: %w", lonja.E(kind, "", nil)))
		want := lonja.Refused
		if kind == lonja.NoSuchFile {
			want = lonja.NoSuchFile
		}
		if err := PeerFailure(status); status == StatusOK || !errors.Is(err, want) {
			t.Errorf("an error of kind %v becomes status %d and then %v, want kind %v", kind, status, err, want)
		}
	}
	if status, err := PeerStatus(nil), PeerFailure(StatusOK); status != StatusOK || err != nil {
		t.Errorf("no error becomes status %d, and status 0 the error %v", status, err)
	}
}

// Whatever is read as a request means the same when it is sent on, keeps to
// the limits, and was not longer than the buffer.
func FuzzReadPeerRequest(f *testing.F) {
	f.Add("GET_FILE\x00/home/ana/f\x00")
	f.Add("GET_MULTIFILE\x00/f\x001\x003\x00")
	f.Add("GET_MULTIFILE\x00/f\x00001\x003\x00rest")
	f.Add("GET_MULTIFILE\x00/f\x003\x003\x00")
	f.Add("GET_FILE\x00\xff\x00")
	f.Add(strings.Repeat("G", 2*ReadBufferSize))
	f.Fuzz(func(t *testing.T, wire string) {
		req, err := ReadPeerRequest(reader(wire))
		if err != nil {
			if !errors.Is(err, lonja.Invalid) {
				t.Errorf("error %v is not of kind Invalid", err)
			}
			return
		}
		s := req.Slice
		if len(req.Name) > lonja.MaxFileName || !s.IsWhole() && (s.Index < 0 || s.Index >= s.Total || s.Total > MaxSlices) {
			t.Errorf("%q is read as %+v, which is over a limit", wire, req)
		}
		again, err := ReadPeerRequest(reader(string(AppendPeerRequest(nil, req))))
		if err != nil || again != req {
			t.Errorf("%+v, sent on, is read as %+v (%v)", req, again, err)
		}
	})
}

// Whatever is taken for a size is a number that is sent the same way, but for
// zeros in front, and ends in a NUL within the head.
func FuzzSplitSize(f *testing.F) {
	f.Add([]byte("5\x00hello"))
	f.Add([]byte("9223372036854775807\x00"))
	f.Add([]byte("9223372036854775808\x00"))
	f.Add([]byte("12345678901234567890"))
	f.Fuzz(func(t *testing.T, head []byte) {
		size, length, ok := SplitSize(head)
		if !ok {
			if size != 0 || length != 0 {
				t.Errorf("SplitSize(%q) is not ok but gives %d, %d", head, size, length)
			}
			return
		}
		if size < 0 || length < 2 || length > MaxSizePrefix {
			t.Fatalf("SplitSize(%q) = %d, %d", head, size, length)
		}
		plain := strings.TrimLeft(string(head[:length-1]), "0")
		if want := strings.TrimLeft(string(AppendSize(nil, size)), "0"); plain+"\x00" != want {
			t.Errorf("SplitSize(%q) = %d, which is sent as %q", head, size, want)
		}
	})
}
