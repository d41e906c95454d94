package download

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/upload"
)

func fetchWhole(t *testing.T, holder lonja.Holder, at place) (int64, error) {
	t.Helper()
	return FetchFile(t.Context(), holder, at.target, Options{})
}

func TestFetchFile(t *testing.T) {
	for _, sendSize := range []bool{false, true} {
		for _, size := range []int{0, 1, 18, 19, 20, 21, 22, 5000, 2*stepSize + 3} {
			content := random(size)
			holder := serve(t, content, upload.Options{SendSize: sendSize})
			eachPlace(t, func(t *testing.T, at place) {
				got, err := fetchWhole(t, holder, at)
				at.wantFile(t, got, err, content)
			})
		}
	}
}

// What comes may begin with a size, or only look like it.
func TestSizeInFront(t *testing.T) {
	big := strings.Repeat("b", 70_000)
	for sent, want := range map[string]string{
		"5\x00hello":                          "hello",
		"0\x00":                               "",
		"05\x00hello":                         "hello",
		"70000\x00" + big:                     big,
		"00000000000000005\x00hello":          "hello",
		"5\x00hell":                           "5\x00hell",
		"5\x00hello!":                         "5\x00hello!",
		"0\x00x":                              "0\x00x",
		"5\x00":                               "5\x00",
		"70001\x00" + big:                     "70001\x00" + big,
		"9223372036854775807\x00":             "9223372036854775807\x00",
		"9223372036854775808\x00":             "9223372036854775808\x00",
		"00000000000000000005\x00hello":       "00000000000000000005\x00hello",
		"12345678901234567890":                "12345678901234567890",
		"123456789012345678901234567890\x00x": "123456789012345678901234567890\x00x",
		"5":                                   "5",
		"":                                    "",
		"\x00":                                "\x00",
		"\x00hello":                           "\x00hello",
		"-5\x00hello":                         "-5\x00hello",
		"5 \x00hello":                         "5 \x00hello",
		"5hello":                              "5hello",
		"6\x006\x00hello":                     "6\x006\x00hello",
		"7\x005\x00hello":                     "5\x00hello",
	} {
		for name, send := range map[string]func(net.Conn){
			"at once": func(conn net.Conn) { put(conn, "\x00"+sent) },
			"in bits": func(conn net.Conn) {
				put(conn, "\x00")
				for i := range min(len(sent), 40) {
					put(conn, sent[i:i+1])
				}
				put(conn, sent[min(len(sent), 40):])
			},
		} {
			peer := script{slices: func(conn *net.TCPConn, _ []byte) { send(conn) }}
			at := newPlace(t)
			got, err := fetchWhole(t, peer.start(t), at)
			at.wantFile(t, got, err, []byte(want))
			if t.Failed() {
				t.Fatalf("when %.40q is sent %s", sent, name)
			}
		}
	}
}

func TestFetchFileFails(t *testing.T) {
	content := random(3 * stepSize)
	for name, tc := range map[string]struct {
		act  act
		kind lonja.Kind
		text string
	}{
		"not offered":         {sendStatus("\x01"), lonja.NoSuchFile, "does not offer"},
		"other error":         {sendStatus("\x02"), lonja.Refused, "status 2"},
		"unknown status":      {sendStatus("\x07"), lonja.Refused, "status 7"},
		"no answer":           {sendNothing, lonja.Unavailable, "without an answer"},
		"reset at once":       {hangUp, lonja.Unavailable, "connection reset by peer"},
		"reset in the middle": {breakOff, lonja.Unavailable, "connection reset by peer"},
		"refusal, then more":  {sendStatus("\x01" + strings.Repeat("x", 1000)), lonja.NoSuchFile, "does not offer"},
	} {
		t.Run(name, func(t *testing.T) {
			holder := (&script{content: content, slices: tc.act}).start(t)
			eachPlace(t, func(t *testing.T, at place) {
				_, err := fetchWhole(t, holder, at)
				at.wantFailure(t, err, tc.kind)
				if err != nil && !strings.Contains(err.Error(), tc.text) {
					t.Errorf("error says %q, want %q in it", err, tc.text)
				}
				if err != nil && !strings.Contains(err.Error(), holder.At.String()) {
					t.Errorf("error %q does not name the peer", err)
				}
			})
		})
	}
	eachPlace(t, func(t *testing.T, at place) {
		_, err := fetchWhole(t, nobody(t), at)
		at.wantFailure(t, err, lonja.Unavailable)
	})
}

// A target that cannot be is told before the peer is asked.
func TestBadTarget(t *testing.T) {
	peer := script{content: []byte("content")}
	holder := peer.start(t)
	for _, target := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none", "target"), ""} {
		if _, err := FetchFile(t.Context(), holder, target, Options{}); !errors.Is(err, lonja.LocalFile) {
			t.Errorf("FetchFile to %q: %v, want an error of kind LocalFile", target, err)
		}
		if _, err := FetchMulti(t.Context(), []lonja.Holder{holder}, target, Options{}); !errors.Is(err, lonja.LocalFile) {
			t.Errorf("FetchMulti to %q: %v, want an error of kind LocalFile", target, err)
		}
	}
	if n := peer.served.Load(); n != 0 {
		t.Errorf("the peer was asked %d times", n)
	}
}

