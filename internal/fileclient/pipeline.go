package fileclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"lonja"
	"lonja/internal/fileapi"
)

// A Pipeline asks one peer for many small contents over one connection, for each
// before the ones asked for earlier have come (RFC 9112 section 9.3.2): so that a
// distant peer does not cost a round trip for each. It is for one goroutine. Errors
// are those of a Client; after one it is only good to be closed.
type Pipeline struct {
	ctx     context.Context
	conn    net.Conn
	in      *bufio.Reader
	bounded io.LimitedReader
	out     *bufio.Writer
	stop    func() bool
}

// pipelineBuffer is how much is read ahead, in bytes: what was asked for is on its
// way all the time.
const pipelineBuffer = 64 << 10

// DialPipeline connects. What the Pipeline does ends with ctx. The caller closes it.
func DialPipeline(ctx context.Context, opts Options) (*Pipeline, error) {
	conn, err := opts.Dial(ctx)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{ctx: ctx, conn: &impatientConn{conn, opts.StallTimeout}}
	p.bounded.R = p.conn
	p.in, p.out = bufio.NewReaderSize(&p.bounded, pipelineBuffer), bufio.NewWriterSize(p.conn, 8<<10)
	p.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return p, nil
}

// Close closes the connection.
func (p *Pipeline) Close() {
	p.stop()
	_ = p.conn.Close()
}

// Ask asks for one more content. It may go out only with Send. Who asks for many
// without reading what comes may wait for ever.
func (p *Pipeline) Ask(id lonja.FileID) error {
	_, err := fmt.Fprintf(p.out, "GET %s HTTP/1.1\r\nHost: peer\r\n\r\n", fileapi.Path(id))
	return p.broken(err)
}

// Send sends what was asked.
func (p *Pipeline) Send() error { return p.broken(p.out.Flush()) }

// Next reads the content that was asked for first of those that have not come yet.
// It must be as long as content is: otherwise the error is of kind Untrusted.
func (p *Pipeline) Next(content []byte) error {
	// No answer is longer than it may be, whoever sends it.
	p.bounded.N = int64(len(content)) + maxHeader + pipelineBuffer
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return p.broken(err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	if err := check(resp, int64(len(content)), 0, int64(len(content))); err != nil {
		return err
	}
	if _, err := io.ReadFull(resp.Body, content); err != nil {
		return p.broken(fmt.Errorf("in a file: %w", err))
	}
	if resp.Close {
		return lonja.E(lonja.Unavailable, "", errors.New("it takes no more requests on this connection"))
	}
	return p.broken(resp.Body.Close())
}

func (p *Pipeline) broken(err error) error {
	if err == nil {
		return nil
	}
	return Broken(p.ctx, err)
}
