// Package trust keeps what a node trusts: for each directory the fingerprints
// that it may have, and for each of its users the key that was met first. All
// that comes later must be the same, or follow from it by a proof: a rotation of
// the directory's authority, an endorsement by the user's key. Anything else is
// an error of kind Untrusted that says both sides and what to do; nothing is
// ever replaced without a person's Forget.
//
// It is one JSON file of the user's own, which several processes may change at
// once. A directory is known by its fingerprints, not by its address: it may
// have several addresses (those of a cluster), and its users stay when its
// authority rotates.
//
// What proves a fingerprint or a key is checked elsewhere, by authority and
// statement; nodes and the command line use both together.
package trust
