package download

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"lonja"
)

// These variables tell a copy of this test binary to download something.
const (
	peerVariable   = "LONJA_DOWNLOAD_TEST_PEER"
	targetVariable = "LONJA_DOWNLOAD_TEST_TARGET"
	multiVariable  = "LONJA_DOWNLOAD_TEST_MULTI"
)

func TestMain(m *testing.M) {
	if peer := os.Getenv(peerVariable); peer != "" {
		holder := lonja.Holder{At: lonja.Endpoint{AddrPort: netip.MustParseAddrPort(peer)}, Name: "/file"}
		err := fetchEither(context.Background(), os.Getenv(multiVariable) != "", holder, os.Getenv(targetVariable))
		panic(err)
	}
	os.Exit(m.Run())
}

// A process that is killed in the middle of a download leaves nothing.
func TestKilled(t *testing.T) {
	for _, multi := range []string{"", "yes"} {
		half := make(chan struct{}, 1)
		peer := script{content: random(2 * sideLimit), probes: sendAll, slices: func(conn *net.TCPConn, part []byte) {
			put(conn, "\x00", string(part[:len(part)*3/4]))
			half <- struct{}{}
			<-waitClosed(conn)
		}}
		holder := peer.start(t)
		eachPlace(t, func(t *testing.T, at place) {
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(),
				peerVariable+"="+holder.At.String(), targetVariable+"="+at.target, multiVariable+"="+multi)
			child.Stderr = os.Stderr
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-half:
			case <-time.After(patience):
				t.Error("the child does not take half of the file")
			}
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
			if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
				t.Errorf("the child ended by itself: %v", err)
			}
			at.wantUntouched(t)
		})
	}
}
