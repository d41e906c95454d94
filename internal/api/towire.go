package api

import "lonja"

// The functions here turn the words of the root package into messages. These
// may share memory with what they were made from.

// EndpointText is the text of an endpoint; the zero one has none.
func EndpointText(at lonja.Endpoint) string {
	if !at.IsValid() {
		return ""
	}
	return at.String()
}

// WaysText is the text of each way.
func WaysText(ways []lonja.Endpoint) []string {
	if len(ways) == 0 {
		return nil
	}
	list := make([]string, len(ways))
	for i, at := range ways {
		list[i] = EndpointText(at)
	}
	return list
}

func keyBytes(k lonja.PublicKey) []byte {
	if k.IsZero() {
		return nil
	}
	return k[:]
}

func signatureBytes(s lonja.Signature) []byte {
	if s == (lonja.Signature{}) {
		return nil
	}
	return s[:]
}

// NodeBytes are those of which program of a key a node is; the zero one has none.
func NodeBytes(id lonja.NodeID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// FileBytes are those of a content's identity; the zero one has none.
func FileBytes(id lonja.FileID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// FromReach makes a message; nil gives nil.
func FromReach(r *lonja.Reach) *Reach {
	if r == nil {
		return nil
	}
	return &Reach{Key: r.Key[:], Ways: WaysText(r.Ways)}
}

// FromPeer makes a message; the zero Peer gives nil.
func FromPeer(p *lonja.Peer) *Peer {
	if p.User == "" {
		return nil
	}
	return new(Peer).set(p)
}

func (m *Peer) set(p *lonja.Peer) *Peer {
	m.User, m.At, m.Reach = Text(p.User), EndpointText(p.At), FromReach(p.Reach)
	return m
}

// FromProof makes a message; nil gives nil.
func FromProof(p *lonja.Proof) *Proof {
	if p == nil {
		return nil
	}
	m := &Proof{File: p.File[:], Date: p.Date, Key: p.Key[:], Signature: p.Signature[:]}
	for _, user := range p.Audience {
		m.Audience = append(m.Audience, Text(user))
	}
	if f := p.Folder; f != nil {
		m.Folder = &Folder{Files: f.Files, ListSize: f.ListSize}
	}
	return m
}

// FromListing makes a message; the zero Listing gives nil.
func FromListing(l *lonja.Listing) *Listing {
	if l.Name == "" {
		return nil
	}
	return new(Listing).set(l)
}

func (m *Listing) set(l *lonja.Listing) *Listing {
	m.Name, m.Description, m.Size, m.Proof = Text(l.Name), Text(l.Description), l.Size, FromProof(l.Proof)
	return m
}

// FromHolder makes a message.
func FromHolder(h *lonja.Holder) *Holder { return new(Holder).set(h) }

func (m *Holder) set(h *lonja.Holder) *Holder {
	m.User, m.At, m.Name = Text(h.User), EndpointText(h.At), Text(h.Name)
	m.Reach, m.Proof = FromReach(h.Reach), FromProof(h.Proof)
	m.Description, m.Size, m.Partial = Text(h.Description), h.Size, h.Partial
	return m
}

// FromHolders makes a message of each, all in one piece of memory.
func FromHolders(holders []lonja.Holder) []*Holder {
	return together(holders, (*Holder).set)
}

// FromPeers makes a message of each, all in one piece of memory.
func FromPeers(peers []lonja.Peer) []*Peer { return together(peers, (*Peer).set) }

// FromListings makes a message of each, all in one piece of memory.
func FromListings(listings []lonja.Listing) []*Listing {
	return together(listings, (*Listing).set)
}

func together[W, M any](words []W, set func(*M, *W) *M) []*M {
	messages, list := make([]M, len(words)), make([]*M, len(words))
	for i := range words {
		list[i] = set(&messages[i], &words[i])
	}
	return list
}

// FromQuery makes a message of all but the page.
func FromQuery(q *lonja.Query) *Query {
	return &Query{
		Words: Text(q.Words), Base: Text(q.Base), Extension: Text(q.Extension),
		MinSize: q.MinSize, MaxSize: q.MaxSize, Owner: Text(q.Owner), OnlineOnly: q.OnlineOnly,
	}
}

// FromFound makes a message.
func FromFound(f *lonja.Found) *Found {
	return &Found{
		Owner: Text(f.Owner), Listing: FromListing(&f.Listing),
		Online: int64(f.Online), Holders: int64(f.Holders),
	}
}

// FromEndorsement makes a message.
func FromEndorsement(e *lonja.Endorsement) *Endorsement {
	return &Endorsement{
		User: Text(e.User), Key: e.Key[:], Label: Text(e.Label), Date: e.Date,
		By: keyBytes(e.By), Signature: signatureBytes(e.Signature), Consent: signatureBytes(e.Consent),
	}
}

// FromKeyRecord makes a message.
func FromKeyRecord(r *lonja.KeyRecord) *KeyRecord {
	return &KeyRecord{Endorsement: FromEndorsement(&r.Endorsement), Revoked: r.Revoked}
}

// FromRevocation makes a message.
func FromRevocation(r *lonja.Revocation) *Revocation {
	return &Revocation{
		User: Text(r.User), Key: r.Key[:], Date: r.Date, By: r.By[:], Signature: r.Signature[:], Account: r.Account,
	}
}

// FromEvent makes a message.
func FromEvent(e *lonja.Event) *WatchAnswer {
	return &WatchAnswer{
		Kind: EventKind(e.Kind), User: Text(e.User), Peer: FromPeer(&e.Peer),
		Listing: FromListing(&e.Listing), Key: keyBytes(e.Key), Account: e.Account,
	}
}

// FromFilter makes a request of a member.
func FromFilter(member lonja.Member, f *lonja.EventFilter) *WatchRequest {
	m := &WatchRequest{User: Text(member.User), Presence: f.Presence, Node: NodeBytes(member.Node)}
	if f.Matching != nil {
		m.Matching = FromQuery(f.Matching)
	}
	m.Holders = FilesBytes(f.Holders)
	return m
}

// FilesBytes returns the hashes of contents.
func FilesBytes(files []lonja.FileID) (list [][]byte) {
	for i := range files {
		list = append(list, files[i][:])
	}
	return list
}
