package main

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"lonja"
	"lonja/internal/downloads"
	"lonja/internal/node"
	"lonja/internal/swarm"
	"lonja/internal/tree"
)

// A transfer is a download while it is fetched, for who asks how it goes. Status may
// be called by any number of goroutines at once.
type transfer struct {
	downloads.Download
	choice *node.Choice // what to begin with; nil: the directory is asked
	report func(int64)  // is told the bytes that are here; or nil
	latest atomic.Int64 // the bytes that are here
	waits  atomic.Pointer[string]
	going  atomic.Pointer[going]
	// renamed is told which files of a folder have other names here; or nil.
	renamed func(path, local string)
}

// going is how something goes that is being fetched: a swarm, or a folder.
type going interface {
	Received() int64 // bytes that are here
	Size() int64
	Speed() int64
	Count() (here, all int64) // pieces; of a folder, files
	Holders() []swarm.HolderState
}

// A fetched is what came of a transfer.
type fetched struct {
	node.FetchedFolder // of a file, only Fetched is set
}

func newTransfer(d downloads.Download, choice *node.Choice) *transfer {
	t := &transfer{Download: d, choice: choice}
	t.latest.Store(d.Received)
	return t
}

// fetch fetches it once.
func (t *transfer) fetch(ctx context.Context, errand *node.Errand) (fetched, error) {
	t.waits.Store(nil)
	wanted := lonja.Wanted{File: t.File}
	if t.File.IsZero() {
		wanted = lonja.Wanted{Name: t.Name}
	}
	choice := t.choice
	if t.choice = nil; choice == nil { // another time it is asked who has it then
		choices, err := errand.Choices(ctx, wanted, t.From)
		if err != nil {
			return fetched{}, err
		}
		choice = &choices[0]
	}
	fetching := node.Fetching{
		Wanted: wanted, Choice: *choice, From: t.From, Local: t.Target, Force: t.Force, Progress: t.progress,
		Started: func(s *swarm.Swarm) { t.goes(s) },
	}
	if !t.Folder {
		got, err := errand.Fetch(ctx, fetching)
		return fetched{node.FetchedFolder{Fetched: got}}, err
	}
	got, err := errand.FetchFolder(ctx, node.FolderFetching{
		Fetching: fetching, Include: included(t.Include), Renamed: t.renamed,
		Going: func(p *node.FolderProgress) { t.goes(p) },
	})
	return fetched{got}, err
}

func (t *transfer) goes(g going) { t.going.Store(&g) }

func (t *transfer) progress(received int64) {
	t.latest.Store(received)
	if t.report != nil {
		t.report(received)
	}
}

// received returns the bytes that are here.
func (t *transfer) received() int64 {
	if g := t.going.Load(); g != nil {
		return (*g).Received()
	}
	return t.latest.Load()
}

// size returns the bytes that there will be, as far as it is known.
func (t *transfer) size() int64 {
	if g := t.going.Load(); g != nil {
		return (*g).Size()
	}
	return t.Size
}

// wait notes why nothing is fetched just now.
func (t *transfer) wait(why error) {
	text := why.Error()
	t.waits.Store(&text)
}

func (t *transfer) status() downloads.Status {
	status := downloads.Status{Received: t.received(), Size: t.Size, Holders: []downloads.Holder{}}
	if why := t.waits.Load(); why != nil {
		status.Waits = *why
	}
	if layout, err := tree.LayoutOf(t.Size); err == nil && !t.Folder {
		status.Of = layout.Pieces()
	}
	g := t.going.Load()
	if g == nil {
		return status
	}
	status.Size, status.Speed = (*g).Size(), (*g).Speed()
	if t.Folder {
		status.Files, status.OfFiles = (*g).Count()
	} else {
		status.Pieces, status.Of = (*g).Count()
	}
	own := ownNetworks()
	for _, h := range (*g).Holders() {
		status.Holders = append(status.Holders, holderOf(h, own))
	}
	return status
}

func holderOf(h swarm.HolderState, own []netip.Prefix) downloads.Holder {
	told := downloads.Holder{
		User: string(h.User), Key: h.Key.ID().String(), At: h.At, Way: wayOf(h.At, own), Conns: h.Conns,
		Trip: float64(h.Trip.Microseconds()) / 1000, Speed: h.Speed, Bytes: h.Bytes, Pieces: h.Pieces, Again: h.Again, Lied: h.Lied,
		Place: h.Place, Part: h.Partial, Route: routes[h.Route],
	}
	if at, err := netip.ParseAddrPort(h.At); err == nil {
		told.IP = "IPv6"
		if at.Addr().Unmap().Is4() {
			told.IP = "IPv4"
		}
	}
	if !h.Has {
		told.Conns = 0 // they are only tried
	}
	if h.Err != nil {
		told.Error = h.Err.Error()
	}
	return told
}

// routes are how a way leads to a holder, as programs are told it.
var routes = map[swarm.Route]string{swarm.Direct: routeDirect, swarm.Mapped: routeMapped, swarm.Seen: routeSeen}

const (
	routeDirect = "direct"
	routeMapped = "mapped"
	routeSeen   = "seen"
)

// The kinds of ways to a holder.
const (
	wayLoopback = "this machine"
	wayLAN      = "LAN"
	wayShared   = "VPN or provider's network" // RFC 6598
	wayPrivate  = "private network"
	wayPublic   = "Internet"
)

var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

// wayOf returns what kind of way leads to an address, from a machine in those
// networks; "" without an address.
func wayOf(at string, own []netip.Prefix) string {
	to, err := netip.ParseAddrPort(at)
	if err != nil {
		return ""
	}
	addr := to.Addr().WithZone("").Unmap()
	switch {
	case addr.IsLoopback():
		return wayLoopback
	case slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(addr) }), addr.IsLinkLocalUnicast():
		return wayLAN
	case sharedAddresses.Contains(addr):
		return wayShared
	case addr.IsPrivate():
		return wayPrivate
	}
	return wayPublic
}

// ownNetworks returns those that this machine is in, as far as it tells.
func ownNetworks() (networks []netip.Prefix) {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			networks = append(networks, p.Masked())
		}
	}
	return networks
}

// holderKey tells holders apart.
func holderKey(h downloads.Holder) string { return cmp.Or(h.Key, "?") + " " + h.User }
