package dirserver

import (
	"context"
	"net"
	"slices"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// A result is what follows status 0 of an answer.
type result struct {
	size   int                 // of it in bytes, at most
	append func([]byte) []byte // nil: nothing follows
}

// The most bytes of parts of an answer, with their NULs.
const (
	maxNumber    = 20 + 1
	maxEndpoint4 = 15 + 1 + 5 + 1
	maxEndpoint6 = 39 + 1 + 5 + 1
)

func endpointSize(at lonja.Endpoint) int {
	if at.Addr().Is4() {
		return maxEndpoint4
	}
	return maxEndpoint6
}

func usersResult(peers lonja.PeerList) result {
	size := maxNumber
	for p := range peers.All() {
		size += len(p.User) + 1 + endpointSize(p.At)
	}
	return result{size, func(b []byte) []byte { return classic.AppendUsers(b, peers) }}
}

func listingsResult(listings []lonja.Listing) result {
	size := maxNumber
	for i := range listings {
		size += len(listings[i].Name) + 1
	}
	return result{size, func(b []byte) []byte { return classic.AppendListings(b, listings) }}
}

func holdersResult(holders []lonja.Holder) result {
	size := 1
	for i := range holders {
		size += endpointSize(holders[i].At) + len(holders[i].Name) + 1
	}
	return result{size, func(b []byte) []byte { return classic.AppendHolders(b, holders) }}
}

func foundResult(page lonja.FoundPage) result {
	size := maxNumber + len(page.Next) + 1
	for i := range page.Found {
		f := &page.Found[i]
		size += len(f.Owner) + len(f.Listing.Name) + len(f.Listing.Description) + 3 + 3*maxNumber
	}
	return result{size, func(b []byte) []byte { return classic.AppendFound(b, page) }}
}

// answer performs a request and returns the answer, in b if it is a short one.
// A long one takes the share of the server's memory for answers that comes with
// it, which the caller gives back.
func (s *Server) answer(ctx context.Context, req *classic.Request, conn net.Conn, b []byte) ([]byte, share) {
	var held share
	answer, needs, err := s.build(ctx, req, conn, b, &held)
	if needs > 0 {
		// To wait with the list in hand would take the memory that is waited
		// for, so the request is performed again.
		if held, err = s.answers.wait(ctx, needs, s.opts.RequestTimeout); err == nil {
			answer, _, err = s.build(ctx, req, conn, b, &held)
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			s.failures.add(time.Now(), req.OpName, err)
		}
		answer = append(b, classic.Status(req.Op, err))
	}
	held.shrink(len(answer))
	return answer, held
}

// build performs a request and writes its answer: after b, or into memory of
// its own if it is a long one. That takes a share, unless there is one already.
// If others hold too much for that, the answer needs so many bytes more.
func (s *Server) build(ctx context.Context, req *classic.Request, conn net.Conn, b []byte, held *share) (answer []byte, needs int, err error) {
	if isLookup(req.Op) {
		done, err := s.answers.begin(ctx)
		if err != nil {
			return nil, 0, err
		}
		defer done()
	}
	r, err := s.perform(ctx, req, conn)
	if err != nil {
		return nil, 0, err
	}
	if r.size > instantAnswer {
		if held.size == 0 && !s.answers.try(held, r.size) {
			return nil, r.size, nil
		}
		b = make([]byte, 0, 1+r.size)
	}
	b = append(b, classic.StatusOK)
	if r.append != nil {
		b = r.append(b)
	}
	return b, 0, nil
}

// isLookup reports whether op changes nothing: it has a result, and waits for
// nothing outside the process.
func isLookup(op lonja.Operation) bool {
	switch op {
	case lonja.OpListUsers, lonja.OpListContent, lonja.OpHolders, lonja.OpSearch:
		return true
	}
	return false
}

const (
	// instantAnswer always fits in the socket's own buffer.
	instantAnswer = 4 << 10
	// answerStep is how much of an answer is written at a time.
	answerStep = 64 << 10
	// leastRate is how much of a long answer a client must take in a second,
	// beside a RequestTimeout that each has for the whole.
	leastRate = 64 << 10
)

// send writes an answer. It gives back the memory of a long one as far as it
// has been written: who reads slowly does not hold what it has read already.
func (s *Server) send(conn net.Conn, answer []byte, held *share) error {
	if len(answer) <= instantAnswer {
		_, err := conn.Write(answer)
		return err
	}
	length := time.Duration(len(answer)) * time.Second / leastRate
	s.open.writeUntil(conn, time.Now().Add(s.opts.RequestTimeout+length))
	for size := len(answer); len(answer) > 0; {
		n, err := conn.Write(answer[:min(answerStep, len(answer))])
		if err != nil {
			return err
		}
		answer = answer[n:]
		if len(answer) <= size/2 && size > answerStep { // so that not much is copied in all
			answer, size = slices.Clone(answer), len(answer)
			held.shrink(size)
		}
	}
	return nil
}
