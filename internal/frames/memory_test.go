package frames

import (
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sync/semaphore"

	"lonja"
)

// TestLargeRequestsAreBounded: by their bytes, those of all connections together
// and those of one; small ones pass, and what has ended counts no more.
func TestLargeRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := strings.Repeat("x", 100<<10)
		opts := ServerOptions{Waiting: semaphore.NewWeighted(250 << 10), Streaming: semaphore.NewWeighted(150 << 10)}
		one, other := play(t, opts), play(t, opts)
		defer one.close()
		defer other.close()
		ask := func(p *player, number uint32, method uint16, body string) {
			p.send(header{kind: kindRequest, method: method, request: number}, body)
		}
		refused := func(p *player, number uint32) {
			t.Helper()
			if h, _ := p.read(); h.kind != kindFailure || h.request != number || h.value != uint32(lonja.Limited) {
				t.Errorf("got %+v, want a failure of %d that is Limited", h, number)
			}
		}
		ask(one, 1, waitForPeer, large)
		ask(one, 2, waitForPeer, large)
		ask(other, 1, waitForPeer, large)
		refused(other, 1)
		ask(other, 2, quietStream, large)
		ask(other, 3, quietStream, large)
		refused(other, 3)
		ask(other, 4, echoLater, "small")
		other.expect(header{kind: kindAnswer, request: 4}, "small")
		close(one.service.let)
		one.read()
		one.read()
		synctest.Wait()
		ask(other, 5, echoLater, large)
		other.expect(header{kind: kindAnswer, request: 5}, large)
		other.send(header{kind: kindCancel, request: 2}, "")
		other.read()
		synctest.Wait()
		ask(other, 6, quietStream, large)
		ask(other, 7, echoNow, "")
		other.expect(header{kind: kindAnswer, request: 7}, "")
	})
	synctest.Test(t, func(t *testing.T) {
		p := play(t, ServerOptions{})
		defer p.close()
		whole := strings.Repeat("x", MaxRequest)
		for i := range uint32(4) {
			p.send(header{kind: kindRequest, method: waitForPeer, request: i + 1}, whole)
		}
		p.send(header{kind: kindRequest, method: waitForPeer, request: 5}, whole)
		if h, _ := p.read(); h.kind != kindFailure || h.request != 5 || h.value != uint32(lonja.Limited) {
			t.Errorf("got %+v, want a failure that is Limited", h)
		}
		close(p.service.let)
		for range 4 {
			p.read()
		}
	})
}
