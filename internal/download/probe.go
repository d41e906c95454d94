package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"lonja"
	"lonja/internal/classic"
)

// probe finds out what size a file has at a holder. The protocol has no
// question for that, but the lengths of two small slices tell: of a file that
// is cut in 255, the first has size/255 bytes and the last size%255 more.
// Their bytes are thrown away.
func probe(ctx context.Context, holder lonja.Holder, opts Options) (size int64, err error) {
	const total = classic.MaxSlices
	var lengths [2]int64
	var errs [2]error
	var both sync.WaitGroup
	for i, index := range []int{0, total - 1} {
		both.Go(func() {
			req := classic.PeerRequest{Name: holder.Name, Slice: classic.Slice{Index: index, Total: total}}
			lengths[i], errs[i] = measure(ctx, holder.At, req, opts)
		})
	}
	both.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	each, rest := lengths[0], lengths[1]-lengths[0]
	if rest < 0 || rest >= total {
		return 0, lonja.E(lonja.Malformed, "", fmt.Errorf(
			"sent %d and %d bytes as the first and last of %d slices, which no file has",
			lengths[0], lengths[1], total))
	}
	return each*total + rest, nil
}

// What bounds the counting: a 255th of a file of a tebibyte, and twice the time
// that a peer may be silent. Past that the size is not known, no more.
const (
	measureLimit  = 1 << 32
	measureStalls = 2
)

// measure counts the bytes of a transfer.
func measure(ctx context.Context, at lonja.Endpoint, req classic.PeerRequest, opts Options) (length int64, err error) {
	patience := measureStalls * opts.StallTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errTooLong)
	defer cancel()
	s, err := request(ctx, at, req, opts)
	if err != nil {
		return 0, measureFailed(ctx, err)
	}
	defer s.close()
	for length <= measureLimit {
		n, err := s.receive(io.Discard, stepSize)
		length += n
		if err == io.EOF {
			return length, nil
		}
		if err != nil {
			return 0, measureFailed(ctx, err)
		}
	}
	return 0, lonja.E(lonja.Malformed, "", fmt.Errorf("sent more than %d bytes as one of %d slices", int64(measureLimit), req.Slice.Total))
}

// errTooLong is the cause for a peer whose slice does not end.
var errTooLong = errors.New("took too long")

// measureFailed tells a peer that took too long from a caller who gave up.
func measureFailed(ctx context.Context, err error) error {
	if context.Cause(ctx) == errTooLong {
		return lonja.E(lonja.Unavailable, "", errTooLong)
	}
	return err
}
