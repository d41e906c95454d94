// Package statement holds what users sign: that a file is theirs to offer (a
// publication), that a key speaks for them (an endorsement), that it is to (the
// consent of that key), that one does no longer (a revocation). It has the exact
// bytes that are signed, signs them, and checks them; it has the rules over the
// keys of one user, and the compact form in which proofs and keys are stored.
//
// A statement is a line that says its kind and version, a NUL, and its fields,
// each with its length before it. So two statements that differ anywhere differ
// in their bytes, and no signature of one kind is one of another kind, or of
// anything else that is signed with the same key (a TLS handshake, say).
// docs/protocol.md has the bytes, with an example.
//
// It knows no clock, keeps no keys and decides nothing about whom to trust:
// package trust does. Directories, nodes that publish and nodes that download
// use it. All its functions may be called at once.
package statement
