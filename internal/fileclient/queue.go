package fileclient

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

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
// now, and which of so many pieces the peer has then: nil is all. A peer that has no
// queue says that it is one's turn.
func (c *Client) Turn(ctx context.Context, patience time.Duration, pieces int64) (place int, has *roaring.Bitmap, err error) {
	wait := http.Header{fileapi.WaitHeader: {fileapi.FormatWait(int(patience / time.Second))}}
	has, header, err := c.have(ctx, wait, pieces)
	if err != nil {
		return 0, nil, err
	}
	place, _ = fileapi.ParsePlace(header.Get(fileapi.PlaceHeader))
	return place, has, nil
}
