package fileclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileapi"
)

// A Pipeline asks one peer for many small contents over one connection, for each
// before the ones asked for earlier have come (RFC 9112 section 9.3.2): so that a
// distant peer does not cost a round trip for each. It is for one goroutine. Errors
// are those of a Client; after one it is only good to be closed, unless GoesOn says
// otherwise.
type Pipeline struct {
	ctx     context.Context
	conn    net.Conn
	in      *bufio.Reader
	bounded io.LimitedReader
	out     *bufio.Writer
	stop    func() bool
	goesOn  bool // the last error was of one answer only
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
// It must be as long as content is: otherwise the error is of kind Conflict.
func (p *Pipeline) Next(content []byte) error {
	resp, err := p.answer(int64(len(content)))
	if err != nil {
		return err
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

// answer reads the beginning of an answer that has so many bytes. What is no success
// is an error.
func (p *Pipeline) answer(length int64) (*http.Response, error) {
	p.goesOn = false
	// No answer is longer than it may be, whoever sends it.
	p.bounded.N = length + maxHeader + maxRefusal + pipelineBuffer
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return nil, p.broken(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	_, err = io.CopyN(io.Discard, resp.Body, maxRefusal)
	p.goesOn = errors.Is(err, io.EOF) && !resp.Close && fileapi.Kind(resp.StatusCode) == lonja.NoSuchFile
	return nil, refusal(resp)
}

// GoesOn reports whether all that the last error says is that the peer does not have
// that one content.
func (p *Pipeline) GoesOn() bool { return p.goesOn }

// Entries asks which entries the peer has of the folder with that id, whose list has
// so many: nil is all. Nothing else may be asked for and not have come.
func (p *Pipeline) Entries(id lonja.FileID, entries int64) (*roaring.Bitmap, error) {
	resp, err := p.question(fileapi.Entries.Path(id), "")
	if err != nil {
		return nil, err
	}
	b, err := p.body(resp)
	if err != nil {
		return nil, err
	}
	return fileapi.ParseHave(b, entries)
}

// Turn waits in the peer's queue as a Client's does, which asks about the content with
// that id. Nothing else may be asked for and not have come.
func (p *Pipeline) Turn(id lonja.FileID, patience time.Duration) (place int, err error) {
	resp, err := p.question(fileapi.Have.Path(id), fileapi.FormatWait(int(patience/time.Second)))
	if err != nil {
		return 0, err
	}
	if _, err := p.body(resp); err != nil {
		return 0, err
	}
	place, _ = fileapi.ParsePlace(resp.Header.Get(fileapi.PlaceHeader))
	return place, nil
}

// question asks for what is no content; wait, if not empty, is how long to wait for
// one's turn.
func (p *Pipeline) question(path, wait string) (*http.Response, error) {
	header := ""
	if wait != "" {
		header = fileapi.WaitHeader + ": " + wait + "\r\n"
	}
	if _, err := fmt.Fprintf(p.out, "GET %s HTTP/1.1\r\nHost: peer\r\n%s\r\n", path, header); err != nil {
		return nil, p.broken(err)
	}
	if err := p.Send(); err != nil {
		return nil, err
	}
	return p.answer(fileapi.MaxHave)
}

// body reads an answer of at most fileapi.MaxHave bytes to its end.
func (p *Pipeline) body(resp *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, fileapi.MaxHave+1))
	switch {
	case err != nil:
		return nil, p.broken(fmt.Errorf("in the answer: %w", err))
	case len(b) > fileapi.MaxHave:
		return nil, lonja.E(lonja.Malformed, "", errors.New("it has more pieces than there can be"))
	}
	return b, nil
}

func (p *Pipeline) broken(err error) error {
	if err == nil {
		return nil
	}
	return Broken(p.ctx, err)
}
