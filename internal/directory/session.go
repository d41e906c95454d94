package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/presence"
)

// session returns what the lease of a member's node is made of: its likeliest
// endpoint, and its terms.
func (d *Directory) session(op string, m lonja.Member, ways []lonja.Endpoint) (at lonja.Endpoint, s presence.Session, err error) {
	if len(ways) > lonja.MaxWays {
		return at, s, memberFailure(lonja.Invalid, op, m.User, fmt.Errorf("%d ways to reach a node, at most %d may be", len(ways), lonja.MaxWays))
	}
	if m.Yields && m.Node.IsZero() {
		return at, s, memberFailure(lonja.Invalid, op, m.User, errors.New("a program that yields to others tells which it is"))
	}
	r := lonja.Reach{Key: m.Key}
	for _, way := range ways {
		if !way.IsValid() || way.Port() == 0 {
			return at, s, memberFailure(lonja.Invalid, op, m.User, fmt.Errorf("nobody can be reached at %v", way))
		}
		r.Ways = append(r.Ways, lonja.EndpointFrom(way.Addr().WithZone(""), way.Port()))
	}
	return classicWay(r.Ways), presence.Session{Length: d.opts.sessionLease(), Detail: detail{reach: &r, node: m.Node, yields: m.Yields}.String()}, nil
}

// classicWay returns which of several ways is shown in the classic dialect, which
// has one for each user and knows IPv4 best: a public one, as it may be looked at
// from anywhere.
func classicWay(ways []lonja.Endpoint) (at lonja.Endpoint) {
	worth := func(e lonja.Endpoint) int {
		switch addr := e.Addr(); {
		case !e.IsValid():
			return 0
		case !addr.Is4():
			return 1
		case addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast():
			return 2
		}
		return 3
	}
	for _, way := range ways {
		if worth(way) > worth(at) {
			at = way
		}
	}
	return at
}

// ConnectMember implements lonja.Members. Of two nodes of one user at once, the
// later one wins, as with Connect.
func (d *Directory) ConnectMember(ctx context.Context, member lonja.Member, ways []lonja.Endpoint) error {
	at, s, err := d.session(opConnect, member, ways)
	if err != nil {
		return err
	}
	stamp, err := d.connectMember(member, at, s)
	if err != nil {
		return err
	}
	d.settled(member.User)
	d.told(ctx)
	d.mu.RLock()
	defer d.mu.RUnlock()
	l, connected := d.leases.Lookup(member.User)
	switch {
	case !connected || l.Stamp <= stamp || l.Mine:
	case keyOfDetail(l.Detail) != member.Key:
		return memberFailure(lonja.AlreadyConnected, opConnect, member.User, nil)
	case nodeOfDetail(l.Detail).IsOther(member.Node):
		return memberFailure(lonja.TakenOver, opConnect, member.User, nil)
	}
	return nil
}

func (d *Directory) connectMember(m lonja.Member, at lonja.Endpoint, s presence.Session) (presence.Stamp, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, err := d.authorized(opConnect, m)
	if err != nil {
		return 0, err
	}
	if l, _ := d.leases.Lookup(m.User); a.Connected && !mayHave(a, m, l.Detail) {
		return 0, memberFailure(lonja.AlreadyConnected, opConnect, m.User, nil)
	}
	stamp, changes := d.leases.ConnectSession(m.User, at, s, time.Now())
	d.applyPresence(changes)
	return stamp, nil
}

// mayHave reports whether a member may begin a session in the place of the one that
// there is.
func mayHave(a index.Account, m lonja.Member, detail string) bool {
	has, _ := parseDetail(detail)
	if m.Yields {
		return has.yields && has.node == m.Node && ownLease(a, m, detail)
	}
	return has.yields || ownLease(a, m, detail)
}

// ownLease reports whether a lease is of the member's node: begun with its key,
// or in the classic dialect for a name that has been bound to the key since.
func ownLease(a index.Account, m lonja.Member, detail string) bool {
	if detail == "" {
		return a.Bound
	}
	return keyOfDetail(detail) == m.Key
}

