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
	return &Peer{User: Text(p.User), At: EndpointText(p.At), Reach: FromReach(p.Reach)}
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
	return m
}

// FromListing makes a message; the zero Listing gives nil.
func FromListing(l *lonja.Listing) *Listing {
	if l.Name == "" {
		return nil
	}
	return &Listing{Name: Text(l.Name), Description: Text(l.Description), Size: l.Size, Proof: FromProof(l.Proof)}
}

// FromHolder makes a message.
func FromHolder(h *lonja.Holder) *Holder {
	return &Holder{
		User: Text(h.User), At: EndpointText(h.At), Name: Text(h.Name),
		Reach: FromReach(h.Reach), Proof: FromProof(h.Proof),
	}
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
		By: keyBytes(e.By), Signature: signatureBytes(e.Signature),
	}
}

// FromKeyRecord makes a message.
func FromKeyRecord(r *lonja.KeyRecord) *KeyRecord {
	return &KeyRecord{Endorsement: FromEndorsement(&r.Endorsement), Revoked: r.Revoked}
}

// FromRevocation makes a message.
func FromRevocation(r *lonja.Revocation) *Revocation {
	return &Revocation{User: Text(r.User), Key: r.Key[:], Date: r.Date, By: r.By[:], Signature: r.Signature[:]}
}

// FromEvent makes a message.
func FromEvent(e *lonja.Event) *WatchAnswer {
	return &WatchAnswer{
		Kind: EventKind(e.Kind), User: Text(e.User), Peer: FromPeer(&e.Peer),
		Listing: FromListing(&e.Listing), Key: keyBytes(e.Key),
	}
}

// FromFilter makes a request of user.
func FromFilter(user lonja.UserName, f *lonja.EventFilter) *WatchRequest {
	m := &WatchRequest{User: Text(user), Presence: f.Presence}
	if f.Matching != nil {
		m.Matching = FromQuery(f.Matching)
	}
	for i := range f.Holders {
		m.Holders = append(m.Holders, f.Holders[i][:])
	}
	return m
}
