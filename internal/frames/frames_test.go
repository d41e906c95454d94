package frames

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

// The methods of the service of these tests.
const (
	echoNow     = 1 // Inline
	echoLater   = 2 // Waiting
	waitForEnd  = 3 // Waiting, until its context ends
	failWith    = 4 // Inline: the body is a kind
	count       = 5 // Streaming: 0, 1, ... as many as the body says, or without end
	waitForPeer = 6 // Waiting, until the test lets it go
	quietStream = 7 // Streaming, with no item
	tooMuch     = 8 // Inline: an answer that is too long
)

type testService struct {
	let     chan struct{} // lets waitForPeer go
	ended   chan error    // gets why a waitForEnd or a stream ended
	begun   chan struct{} // gets a token for each waitForEnd and waitForPeer
	counted atomic.Int64  // items that were sent
}

func newTestService() *testService {
	return &testService{make(chan struct{}), make(chan error, 64), make(chan struct{}, 64), atomic.Int64{}}
}

func (s *testService) Way(method uint16) Way {
	switch method {
	case echoNow, failWith, tooMuch:
		return Inline
	case echoLater, waitForEnd, waitForPeer:
		return Waiting
	case count, quietStream:
		return Streaming
	}
	return Unknown
}

func (s *testService) Answer(ctx context.Context, method uint16, body, b []byte) ([]byte, error) {
	switch method {
	case waitForEnd:
		s.begun <- struct{}{}
		<-ctx.Done()
		s.ended <- ctx.Err()
		return nil, ctx.Err()
	case waitForPeer:
		s.begun <- struct{}{}
		select {
		case <-s.let:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case failWith:
		return nil, lonja.E(lonja.Kind(body[0]), "test", errors.New("its cause"))
	case tooMuch:
		return append(b, make([]byte, MaxAnswer+1)...), nil
	}
	return append(b, body...), nil
}

func (s *testService) Stream(ctx context.Context, method uint16, body []byte, send func([]byte) error) error {
	if method == quietStream {
		<-ctx.Done()
		s.ended <- context.Cause(ctx)
		return nil
	}
	most := 1 << 30
	if len(body) > 0 {
		most = int(body[0])
	}
	for i := range most {
		if err := send([]byte(fmt.Sprint(i))); err != nil {
			s.ended <- err
			return err
		}
		s.counted.Add(1)
	}
	return nil
}

// A site is a client and the server it speaks to.
type site struct {
	*testing.T
	service *testService
	client  *Client
	stop    context.CancelFunc // stops the server
	served  chan error
}

// connect connects a client and a server by a pipe. It is for bubbles of synctest.
func connect(t *testing.T, server ServerOptions, client ClientOptions) *site {
	t.Helper()
	near, far := net.Pipe()
	s := &site{T: t, service: newTestService(), served: make(chan error, 1)}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(t.Context())
	go func() { s.served <- Serve(ctx, far, s.service, server) }()
	var err error
	if s.client, err = NewClient(t.Context(), near, client); err != nil {
		t.Fatal(err)
	}
	return s
}

// close ends both sides and waits for them.
func (s *site) close() {
	s.Helper()
	_ = s.client.Close()
	if err := <-s.served; err != nil && !errors.Is(err, net.ErrClosed) {
		s.Errorf("Serve: %v", err)
	}
	s.stop()
}

func (s *site) is(err error, want lonja.Kind) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("got error %v, want %v", err, want)
	}
}

func (s *site) echo(method uint16, body string) {
	s.Helper()
	got, err := s.client.Call(s.Context(), method, []byte(body))
	if err != nil || string(got) != body {
		s.Errorf("got %q, %v; want %q", got, err, body)
	}
}

func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{})
		defer s.close()
		for _, method := range []uint16{echoNow, echoLater} {
			for _, size := range []int{0, 1, readBuffer - headerSize, readBuffer, batchSize, MaxRequest} {
				s.echo(method, strings.Repeat("x", size))
			}
		}
		_, err := s.client.Call(t.Context(), echoNow, make([]byte, MaxRequest+1))
		s.is(err, lonja.Invalid)
		_, err = s.client.Call(t.Context(), 999, nil)
		s.is(err, lonja.Invalid)
		_, err = s.client.Call(t.Context(), tooMuch, nil)
		s.is(err, lonja.Internal)
		s.echo(echoNow, "still there")
	})
}

// TestFailures: each kind goes over the wire; the cause does not, unless it is
// of the caller's own making.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{})
		defer s.close()
		for _, kind := range lonja.Kinds() {
			_, err := s.client.Call(t.Context(), failWith, []byte{byte(kind)})
			if lonja.KindOf(err) != kind {
				t.Errorf("got %v, want %v", err, kind)
			}
			told := kind == lonja.Invalid || kind == lonja.Limited || kind == lonja.Forbidden || kind == lonja.Untrusted
			if strings.Contains(err.Error(), "its cause") != told {
				t.Errorf("%v: got %q; the cause in it: want %v", kind, err, told)
			}
		}
		if got := Told(9999, "a\x1bb"); got.Kind != lonja.Internal || strings.Contains(got.Error(), "\x1b") {
			t.Errorf("an unknown kind: got %v", got)
		}
	})
}

