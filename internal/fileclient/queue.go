package fileclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"lonja"
	"lonja/internal/fileapi"
)

// A Queued is the cause of an error of kind Limited: the peer serves others now,
// and keeps a place for who has asked. Turn waits for it.
type Queued struct {
	Place int           // in the queue, from 1 on
	After time.Duration // when to ask again, to keep the place
}

func (q *Queued) Error() string { return fmt.Sprintf("place %d in its queue", q.Place) }

// queuedAt returns what a refusal says of the place in the queue; nil if nothing.
func queuedAt(header http.Header) *Queued {
	place, ok := fileapi.ParsePlace(header.Get(fileapi.PlaceHeader))
	if !ok || place == 0 {
		return nil
	}
	seconds, _ := fileapi.ParseRetryAfter(header.Get("Retry-After"))
	return &Queued{Place: place, After: time.Duration(max(seconds, 1)) * time.Second}
}

// Turn waits in the peer's queue, at most that long, in whole seconds, which must
// be less than the StallTimeout. It returns the place there, 0 if it is one's turn
// now. A peer that has no queue says that it is.
func (c *Client) Turn(ctx context.Context, patience time.Duration) (place int, err error) {
	wait := http.Header{fileapi.WaitHeader: {fileapi.FormatWait(int(patience / time.Second))}}
	resp, err := c.ask(ctx, http.MethodGet, fileapi.Have.Path(c.id), wait)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch _, err := io.CopyN(io.Discard, resp.Body, fileapi.MaxHave+1); {
	case err == nil:
		return 0, lonja.E(lonja.Malformed, "", errors.New("it has more pieces than there can be"))
	case !errors.Is(err, io.EOF):
		return 0, Broken(ctx, fmt.Errorf("in the answer: %w", err))
	}
	place, _ = fileapi.ParsePlace(resp.Header.Get(fileapi.PlaceHeader))
	return place, nil
}
