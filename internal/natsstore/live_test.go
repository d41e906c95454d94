package natsstore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"lonja/internal/store"
)

// TestLiveIsBounded: what waits for a feed that does not take it is bounded, in
// messages and in bytes, and what was lost shows.
func TestLiveIsBounded(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	for name, size := range map[string]int{"large": store.MaxValue, "small": 1} {
		t.Run(name, func(t *testing.T) {
			l, err := s.listen(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer l.close()
			tell := func(seq uint64) {
				m := nats.NewMsg(s.name + liveSubject + "x")
				m.Header.Set("Nats-Sequence", fmt.Sprint(seq))
				m.Data = make([]byte, size)
				if err := s.conn.PublishMsg(m); err != nil {
					t.Fatal(err)
				}
			}
			last := uint64(min(liveBacklog, liveBytes/size)) + 100
			for seq := range last {
				tell(seq + 1)
			}
			if err := s.settled(t.Context()); err != nil { // what came before the answer is here
				t.Fatal(err)
			}
			count, sum, err := l.sub.Pending()
			if err != nil || count > liveBacklog || sum > liveBytes {
				t.Errorf("%d messages of %d bytes wait, %v; want at most %d and %d", count, sum, err, liveBacklog, liveBytes)
			}
			if first := l.first(0); first != 1 {
				t.Errorf("the first one is %d", first)
			}
			for seq := range uint64(count) {
				if m, err := l.next(t.Context(), seq); err != nil || m.seq != seq+1 {
					t.Fatalf("after %d: got %d, %v", seq, m.seq, err)
				}
			}
			tell(last + 1)
			if m, err := l.next(t.Context(), uint64(count)); err != nil || m.seq != last+1 {
				t.Errorf("got %d, %v; want %d after a gap", m.seq, err, last+1)
			}
		})
	}
}

// TestSlowFeed: a feed that takes nothing while more is written than may wait
// for it tells all of it in the end.
func TestSlowFeed(t *testing.T) {
	var log bytes.Buffer
	s := mustOpen(t, nil, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	begun, goOn, progress := make(chan struct{}), make(chan struct{}), make(chan store.Rev, 1<<16)
	told := map[store.Key]string{}
	var barrier store.Rev
	ended := make(chan error)
	go func() {
		ended <- s.Feed(t.Context(), func(e store.Event) error {
			switch {
			case e.Key == "stop":
				close(begun)
				<-goOn
			case e.Key != "":
				told[e.Key] = string(e.Value)
			case e.Rev >= barrier && barrier != 0:
				return errEnough
			default:
				select {
				case progress <- e.Rev:
				default:
				}
			}
			return nil
		})
	}()
	<-progress // it follows
	put(t, s, "stop", "x", 0)
	<-begun
	const batches = liveBacklog/store.MaxBatch + 2
	for i := range batches {
		batch := make([]store.Change, store.MaxBatch)
		for j := range batch {
			batch[j] = store.Change{Key: store.Key(fmt.Sprintf("k/%d/%d", i, j)), Value: fmt.Append(nil, i, j)}
		}
		if _, err := s.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if barrier, err = s.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if err := <-ended; !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	if got := len(told); got != batches*store.MaxBatch {
		t.Errorf("told %d records, want %d", got, batches*store.MaxBatch)
	}
	if err := s.Close(); err != nil { // nobody writes to the log any more
		t.Error(err)
	}
	if !strings.Contains(log.String(), "the feed catches up") {
		t.Errorf("nothing was lost on the way, so this test has shown nothing; log: %s", log.String())
	}
}
