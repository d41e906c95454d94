package frames

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestTrickledFrames: a long frame that comes a little at a time has one deadline
// for all of it; one that comes as fast as it has to is taken.
func TestTrickledFrames(t *testing.T) {
	const size = 128 << 10
	for name, c := range map[string]struct {
		step  int
		pause time.Duration
		taken bool
	}{
		"a byte every five seconds": {1, DefaultFrameTimeout / 2, false},
		"64 KiB a second":           {slowest / 4, time.Second / 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := play(t, ServerOptions{})
				begun := time.Now()
				var writing sync.WaitGroup
				defer writing.Wait()
				writing.Go(func() {
					frame := appendFrame(nil, header{kind: kindRequest, method: echoNow, request: 1}, make([]byte, size))
					if _, err := p.conn.Write(frame[:headerSize]); err != nil {
						return
					}
					for i := headerSize; i < len(frame); i += c.step {
						if _, err := p.conn.Write(frame[i:min(i+c.step, len(frame))]); err != nil {
							return
						}
						time.Sleep(c.pause)
					}
				})
				if c.taken {
					if h, body := p.read(); h.kind != kindAnswer || len(body) != size {
						t.Errorf("got %+v with %d bytes", h, len(body))
					}
					p.close()
					return
				}
				_, err := p.ended()
				if took := time.Since(begun); err == nil || took > DefaultFrameTimeout+size/slowest*time.Second+2*c.pause {
					t.Errorf("ended after %v with %v", took, err)
				}
			})
		})
	}
}
