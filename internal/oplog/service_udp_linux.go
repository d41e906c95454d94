package oplog

import (
	"net"
	"syscall"
)

// answerFromSameAddress asks the kernel to tell to which of the machine's
// addresses each datagram was sent. Handed back with the reply, that makes it
// the reply's source; otherwise the kernel chooses one, and a client that
// called another address does not take the reply for its own.
//
// Failing costs just that, so it is not an error. A socket for IPv4 alone is
// bound to one address and needs none of it.
func answerFromSameAddress(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, 1)
	})
}
