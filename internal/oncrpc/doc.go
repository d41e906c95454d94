// Package oncrpc is the wire format of ONC remote procedure calls, as far as
// the operation log needs it: the messages of RPC version 2 (RFC 5531) and
// their record marking over TCP, the XDR of their parts (RFC 4506), the one
// procedure of the operation log (docs/protocol.md §4), and what is asked of rpcbind
// (RFC 1833).
//
// It is a codec: it opens no socket, keeps no time and starts no goroutine;
// package oplog does that. Encoders append to a slice and return it. Decoders
// read a slice that came from a stranger: whatever stands in it, they neither
// panic nor allocate more than a small multiple of its length, and what they
// return may alias it unless they say otherwise.
//
// Strings are bytes here. XDR calls them ASCII, but the systems that speak
// this protocol send UTF-8, and nothing is gained by refusing the rest.
package oncrpc
