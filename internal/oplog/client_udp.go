package oplog

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"lonja/internal/oncrpc"
)

const (
	// Over UDP a call is repeated after firstRepeat, then after twice that time
	// and so on, tries times in all.
	firstRepeat = 250 * time.Millisecond
	tries       = 4

	// term is how long the client stays with UDP before it looks for the service
	// again: where TCP is refused now it may be served later, and carries more.
	term = 30 * time.Second
)

// errUnheard is the end of an attempt over UDP.
var errUnheard = errors.New("operation log does not answer over UDP")

// overDatagrams sends over conn, one call after the other, and closes it. It is
// nil when the term is over, or all is sent after closing. See converse.
func (s *sender) overDatagrams(ctx context.Context, conn net.Conn) error {
	release := closeWith(ctx, conn)
	defer release()
	d := &datagram{sender: s, conn: conn, over: time.Now().Add(term), reply: make([]byte, maxReply)}
	for _, call := range s.window.pending() {
		if err := d.exchange(call); err != nil {
			return err
		}
	}
	for {
		call, ok := d.next()
		if !ok {
			return nil
		}
		if err := d.exchange(call); err != nil {
			return err
		}
	}
}

// A datagram is one UDP socket that speaks to the service.
type datagram struct {
	*sender
	conn net.Conn
	over time.Time // the end of the term

	args, message []byte // scratch
	reply         []byte // scratch
}

// next waits for an entry, and moves it to the window. It is false at the end
// of the term, and when nothing waits after closing.
func (d *datagram) next() (sentCall, bool) {
	over := time.NewTimer(time.Until(d.over))
	defer over.Stop()
	for time.Now().Before(d.over) {
		if d.queue.len() > 0 {
			entry := d.queue.take(nil, 1)[0]
			return sentCall{d.window.add(entry), entry}, true
		}
		if d.isClosing() {
			break
		}
		select {
		case <-d.queue.ready:
		case <-d.closing:
		case <-over.C:
		}
	}
	return sentCall{}, false
}

// exchange sends a call, again and again, until it is answered.
func (d *datagram) exchange(call sentCall) error {
	d.args, d.message = appendLogCall(d.args[:0], d.message[:0], call)
	wait := firstRepeat
	for range tries {
		if _, err := d.conn.Write(d.message); err != nil {
			return err
		}
		err := d.await(call.xid, time.Now().Add(wait))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		wait *= 2
	}
	return errUnheard
}

// await settles replies until the one to xid has come. What is no reply, or
// answers an earlier call, is passed over.
func (d *datagram) await(xid uint32, until time.Time) error {
	if err := d.conn.SetReadDeadline(until); err != nil {
		return err
	}
	for {
		n, err := d.conn.Read(d.reply)
		if err != nil {
			return err
		}
		reply, err := oncrpc.DecodeReply(d.reply[:n])
		if err != nil || reply.XID != xid {
			continue
		}
		return d.settle(reply)
	}
}
