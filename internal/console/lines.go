package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine bounds a line: no command comes near it.
const maxLine = 16 << 10

// ErrLineTooLong is returned for a line that was read past and not kept.
var ErrLineTooLong = fmt.Errorf("the line is too long: at most %d bytes", maxLine)

// A plainReader reads lines from a pipe or a file.
type plainReader struct {
	out   io.Writer
	lines chan plainLine
}

type plainLine struct {
	text string
	err  error
}

// NewPlainReader returns a LineReader of in that shows its prompts on out.
//
// Its goroutine ends with in, or when stop is called, but for a read of in
// that cannot be interrupted: then it ends when that read does.
func NewPlainReader(in io.Reader, out io.Writer) (r LineReader, stop func()) {
	p := &plainReader{out: out, lines: make(chan plainLine)}
	stopped := make(chan struct{})
	go func() {
		defer close(p.lines)
		buffered := bufio.NewReaderSize(in, maxLine)
		for {
			text, err := readLine(buffered)
			select {
			case p.lines <- plainLine{text, err}:
			case <-stopped:
				return
			}
			if err != nil && !errors.Is(err, ErrLineTooLong) {
				return
			}
		}
	}()
	return p, func() { close(stopped) }
}

// readLine returns the next line without its end. The last one may lack it.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = ErrLineTooLong
		}
		return "", err
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

// ReadLine implements LineReader.
func (p *plainReader) ReadLine(ctx context.Context, prompt string) (string, error) {
	if _, err := io.WriteString(p.out, prompt); err != nil {
		return "", err
	}
	select {
	case line, ok := <-p.lines:
		if !ok {
			return "", io.EOF
		}
		return line.text, line.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
