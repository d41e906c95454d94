package download

import (
	"context"
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

// measure counts the bytes of a transfer.
func measure(ctx context.Context, at lonja.Endpoint, req classic.PeerRequest, opts Options) (length int64, err error) {
	s, err := request(ctx, at, req, opts)
	if err != nil {
		return 0, err
	}
	defer s.close()
	for {
		n, err := s.receive(io.Discard, stepSize)
		length += n
		if err == io.EOF {
			return length, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
