package bench

import (
	"bufio"
	"context"
	"net"
	"sync"

	"lonja"
	"lonja/internal/classic"
)

// ListenLimit opens the listener of a limit server, with nothing on it that
// costs time.
func ListenLimit(ctx context.Context, address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1}
	return config.Listen(ctx, "tcp", address)
}

// ServeLimit answers each request on ln with status 0 and does nothing else:
// no rules, no deadlines, no bounds, no lines printed. What it reaches is the
// limit of a directory that has a goroutine and a connection for each
// operation. It returns nil when ctx has ended and the last client is served.
func ServeLimit(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	var serving sync.WaitGroup
	defer serving.Wait()
	readers := sync.Pool{New: func() any { return bufio.NewReaderSize(nil, classic.ReadBufferSize) }}
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		serving.Go(func() {
			in := readers.Get().(*bufio.Reader)
			in.Reset(conn)
			answerOne(conn, in)
			in.Reset(nil)
			readers.Put(in)
		})
	}
}

var statusOK = []byte{classic.StatusOK}

// answerOne reads the strings of one request, answers and closes.
func answerOne(conn net.Conn, in *bufio.Reader) {
	defer conn.Close()
	name, err := in.ReadSlice(0)
	if err != nil {
		return
	}
	for range fieldsAfter(name[:len(name)-1]) {
		if _, err := in.ReadSlice(0); err != nil {
			return
		}
	}
	_, _ = conn.Write(statusOK) // a client that has gone is no matter
}

// fieldsAfter returns how many strings follow the operation's name.
func fieldsAfter(name []byte) int {
	const timestampAndUser = 2
	switch lonja.ParseOperation(string(name)) {
	case lonja.OpConnect, lonja.OpDelete, lonja.OpListContent, lonja.OpHolders:
		return timestampAndUser + 1
	case lonja.OpPublish:
		return timestampAndUser + 2
	}
	return timestampAndUser
}
