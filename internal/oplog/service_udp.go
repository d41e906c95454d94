package oplog

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"

	"lonja/internal/oncrpc"
)

const (
	// maxDatagram bounds a call over UDP, in bytes; what is longer is cut, and
	// then reads as GARBAGE_ARGS. rpcgen's clients send at most 8,800.
	maxDatagram = 8800

	// maxReturnPath holds one IP_PKTINFO or IPV6_PKTINFO control message.
	maxReturnPath = 128

	// rememberedCalls is how many calls over UDP are known again.
	rememberedCalls = 1024
)

// serveDatagrams answers one call after the other until ctx has ended and the
// read is interrupted, or the socket is closed. What is no call is ignored.
func (s *Service) serveDatagrams(ctx context.Context) error {
	answerFromSameAddress(s.datagrams)
	message, path := make([]byte, maxDatagram), make([]byte, maxReturnPath)
	var reply []byte
	printed := newRepeats(rememberedCalls)
	for {
		n, pathLen, _, from, err := s.datagrams.ReadMsgUDPAddrPort(message, path)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			s.log.Warn("operation log cannot receive a call", "err", err)
			pause(ctx, failurePause)
			continue
		}
		a, err := answerTo(message[:n])
		if err != nil {
			continue
		}
		if a.logs && !s.printOnce(printed, keyOf(from, message[:n]), a) {
			continue
		}
		reply = oncrpc.AppendReply(reply[:0], a.reply)
		s.sendDatagram(reply, path[:pathLen], from)
	}
}

// printOnce prints a's entry unless the call was printed before, and reports
// whether it is printed now. A client repeats a call over UDP when it has not
// heard the reply, though the call was performed; it then wants the reply, not
// another line in the log.
func (s *Service) printOnce(printed *repeats, key callKey, a answer) bool {
	if printed.has(key) {
		return true
	}
	var b batch
	b.add(key.anyPort(), a.entry)
	if s.out.print(&b) != nil {
		return false
	}
	printed.add(key)
	return true
}

// sendDatagram sends a reply from the address that the call was sent to. There
// is nobody to tell when it fails: the client repeats its call.
func (s *Service) sendDatagram(reply, path []byte, to netip.AddrPort) {
	if _, _, err := s.datagrams.WriteMsgUDPAddrPort(reply, path, to); err != nil && len(path) > 0 {
		// The call may have been sent to a group, which is no address to send from.
		_, _, _ = s.datagrams.WriteMsgUDPAddrPort(reply, nil, to)
	}
}
