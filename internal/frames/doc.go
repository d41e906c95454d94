// Package frames carries requests and answers over one connection: many at
// once, answered as they are ready, with deadlines, cancelling, and streams
// that a slow reader holds back. It is the carrier of ALPN lonja/1, both sides.
//
// It knows no method and no message: a Service does. It opens no connection
// and knows no TLS either; whoever calls Serve or NewClient brings a connection
// that is ready. apiserver, apiclient and the benchmarks use it.
//
// # The bytes
//
// A frame is a header of 16 bytes, numbers with the highest byte first, and a
// body:
//
//	0  length of the body, uint32
//	4  kind, byte
//	5  0
//	6  method, uint16
//	8  request, uint32
//	12 value, uint32
//
// What a kind does not use is 0 when it is sent and not looked at when it is
// read. A kind that is not known is passed over, so that a later version can
// add what an earlier one may miss.
//
//	kind         from    method  request  value            body
//	1 hello      both                                      see below
//	2 request    client  which   number   ms it may take   the request
//	3 answer     server          number                    the answer; the end of a stream
//	4 failure    server          number   lonja.Kind       a sentence, UTF-8
//	5 cancel     client          number
//	6 item       server          number                    one item of a stream
//	7 credit     client          number   so many more items
//	8 ping       both                     any
//	9 pong       both                     that of the ping
//	10 go away   server          the last number that is served      why, UTF-8
//
// Both sides send a hello at once and read the other's before anything else:
//
//	0  "lonja", 5 bytes
//	5  the lowest version spoken, byte
//	6  the highest version spoken, byte
//	7  0
//	8  longest body that is taken, uint32
//	12 requests that are served at once, uint32
//	16 items of a stream that may be under way before the first credit, uint32
//	20 anything: a later version may say more, up to 256 bytes in all
//
// The version is the lower of the two highest ones; if one side does not speak
// it, both close. Version 1 is this one. The numbers are those of the side that
// sends them; the client obeys the second, the server the third one of the client.
//
// Requests are numbered by the client, each with a higher number than the one
// before; a number that does not rise ends the connection. The value of a
// request is the time that is left for it, in milliseconds, or 0 for no end. A
// cancel for a request that is answered already is no mistake. After a go away
// the server reads nothing more: requests with a higher number than it says were
// not and will not be performed, the others are still answered.
package frames
