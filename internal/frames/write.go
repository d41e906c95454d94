package frames

import (
	"errors"
	"net"
	"sync"
	"time"
)

const (
	writeStep   = 64 << 10 // of which each must be taken within the timeout
	maxUnsent   = 256 << 10
	keptBuffer  = 64 << 10 // larger ones are not used again
	firstBuffer = 4 << 10
)

var bufferPool = sync.Pool{New: func() any { b := make([]byte, 0, firstBuffer); return &b }}

func takeBuffer() []byte { return (*bufferPool.Get().(*[]byte))[:0] }

func returnBuffer(b []byte) {
	if cap(b) >= firstBuffer && cap(b) <= keptBuffer {
		b = b[:0]
		bufferPool.Put(&b)
	}
}

// A writer writes frames to a connection: what is added while a write goes on
// is written together by the next one. It has no goroutine, and no memory, while
// there is nothing to write. Who does not take writeStep bytes within the timeout
// loses the connection.
type writer struct {
	conn    net.Conn
	timeout time.Duration
	bounded bool // who adds waits while maxUnsent bytes are unsent

	flushes sync.WaitGroup // the goroutines that write

	mu      sync.Mutex
	room    sync.Cond
	unsent  []byte
	writing bool
	closed  bool
	err     error  // nothing can be written any more
	added   uint64 // bytes in all
	handed  uint64 // of them given to the connection
}

func newWriter(conn net.Conn, timeout time.Duration, bounded bool) *writer {
	w := &writer{conn: conn, timeout: timeout, bounded: bounded}
	w.room.L = &w.mu
	return w
}

// add has b written by another goroutine, soon. The error is that of an earlier
// write. At is where b begins among all that was ever added.
func (w *writer) add(b []byte) (at uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(b); err != nil {
		return 0, err
	}
	at = w.added - uint64(len(b))
	if !w.writing {
		w.writing = true
		w.flushes.Go(w.flush)
	}
	return at, nil
}

// write is add, but the calling goroutine writes if no other does.
func (w *writer) write(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(b); err != nil {
		return err
	}
	if w.writing {
		return nil
	}
	w.writing = true
	w.writeUnsent()
	return w.err
}

// enter waits for room and takes b in. It is called with mu held.
func (w *writer) enter(b []byte) error {
	for w.bounded && len(w.unsent) > maxUnsent && w.err == nil {
		w.room.Wait()
	}
	if w.err != nil {
		return w.err
	}
	if w.closed {
		return net.ErrClosed
	}
	if w.unsent == nil {
		w.unsent = takeBuffer()
	}
	w.unsent = append(w.unsent, b...)
	w.added += uint64(len(b))
	return nil
}

func (w *writer) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeUnsent()
}

// writeUnsent writes until nothing is left. It is called with mu held and
// writing set; it holds no lock while it writes.
func (w *writer) writeUnsent() {
	for len(w.unsent) > 0 && w.err == nil {
		out := w.unsent
		w.unsent = nil
		w.handed += uint64(len(out))
		w.mu.Unlock()
		err := w.writeAll(out)
		returnBuffer(out)
		w.mu.Lock()
		if err != nil {
			w.fail(err)
		}
		w.room.Broadcast()
	}
	w.writing = false
	w.room.Broadcast()
}

// errSlow is why a connection was dropped.
var errSlow = errors.New("the other side does not take what it is sent")

func (w *writer) writeAll(b []byte) error {
	for len(b) > 0 {
		step := b[:min(writeStep, len(b))]
		if w.timeout > 0 {
			_ = w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
		}
		if _, err := w.conn.Write(step); err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				return errors.Join(errSlow, err)
			}
			return err
		}
		b = b[len(step):]
	}
	return nil
}

// fail lets nothing more be written, and who waits go. It is called with mu held.
func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
		cut(w.conn) // so that reading ends too
	}
	w.unsent = nil
	w.room.Broadcast()
}

// end has what was added written, and takes nothing more. It waits for no
// longer than writing may take.
func (w *writer) end() error {
	w.mu.Lock()
	w.closed = true
	for w.writing && w.err == nil {
		w.room.Wait()
	}
	err := w.err
	w.mu.Unlock()
	w.flushes.Wait()
	return err
}

// abort lets nothing more be written and waits until nothing is.
func (w *writer) abort(err error) {
	w.mu.Lock()
	w.fail(err)
	w.mu.Unlock()
	w.flushes.Wait()
}

// wasHanded reports whether any byte from at on may have left.
func (w *writer) wasHanded(at uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handed > at
}

// cut closes a connection at once. TLS would say goodbye first, and wait for who
// does not read.
func cut(conn net.Conn) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	_ = conn.Close()
}
