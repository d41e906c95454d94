package api

import (
	"fmt"
	"net/netip"

	"lonja"
)

// The functions here check what came from the network and turn it into the
// words of the root package. Their errors are of kind Invalid and say what is
// wrong; a client turns them into Malformed.

func invalid(format string, a ...any) error {
	return lonja.E(lonja.Invalid, "parse", fmt.Errorf(format, a...))
}

// UserOf checks a user's name.
func UserOf(s string) (lonja.UserName, error) { return lonja.ParseUserName(Bytes(s)) }

// NameOf checks the name of a file, in either dialect.
func NameOf(s string) (lonja.FileName, error) {
	if name, err := lonja.ParseFileName(Bytes(s)); err == nil {
		return name, nil
	}
	return lonja.ParsePublishedName(Bytes(s))
}

// nameWith checks the name of what comes with a proof, or, in the classic dialect,
// without.
func nameWith(p *Proof, s string) (lonja.FileName, error) {
	if p == nil {
		return lonja.ParseFileName(Bytes(s))
	}
	return lonja.ParsePublishedName(Bytes(s))
}

// fixed copies b into an array of exactly its size.
func fixed(what string, to, b []byte) error {
	if len(b) != len(to) {
		return invalid("%s of %d bytes, not %d", what, len(b), len(to))
	}
	copy(to, b)
	return nil
}

// KeyOf checks a public key.
func KeyOf(b []byte) (k lonja.PublicKey, err error) { return k, fixed("a key", k[:], b) }

// optionalKey takes no bytes for no key.
func optionalKey(b []byte) (k lonja.PublicKey, err error) {
	if len(b) == 0 {
		return k, nil
	}
	return KeyOf(b)
}

// NodeOf checks which program of a key a node is; no bytes are the zero one.
func NodeOf(b []byte) (id lonja.NodeID, err error) {
	if len(b) == 0 {
		return id, nil
	}
	return id, fixed("a node's number", id[:], b)
}

// FileOf checks the identity of a content; no bytes are the zero one.
func FileOf(b []byte) (id lonja.FileID, err error) {
	if len(b) == 0 {
		return id, nil
	}
	return id, fixed("a content's hash", id[:], b)
}

// signatureOf checks a signature; no bytes are the zero one, which is nobody's.
func signatureOf(b []byte) (s lonja.Signature, err error) {
	if len(b) == 0 {
		return s, nil
	}
	return s, fixed("a signature", s[:], b)
}

