package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"slices"
	"time"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/swarm"
)

// A lookout keeps a crowd in step with who has the content, all of it or a part.
type lookout struct {
	*secureDialect
	crowd    crowd
	as       asking
	f        fetch
	id       lonja.FileID
	size     int64
	several  bool           // there is more than one part of it to be had
	known    []lonja.Holder // who is in the crowd
	audience *audience
}

// A crowd is told who has a content: all of it, or a part. Its methods are called by
// one goroutine.
type crowd interface {
	join(h swarm.Holder, partial bool)
	Leave(user lonja.UserName, key lonja.PublicKey)
	Place(rank, of int)
}

// A swarmCrowd is that of one swarm, which finds out itself who has what.
type swarmCrowd struct{ *swarm.Swarm }

func (c swarmCrowd) join(h swarm.Holder, _ bool) { c.Join(h) }

// How often the directory is asked who has a content while it is fetched: soon, since
// many may have begun at the same time, and then ever less.
const (
	firstLook = time.Second
	mostLook  = 15 * time.Second
)

// mostPartial bounds the others who are fetching it that a crowd is joined by: pieces
// go from hand to hand, so nobody needs to know everybody.
const mostPartial = 24

// run looks until ctx ends. Those who have a part only are asked for from the
// beginning, of what has several pieces; looked is called when they are known.
func (l *lookout) run(ctx context.Context, looked func()) {
	if l.several {
		l.look(ctx)
	}
	looked()
	for pause := firstLook; ; pause = min(2*pause, mostLook) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		l.look(ctx)
	}
}

// look asks once.
func (l *lookout) look(ctx context.Context) {
	all, err := l.holders(ctx, l.as.user, lonja.Wanted{File: l.id, Partial: true})
	if err != nil {
		l.opts.Log.Debug("cannot ask who has it now", slog.Any("error", err))
		return
	}
	l.audience.heed(all)
	now := slices.DeleteFunc(slices.Clone(all), func(h lonja.Holder) bool {
		return h.Partial || h.Proof == nil || h.Reach == nil || h.Publication().ContentSize() != l.size || l.f.from != "" && h.User != l.f.from
	})
	f := l.f
	f.remote = lonja.FileName(l.id.String())
	for _, h := range now {
		l.crowd.join(l.swarmHolder(l.as, h, f), false)
	}
	others := slices.DeleteFunc(all, func(h lonja.Holder) bool { return !h.Partial || slices.ContainsFunc(now, sameNode(h)) })
	for _, h := range l.chosen(others) {
		if _, everybody := l.audience.names(h.User); !everybody &&
			errors.Is(l.checkKnown(ctx, lonja.Member{User: h.User, Key: h.Reach.Key}), errNeverMet) {
			continue // nothing is wrong with that one, who is just not met here
		}
		l.crowd.join(l.partialHolder(h), true)
		now = append(now, h)
	}
	if len(now) == 0 {
		return // the directory may have begun anew; who is really gone, the swarm notices
	}
	for _, h := range l.known {
		if !slices.ContainsFunc(now, sameNode(h)) {
			l.crowd.Leave(h.User, h.Reach.Key)
		}
	}
	l.known = now
}

func sameNode(h lonja.Holder) func(lonja.Holder) bool {
	return func(other lonja.Holder) bool {
		return other.User == h.User && other.Reach != nil && h.Reach != nil && other.Reach.Key == h.Reach.Key
	}
}

// chosen returns those of the others who are fetching it who are asked for what they
// have, and tells the crowd its place among all of them. Each downloader chooses others,
// and the same ones each time.
func (l *lookout) chosen(others []lonja.Holder) []lonja.Holder {
	own := l.Key.PublicKey()
	others = slices.DeleteFunc(others, func(h lonja.Holder) bool {
		named, _ := l.audience.names(h.User)
		return h.Reach == nil || h.Reach.Key == own || !named || l.f.from != "" && h.User != l.f.from
	})
	if len(others) == 0 {
		l.crowd.Place(0, 0)
		return nil
	}
	rank := 0
	for _, h := range others {
		if bytes.Compare(h.Reach.Key[:], own[:]) < 0 {
			rank++
		}
	}
	l.crowd.Place(rank, len(others)+1)
	if len(others) <= mostPartial {
		return others
	}
	draw := func(h lonja.Holder) [sha256.Size]byte {
		return sha256.Sum256(append(own[:len(own):len(own)], h.Reach.Key[:]...))
	}
	slices.SortFunc(others, func(a, b lonja.Holder) int {
		x, y := draw(a), draw(b)
		return bytes.Compare(x[:], y[:])
	})
	return others[:mostPartial]
}

// partialHolder returns how somebody is reached who is fetching the content too. Nobody
// has signed that; that it is the user whom the directory names, its key proves, and
// what it sends is checked as from anybody. Of what is for some only, who was never
// met is not met here either: whom it is asked of may have it in turn.
func (l *lookout) partialHolder(h lonja.Holder) swarm.Holder {
	member := lonja.Member{User: h.User, Key: h.Reach.Key}
	return swarm.Holder{User: h.User, Key: h.Reach.Key, Unsigned: true, Dial: func(ctx context.Context) (net.Conn, error) {
		check := l.checkKnown
		if _, everybody := l.audience.names(h.User); everybody {
			check = l.checkKey
		}
		if err := check(ctx, member); err != nil {
			return nil, err
		}
		config := authority.PeerClientConfig(l.as.peers, authority.Expected{User: member.User, Keys: []lonja.PublicKey{member.Key}})
		return l.reach(ctx, h, config)
	}}
}
