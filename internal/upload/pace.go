package upload

import (
	"context"
	"net"
	"net/netip"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/pacing"
)

// A pace is that of one transfer. A nil turn is as fast as it goes.
type pace struct{ turn *pacing.Turn }

// pace returns the pace of what is sent over a connection.
func (s *Server) pace(conn net.Conn) pace {
	if s.opts.Pacer == nil {
		return pace{}
	}
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	near := ok && s.opts.Near(tcp.AddrPort().Addr().Unmap().WithZone(""))
	turn, _ := s.opts.Pacer.Begin(payer(remoteIP(conn)), fairshare.Terms{Unlimited: near, NoSlot: true})
	return pace{turn}
}

// payer is what an address is called among users, none of whom has such a name.
func payer(ip netip.Addr) lonja.UserName { return lonja.UserName("\x00" + ip.String()) }

// next returns how much of so many bytes may be sent, when it may be.
func (p pace) next(ctx context.Context, most int64) (int64, error) {
	if p.turn == nil {
		return most, nil
	}
	n, err := p.turn.Next(ctx, int(most))
	return int64(n), err
}

// sent says that what next has allowed is sent.
func (p pace) sent() {
	if p.turn != nil {
		p.turn.Sent()
	}
}

func (p pace) end() {
	if p.turn != nil {
		p.turn.End()
	}
}