// The end of the context ends a download at once, wherever it is.
func TestCancel(t *testing.T) {
	for name, slices := range map[string]act{
		"before the status":      func(conn *net.TCPConn, _ []byte) { <-waitClosed(conn) },
		"in the middle":          waitForEnd,
		"before the first digit": func(conn *net.TCPConn, _ []byte) { put(conn, "\x00"); <-waitClosed(conn) },
	} {
		t.Run(name, func(t *testing.T) {
			peer := script{content: random(stepSize), slices: slices, asked: make(chan struct{}, 1)}
			holder := peer.start(t)
			eachPlace(t, func(t *testing.T, at place) {
				for _, multi := range []bool{false, true} {
					ctx, cancel := context.WithCancel(t.Context())
					ended := make(chan error, 1)
					go func() { ended <- fetchEither(ctx, multi, holder, at.target) }()
					select {
					case <-peer.asked:
					case err := <-ended:
						t.Fatalf("ended early: %v", err)
					}
					cancel()
					select {
					case err := <-ended:
						at.wantFailure(t, err, lonja.Canceled)
					case <-time.After(patience):
						t.Fatal("the download goes on")
					}
				}
			})
		})
	}
	t.Run("before it begins", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		at := newPlace(t)
		holder := serve(t, nil, upload.Options{})
		at.wantFailure(t, fetchEither(ctx, false, holder, at.target), lonja.Canceled)
		at.wantFailure(t, fetchEither(ctx, true, holder, at.target), lonja.Canceled)
	})
}

func fetchEither(ctx context.Context, multi bool, holder lonja.Holder, target string) error {
	var err error
	if multi {
		_, err = FetchMulti(ctx, []lonja.Holder{holder}, target, Options{})
	} else {
		_, err = FetchFile(ctx, holder, target, Options{})
	}
	return err
}

func waitClosed(conn net.Conn) <-chan struct{} {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = conn.Read(make([]byte, 1))
	}()
	return closed
}

func TestProgress(t *testing.T) {
	content := random(2*stepSize + 17)
	for _, sendSize := range []bool{false, true} {
		var seen []int64
		opts := Options{Progress: func(n int64) { seen = append(seen, n) }}
		_, err := FetchFile(t.Context(), serve(t, content, upload.Options{SendSize: sendSize}), newPlace(t).target, opts)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(seen); i++ {
			if seen[i] < seen[i-1] {
				t.Errorf("progress went back from %d to %d", seen[i-1], seen[i])
			}
		}
		if len(seen) < 3 || seen[len(seen)-1] != int64(len(content)) {
			t.Errorf("progress was %v, want at least one for each step up to %d", seen, len(content))
		}
	}
}

// pipeDialer connects to a peer in memory, so that time can be simulated.
func pipeDialer(peer func(conn net.Conn, request string)) func(context.Context, lonja.Endpoint) (net.Conn, error) {
	return func(context.Context, lonja.Endpoint) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			request := make([]byte, 100)
			if n, err := theirs.Read(request); err == nil {
				peer(theirs, string(request[:n]))
			}
		}()
		return ours, nil
	}
}

func simulated(peer func(conn net.Conn)) Options {
	return Options{
		StallTimeout: 30 * time.Second,
		Dial:         pipeDialer(func(conn net.Conn, _ string) { peer(conn) }),
	}
}

func TestStall(t *testing.T) {
	for name, tc := range map[string]struct {
		sent   string
		within time.Duration
	}{
		"before the status":   {"", 30 * time.Second},
		"after the status":    {"\x00", 30 * time.Second},
		"in what may be size": {"\x00123", 30 * time.Second},
		"in the content":      {"\x00content", 31 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			at := newPlace(t)
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				_, err := FetchFile(t.Context(), lonja.Holder{}, at.target, simulated(func(conn net.Conn) {
					put(conn, tc.sent)
					_, _ = conn.Read(make([]byte, 1))
				}))
				at.wantFailure(t, err, lonja.Unavailable)
				if took := time.Since(begun); took < 30*time.Second || took > tc.within {
					t.Errorf("the stall was noticed after %v, want 30s to %v", took, tc.within)
				}
			})
		})
	}
}

// A peer that is slow, but never silent for long, is waited for; and its
// progress is told all the time.
func TestSlowPeer(t *testing.T) {
	at := newPlace(t)
	synctest.Test(t, func(t *testing.T) {
		content := random(300)
		opts := simulated(func(conn net.Conn) {
			put(conn, "\x00")
			for _, b := range content {
				<-time.After(29 * time.Second) // simulated
				put(conn, string([]byte{b}))
			}
		})
		reports := make(map[int64]bool)
		opts.Progress = func(n int64) { reports[n] = true }
		begun := time.Now()
		size, err := FetchFile(t.Context(), lonja.Holder{}, at.target, opts)
		at.wantFile(t, size, err, content)
		if took := time.Since(begun); took != 300*29*time.Second {
			t.Errorf("it took %v, want %v", took, 300*29*time.Second)
		}
		for n := int64(20); n <= 300; n++ {
			if !reports[n] {
				t.Errorf("progress was not told at %d bytes", n)
			}
		}
	})
}
