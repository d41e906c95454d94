//go:build !linux

package oplog

import "net"

// answerFromSameAddress is for Linux only, as yet: elsewhere the kernel chooses
// the source of a reply on a machine with several addresses.
func answerFromSameAddress(*net.UDPConn) {}
