package fileserver

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/fileapi"
)

// askAgain is when somebody in the queue is to ask again.
const askAgain = 5 * time.Second

// fullAgain is that for whom the queue had no room.
const fullAgain = 30 * time.Second

// queuedError is the cause for a request whose turn it is not.
type queuedError struct{ place fairshare.Place }

func (e *queuedError) Error() string {
	if e.place == fairshare.NoPlace {
		return "too many wait for their turn"
	}
	return fmt.Sprintf("place %d in the queue", e.place)
}

// refuseQueued tells somebody its place. The connection is kept.
func refuseQueued(w http.ResponseWriter, queued *queuedError) {
	after := askAgain
	if queued.place == fairshare.NoPlace {
		after = fullAgain
	} else {
		w.Header().Set(fileapi.PlaceHeader, fileapi.FormatPlace(int(queued.place)))
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(after/time.Second)))
	http.Error(w, queued.Error(), http.StatusServiceUnavailable)
}

func limited(queued *queuedError) error { return lonja.E(lonja.Limited, "serve", queued) }

func isQueued(err error) (*queuedError, bool) { return errors.AsType[*queuedError](err) }
