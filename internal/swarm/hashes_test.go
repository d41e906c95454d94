package swarm

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fileapi"
)

// trickles runs a holder that says that it has all of a content, and sends its hashes a
// byte at a time, so that it never stalls; asked is sent something for each time it is
// asked for them.
func (w *town) trickles(opts Options) (p *peer, asked chan struct{}) {
	w.Helper()
	release := make(chan struct{})
	asked = make(chan struct{}, 100)
	p = w.strange(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/have") {
			_, _ = rw.Write(fileapi.AppendHave(nil, nil))
			return
		}
		rw.Header().Set("Content-Range", strings.Replace(r.Header.Get("Range"), "=", " ", 1)+"/2056")
		rw.WriteHeader(http.StatusPartialContent)
		asked <- struct{}{}
		drop := time.NewTicker(opts.StallTimeout / 3)
		defer drop.Stop()
		for {
			if _, err := rw.Write([]byte{0}); err != nil {
				return
			}
			_ = http.NewResponseController(rw).Flush()
			select {
			case <-drop.C:
			case <-release:
				return
			case <-r.Context().Done():
				return
			}
		}
	})
	w.Cleanup(func() { close(release) }) // before the holder is closed
	return p, asked
}

// TestSlowHashes: a holder that is slow with a page of hashes, but never silent, keeps
// nobody else from it.
func TestSlowHashes(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 64*mib)
	slow, asked := w.trickles(impatient)
	opts := impatient
	opts.ConnsEach = 1
	opts.StallTimeout = 20 * time.Second
	s, finish := w.swarm(c, opts, slow)
	done := make(chan error, 1)
	go func() { done <- finish() }()
	<-asked // and from here on nobody else may ask for it, for a while
	s.Join(w.peer(c, "luis", nil).Holder)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		n, all := s.Count()
		t.Errorf("%d of %d pieces are here, although luis has all", n, all)
	}
}

// TestSlowHashesAlone: it is not waited for ever for hashes that come too slowly.
func TestSlowHashesAlone(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 64*mib)
	slow, _ := w.trickles(impatient)
	opts := impatient
	opts.ConnsEach = 1 // two would hardly ever be between tries at the same time, with such pauses
	_, finish := w.swarm(c, opts, slow)
	if err := finish(); lonja.KindOf(err) != lonja.Unavailable || !strings.Contains(err.Error(), errSlowHashes.Error()) {
		t.Errorf("got %v, want Unavailable because of slow hashes", err)
	}
}