// TestManyAtOnce: answers come as they are ready, and each to who asked.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{})
		defer s.close()
		late := make(chan string, 1)
		go func() {
			b, err := s.client.Call(t.Context(), waitForPeer, []byte("late"))
			late <- fmt.Sprint(string(b), err)
		}()
		<-s.service.begun
		results := make(chan error, 1000)
		for i := range cap(results) {
			go func() {
				want := fmt.Sprint(i)
				got, err := s.client.Call(t.Context(), uint16(echoNow+i%2), []byte(want))
				if err == nil && string(got) != want {
					err = fmt.Errorf("got %q, want %q", got, want)
				}
				results <- err
			}()
		}
		for range cap(results) {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		close(s.service.let)
		if got := <-late; got != "late<nil>" {
			t.Errorf("the late answer: got %s", got)
		}
	})
}

func TestDeadlinesAndCancellingReachTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{})
		defer s.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.client.Call(ctx, waitForEnd, nil)
		s.is(err, lonja.Canceled)
		if err := <-s.service.ended; err == nil {
			t.Error("the handler's context did not end")
		}
		ctx, cancel = context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := s.client.Call(ctx, waitForEnd, nil)
			done <- err
		}()
		<-s.service.begun // of the first
		<-s.service.begun
		cancel()
		err = <-done
		s.is(err, lonja.Canceled)
		if errors.Is(err, ErrUnsent) {
			t.Error("what was sent is told to be unsent")
		}
		if err := <-s.service.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}
		_, err = s.client.Call(ctx, echoNow, nil)
		if s.is(err, lonja.Canceled); !errors.Is(err, ErrUnsent) {
			t.Errorf("got %v, want that it was not sent", err)
		}
		s.echo(echoNow, "still there")
	})
}

// TestDeadlineOfTheHandler: the time goes with the request, also if nobody
// cancels it.
func TestDeadlineOfTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, ServerOptions{})
		defer p.close()
		p.send(header{kind: kindRequest, method: waitForEnd, request: 1, value: 1500}, "")
		begun := time.Now()
		p.expect(header{kind: kindFailure, request: 1, value: uint32(lonja.Canceled)}, lonja.Canceled.Error())
		if took := time.Since(begun); took != 1500*time.Millisecond {
			t.Errorf("it took %v, want 1.5s", took)
		}
	})
}

func TestTooManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := make(chan struct{}, 3)
		p := play(t, ServerOptions{AtOnce: 2, Streams: 1, Slots: slots})
		defer p.close()
		ask := func(number uint32, method uint16) {
			p.send(header{kind: kindRequest, method: method, request: number}, "")
		}
		refused := func(number uint32) {
			t.Helper()
			if h, _ := p.read(); h.kind != kindFailure || h.request != number || h.value != uint32(lonja.Limited) {
				t.Errorf("got %+v, want a failure of %d that is Limited", h, number)
			}
		}
		ask(1, waitForPeer)
		ask(2, waitForPeer)
		ask(3, waitForPeer)
		refused(3)
		ask(4, quietStream)
		ask(5, quietStream)
		refused(5)
		slots <- struct{}{} // another connection
		p.service.let <- struct{}{}
		p.read()
		slots <- struct{}{}
		ask(6, waitForPeer)
		refused(6)
		<-slots
		ask(7, waitForPeer)
		close(p.service.let)
		p.read()
		p.read()
		ask(8, echoNow)
		p.expect(header{kind: kindAnswer, request: 8}, "")
	})
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{Window: 4})
		defer s.close()
		var got []string
		err := s.client.Stream(t.Context(), count, []byte{100}, func(b []byte) error {
			got = append(got, string(b))
			return nil
		})
		if err != nil || len(got) != 100 || got[99] != "99" {
			t.Errorf("got %d items, %v", len(got), err)
		}
		full := errors.New("full")
		err = s.client.Stream(t.Context(), count, nil, func([]byte) error { return full })
		if !errors.Is(err, full) {
			t.Errorf("got %v, want the error of who reads", err)
		}
		if err := <-s.service.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the stream ended with %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err = s.client.Stream(ctx, quietStream, nil, func([]byte) error { return nil })
		s.is(err, lonja.Canceled)
		<-s.service.ended
		s.echo(echoNow, "still there")
	})
}

// TestStreamIsHeldBack: who reads slowly gets the items that were asked for, and
// no more are made; who does not go on loses the stream, and it alone.
func TestStreamIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connect(t, ServerOptions{}, ClientOptions{Window: 10})
		defer s.close()
		gate := make(chan struct{})
		done := make(chan error, 1)
		go func() {
			done <- s.client.Stream(t.Context(), count, nil, func([]byte) error { <-gate; return nil })
		}()
		synctest.Wait()
		if got := s.service.counted.Load(); got != 10 {
			t.Errorf("%d items were sent, want the window of 10", got)
		}
		for range 5 {
			gate <- struct{}{}
		}
		synctest.Wait()
		if got := s.service.counted.Load(); got != 15 {
			t.Errorf("%d items were sent, want 15", got)
		}
		s.echo(echoNow, "others go on")
		time.Sleep(DefaultStreamPause + time.Second) // synthetic
		if err := <-s.service.ended; !errors.Is(err, lonja.Limited) {
			t.Errorf("the stream ended with %v, want Limited", err)
		}
		close(gate)
		s.is(<-done, lonja.Limited)
		s.echo(echoNow, "and on")
	})
}