// takenOver returns the error of a member whose session another program with its
// key has, as far as both have told which they are. Who has lost it to one that yields
// only has to begin it again: that one came while there was none. The caller holds mu.
func (d *Directory) takenOver(op string, m lonja.Member) error {
	l, connected := d.leases.Lookup(m.User)
	if !connected || keyOfDetail(l.Detail) != m.Key {
		return nil
	}
	switch has, _ := parseDetail(l.Detail); {
	case !has.node.IsOther(m.Node):
		return nil
	case has.yields:
		return memberFailure(lonja.NotConnected, op, m.User, nil)
	}
	return memberFailure(lonja.TakenOver, op, m.User, nil)
}

// RenewMember implements lonja.Members.
func (d *Directory) RenewMember(_ context.Context, member lonja.Member, ways []lonja.Endpoint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, err := d.sessionOf(opRenew, member)
	if err != nil {
		return err
	}
	before, ok := parseDetail(l.Detail)
	member.Node, member.Yields = cmp.Or(member.Node, before.node), before.yields // who does not tell its own changes nothing
	at, s, err := d.session(opRenew, member, ways)
	if err != nil {
		return err
	}
	now, _ := parseDetail(s.Detail)
	now.fetching = before.fetching
	switch {
	case ways != nil:
		s.Detail = now.String()
	case ok:
		now.reach = before.reach
		at, s.Detail = l.At, now.String()
	default: // as a later version has it
		at, s.Detail = l.At, l.Detail
	}
	changes, _ := d.leases.RenewSession(member.User, at, s, time.Now())
	d.presenceChanged(changes)
	return nil
}

// Fetching implements lonja.Members.
func (d *Directory) Fetching(_ context.Context, member lonja.Member, files []lonja.FileID) error {
	for i, file := range files {
		if i == lonja.MaxFetching || file.IsZero() || slices.Contains(files[:i], file) {
			return memberFailure(lonja.Invalid, opFetching, member.User,
				fmt.Errorf("%d contents, at most %d may be, each once", len(files), lonja.MaxFetching))
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l, err := d.sessionOf(opFetching, member)
	if err != nil {
		return err
	}
	now, ok := parseDetail(l.Detail)
	if !ok { // as a later version has it
		return memberFailure(lonja.NotConnected, opFetching, member.User, nil)
	}
	now.fetching = files
	changes, _ := d.leases.RenewSession(member.User, l.At, presence.Session{Length: d.opts.sessionLease(), Detail: now.String()}, time.Now())
	d.presenceChanged(changes)
	return nil
}

// sessionOf returns the session of a member, which another program with its key must
// not have taken over. The caller holds mu.
func (d *Directory) sessionOf(op string, m lonja.Member) (presence.Lease, error) {
	l, connected := d.leases.Lookup(m.User)
	a, _ := d.index.Account(m.User)
	switch {
	case !connected || !a.Connected || l.Detail == "":
		return l, memberFailure(lonja.NotConnected, op, m.User, nil)
	}
	has, _ := parseDetail(l.Detail)
	other := keyOfDetail(l.Detail) != m.Key
	if other && !has.yields {
		return l, memberFailure(lonja.OtherKey, op, m.User, nil)
	}
	if _, err := d.authorized(op, m); err != nil {
		return l, err
	}
	if other {
		return l, memberFailure(lonja.NotConnected, op, m.User, nil)
	}
	return l, d.takenOver(op, m)
}

// setOnline shows a user as connected, and tells those who watch if that is
// new, or the node is reached otherwise. The caller holds mu.
func (d *Directory) setOnline(a index.Account, at lonja.Endpoint, told string) {
	now, _ := parseDetail(told)
	reach := now.reach
	d.index.ConnectReach(a.User, at, reach)
	d.index.SetFetching(a.User, now.fetching)
	if !a.Connected || !sameReach(a.Reach, reach) || reach == nil && a.At != at {
		d.noteUser(lonja.UserConnected, a.User)
	}
}

func sameReach(a, b *lonja.Reach) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Key == b.Key && slices.Equal(a.Ways, b.Ways)
}

// setOffline is the opposite. The caller holds mu.
func (d *Directory) setOffline(a index.Account) {
	d.index.Disconnect(a.User)
	if a.Connected {
		d.noteUser(lonja.UserLeft, a.User)
	}
}

// noteUser tells those who watch of a user. The caller holds mu.
func (d *Directory) noteUser(kind lonja.EventKind, user lonja.UserName) {
	if !d.events.watched() {
		return
	}
	h := &happened{Event: lonja.Event{Kind: kind, User: user}}
	if kind == lonja.UserConnected {
		h.online, h.Peer = true, d.peer(user)
	}
	d.events.note(h)
}
