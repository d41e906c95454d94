package upload

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// A connFrom is a connection that seems to come from ip.
type connFrom struct {
	net.Conn
	ip netip.Addr
}

func (c connFrom) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.ip, 4000))
}

func (l *pipeListener) dialFrom(ip string) net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- connFrom{theirs, netip.MustParseAddr(ip)}
	return ours
}

const wholeFile = "GET_FILE\x00/file\x00"

// One machine cannot make a peer unreachable for others: beyond a few, its
// connections wait for each other, and beyond some more they are reset.
func TestOneAddressDoesNotTakeAll(t *testing.T) {
	opts := Options{Files: published(t, []byte("content")), MaxConns: 30, MaxPerAddress: 2, RequestTimeout: time.Hour, LingerTimeout: time.Second}
	simulate(t, opts, func(t *testing.T, l *pipeListener) {
		var hog []net.Conn
		for i := range opts.MaxPerAddress * (1 + waitingShare) {
			// Of the same network, which is as good as the same machine.
			hog = append(hog, l.dialFrom(fmt.Sprintf("2001:db8::%d", 1+i)))
			synctest.Wait() // so that the first ones are first
		}
		if _, err := l.dialFrom("2001:db8::ffff").Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one connection too many: %v, want it closed", err)
		}
		for _, ip := range []string{"10.0.0.1", "2001:db8:0:1::1"} {
			begun := time.Now()
			conn := l.dialFrom(ip)
			say(t, conn, wholeFile)
			readAll(t, conn, "\x00content")
			if waited := time.Since(begun); waited > opts.LingerTimeout {
				t.Errorf("%s waited for %v", ip, waited)
			}
		}
		_ = hog[0].Close() // so that it is the turn of another
		answered := make(chan error)
		for _, conn := range hog[opts.MaxPerAddress:] {
			go func() {
				_, err := io.WriteString(conn, wholeFile)
				answered <- err
			}()
		}
		if err := <-answered; err != nil {
			t.Errorf("the next in turn: %v", err)
		}
		for _, conn := range hog {
			_ = conn.Close()
		}
		for range len(hog) - opts.MaxPerAddress - 1 {
			<-answered
		}
	})
}

// Whose turn does not come is told so.
func TestTurnDoesNotCome(t *testing.T) {
	opts := Options{
		Files: published(t, nil), MaxPerAddress: 1, RequestTimeout: time.Hour,
		StallTimeout: 30 * time.Second, LingerTimeout: time.Second,
	}
	simulate(t, opts, func(t *testing.T, l *pipeListener) {
		first := l.dial()
		synctest.Wait()
		second := l.dial()
		begun := time.Now()
		readAll(t, second, "\x02")
		if waited := time.Since(begun); waited != 31*time.Second {
			t.Errorf("it ended after %v, want 30s for its turn and 1s for a client that does not close", waited)
		}
		_ = first.Close()
	})
}

func TestTurnsAreForgotten(t *testing.T) {
	turns, ip := newTurns(1), netip.MustParseAddr("10.0.0.1")
	for range 3 {
		turns.leave(ip, turns.enter(ip))
	}
	if len(turns.byIP) != 0 {
		t.Errorf("%v is left", turns.byIP)
	}
}

// While there is no place for others, a receiver that hardly receives gives up
// its own; while there is, it may keep it.
func TestTooSlowWhileOthersWait(t *testing.T) {
	opts := Options{Files: published(t, make([]byte, 1_000_000)), MaxConns: 3, StallTimeout: 30 * time.Second, LeastRate: 1000}
	simulate(t, opts, func(t *testing.T, l *pipeListener) {
		slow, good := trickle(t, l.dial(), 100), trickle(t, l.dial(), 2000)
		<-time.After(5 * time.Minute) // simulated
		synctest.Wait()
		select {
		case <-slow:
			t.Fatal("the slow one was cut off without need")
		default:
		}
		third := l.dial() // which takes the last place
		begun := time.Now()
		fourth := l.dial()
		if waited := time.Since(begun); waited > opts.StallTimeout {
			t.Errorf("the fourth waited for %v", waited)
		}
		if n := <-slow; n >= 1_000_000 {
			t.Errorf("the slow one got %d bytes", n)
		}
		_ = third.Close()
		_ = fourth.Close()
		if n := <-good; n != 1+1_000_000 {
			t.Errorf("the good one got %d bytes", n)
		}
	})
}

// trickle asks for the file and takes about rate bytes a second of it. It tells
// how many came in the end.
func trickle(t *testing.T, conn net.Conn, rate int64) <-chan int64 {
	t.Helper()
	say(t, conn, wholeFile)
	got := make(chan int64, 1)
	go func() {
		var sum int64
		for {
			n, err := io.CopyN(io.Discard, conn, 5*rate)
			if sum += n; err != nil {
				got <- sum
				return
			}
			<-time.After(5 * time.Second) // simulated
		}
	}()
	return got
}