// EndpointOf checks an address and port; empty is the zero Endpoint.
func EndpointOf(s string) (lonja.Endpoint, error) {
	if s == "" {
		return lonja.Endpoint{}, nil
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || at.Addr().Zone() != "" {
		return lonja.Endpoint{}, invalid("%q is no address with a port", s)
	}
	return lonja.EndpointFrom(at.Addr(), at.Port()), nil
}

// WaysOf checks where a node may be reached.
func WaysOf(list []string) ([]lonja.Endpoint, error) {
	if len(list) > lonja.MaxWays {
		return nil, invalid("%d ways to reach a node, at most %d", len(list), lonja.MaxWays)
	}
	var ways []lonja.Endpoint
	for _, s := range list {
		at, err := EndpointOf(s)
		if err != nil {
			return nil, err
		}
		if at.Port() == 0 {
			return nil, invalid("%q is no port to be reached at", s)
		}
		ways = append(ways, at)
	}
	return ways, nil
}

// ReachOf checks how a node is reached; none is nil.
func ReachOf(m *Reach) (*lonja.Reach, error) {
	if m == nil {
		return nil, nil
	}
	key, err := KeyOf(m.Key)
	if err != nil {
		return nil, err
	}
	ways, err := WaysOf(m.Ways)
	if err != nil {
		return nil, err
	}
	return &lonja.Reach{Key: key, Ways: ways}, nil
}

// PeerOf checks a peer; none is the zero Peer.
func PeerOf(m *Peer) (p lonja.Peer, err error) {
	if m == nil {
		return p, nil
	}
	if p.User, err = UserOf(m.User); err != nil {
		return p, err
	}
	if p.At, err = EndpointOf(m.At); err != nil {
		return p, err
	}
	p.Reach, err = ReachOf(m.Reach)
	return p, err
}

// ProofOf checks the form of a proof, not its signature; none is nil.
func ProofOf(m *Proof) (*lonja.Proof, error) {
	if m == nil {
		return nil, nil
	}
	p := &lonja.Proof{Date: m.Date}
	if err := fixed("a content's hash", p.File[:], m.File); err != nil {
		return nil, err
	}
	var err error
	if p.Key, err = KeyOf(m.Key); err != nil {
		return nil, err
	}
	if p.Signature, err = signatureOf(m.Signature); err != nil {
		return nil, err
	}
	for _, s := range m.Audience {
		user, err := UserOf(s)
		if err != nil {
			return nil, err
		}
		p.Audience = append(p.Audience, user)
	}
	if f := m.Folder; f != nil {
		if f.Files < 0 || f.ListSize < 0 {
			return nil, invalid("a folder of %d files, whose list has %d bytes", f.Files, f.ListSize)
		}
		p.Folder = &lonja.Folder{Files: f.Files, ListSize: f.ListSize}
	}
	return p, nil
}

// ListingOf checks a listing.
func ListingOf(m *Listing) (l lonja.Listing, err error) {
	if l.Name, err = nameWith(m.GetProof(), m.GetName()); err != nil {
		return l, err
	}
	if l.Description, err = lonja.ParseDescription(Bytes(m.Description)); err != nil {
		return l, err
	}
	if l.Size = m.Size; l.Size < lonja.UnknownSize {
		return l, invalid("a size of %d bytes", l.Size)
	}
	l.Proof, err = ProofOf(m.Proof)
	return l, err
}

// HolderOf checks a holder.
func HolderOf(m *Holder) (h lonja.Holder, err error) {
	if h.User, err = UserOf(m.GetUser()); err != nil {
		return h, err
	}
	if h.At, err = EndpointOf(m.At); err != nil {
		return h, err
	}
	if h.Reach, err = ReachOf(m.Reach); err != nil {
		return h, err
	}
	if h.Partial = m.Partial; h.Partial {
		if h.Reach == nil || m.Name != "" || m.Description != "" || m.Size != 0 || m.Proof != nil {
			return h, invalid("somebody who has a part only, with what is for the others, or out of reach")
		}
		return h, nil
	}
	if h.Name, err = nameWith(m.Proof, m.Name); err != nil {
		return h, err
	}
	if h.Description, err = lonja.ParseDescription(Bytes(m.Description)); err != nil {
		return h, err
	}
	if h.Size = m.Size; h.Size < lonja.UnknownSize {
		return h, invalid("a size of %d bytes", h.Size)
	}
	h.Proof, err = ProofOf(m.Proof)
	return h, err
}

// QueryOf checks what to look for; none is the query that finds everything.
func QueryOf(m *Query) (q lonja.Query, err error) {
	if m == nil {
		return q, nil
	}
	q = lonja.Query{
		Words: Bytes(m.Words), Extension: Bytes(m.Extension),
		MinSize: m.MinSize, MaxSize: m.MaxSize, Owner: lonja.UserName(Bytes(m.Owner)), OnlineOnly: m.OnlineOnly,
	}
	if m.Base != "" {
		if q.Base, err = NameOf(m.Base); err != nil {
			return q, err
		}
	}
	if q.Owner != "" {
		if q.Owner, err = lonja.ParseUserName(string(q.Owner)); err != nil {
			return q, err
		}
	}
	return q, q.Check()
}

// FoundOf checks a result of a search.
func FoundOf(m *Found) (f lonja.Found, err error) {
	if f.Owner, err = UserOf(m.GetOwner()); err != nil {
		return f, err
	}
	f.Online, f.Holders = int(m.Online), int(m.Holders)
	f.Listing, err = ListingOf(m.Listing)
	return f, err
}

// CursorOf checks a cursor.
func CursorOf(s string) (lonja.Cursor, error) {
	if s = Bytes(s); len(s) > lonja.MaxCursor {
		return "", invalid("a cursor of %d bytes, at most %d", len(s), lonja.MaxCursor)
	}
	return lonja.Cursor(s), nil
}

// EndorsementOf checks the form of an endorsement, not its signature.
func EndorsementOf(m *Endorsement) (e lonja.Endorsement, err error) {
	if e.User, err = UserOf(m.GetUser()); err != nil {
		return e, err
	}
	if e.Key, err = KeyOf(m.Key); err != nil {
		return e, err
	}
	if e.Label, e.Date = Bytes(m.Label), m.Date; len(e.Label) > lonja.MaxLabel {
		return e, invalid("a label of %d bytes, at most %d", len(e.Label), lonja.MaxLabel)
	}
	if e.By, err = optionalKey(m.By); err != nil {
		return e, err
	}
	if e.Signature, err = signatureOf(m.Signature); err != nil {
		return e, err
	}
	e.Consent, err = signatureOf(m.Consent)
	return e, err
}

// KeyRecordOf checks one of the keys of an account.
func KeyRecordOf(m *KeyRecord) (r lonja.KeyRecord, err error) {
	r.Revoked = m.GetRevoked()
	r.Endorsement, err = EndorsementOf(m.GetEndorsement())
	return r, err
}

// RevocationOf checks the form of a revocation, not its signature.
func RevocationOf(m *Revocation) (r lonja.Revocation, err error) {
	if r.User, err = UserOf(m.GetUser()); err != nil {
		return r, err
	}
	if r.Key, err = KeyOf(m.Key); err != nil {
		return r, err
	}
	r.Date, r.Account = m.Date, m.Account
	if r.By, err = KeyOf(m.By); err != nil {
		return r, err
	}
	r.Signature, err = signatureOf(m.Signature)
	return r, err
}

// EventOf checks an event. What is unknown here is a NoEvent.
func EventOf(m *WatchAnswer) (e lonja.Event, err error) {
	if m.Kind <= 0 || m.Kind > EventKind(lonja.EventsLost) {
		return e, nil
	}
	e.Kind = lonja.EventKind(m.Kind)
	if m.User != "" {
		if e.User, err = UserOf(m.User); err != nil {
			return e, err
		}
	}
	if e.Peer, err = PeerOf(m.Peer); err != nil {
		return e, err
	}
	if m.Listing != nil {
		if e.Listing, err = ListingOf(m.Listing); err != nil {
			return e, err
		}
	}
	e.Account = m.Account
	e.Key, err = optionalKey(m.Key)
	return e, err
}

// FilterOf checks what a watcher wants to be told of.
func FilterOf(m *WatchRequest) (f lonja.EventFilter, err error) {
	f.Presence = m.Presence
	if m.Matching != nil {
		query, err := QueryOf(m.Matching)
		if err != nil {
			return f, err
		}
		f.Matching = &query
	}
	f.Holders, err = FilesOf(m.Holders, lonja.MaxWatched)
	return f, err
}

// FilesOf checks the hashes of contents, of which there may be that many.
func FilesOf(list [][]byte, most int) (files []lonja.FileID, err error) {
	if len(list) > most {
		return nil, invalid("%d contents, at most %d", len(list), most)
	}
	for _, b := range list {
		id, err := FileOf(b)
		if err != nil || id.IsZero() {
			return nil, invalid("no content's hash among those that are told")
		}
		files = append(files, id)
	}
	return files, nil
}
