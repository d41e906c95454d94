// Package oplog is the operation log of docs/protocol.md §4, both sides of it.
//
// Service is the log: it takes calls over TCP and UDP and prints a line for
// each. Register makes it known to the machine's rpcbind.
//
// Client is what a directory has of it: Record puts an entry into a bounded
// queue and returns at once, Run carries the queue to the service, wherever and
// whenever there is one. A log that is slow, silent or absent costs entries,
// which are counted, and never time.
//
// Delivery is at least once over a connection that breaks: what was not
// answered is sent again. The service knows such calls again if they came twice
// over UDP, or because its output was blocked for a while. An entry is lost only when the queue is full, when
// the service refuses it, or when the program ends first; Dropped counts all
// three.
//
// The messages themselves are package oncrpc's.
package oplog
