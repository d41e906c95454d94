// Package authority is a directory's certificate authority, and what its
// certificates are checked by on both sides of a connection.
//
// An authority is an Ed25519 key that the directory makes at its first start.
// Its fingerprint, the PeerID of that key, is what nodes pin. It signs the
// certificate of the directory's own server, and certificates for members that
// last for hours; with those, peers know each other without asking anybody.
// Certificates name members by a URI (package peercert) and never a host: where
// a peer was found does not say who it is.
//
// The authority changes its key by rotation: the old key signs a certificate of
// the new one, and the new one of the old. Both certificates end when the
// overlap does, and until then each key follows from the other: who pinned the
// old one has a proof for the new one, and what the old one signed is good for
// who pinned the new one. A Set is the certificate of the present key and those
// pairs; a directory sends it in each handshake.
//
// All of it is TLS 1.3 without resumption, so that every connection is checked
// whole. Which fingerprints a node pins is trust's business, which names are
// bound to which keys the directory's. It knows no sockets: its configurations
// are for crypto/tls. dirserver, dirclient, upload and download use it.
package authority
