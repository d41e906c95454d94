package download

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/partial"
)

// FetchFile gets a whole file from a peer by GET_FILE and puts it at target,
// for which partial.Create says what may stand there. It returns the file's
// size.
//
// Both ways of sending a file are understood: content alone, and its size
// before it. They differ only if what comes first is a number that is exactly
// the number of bytes behind it; then the file is those bytes.
//
// The error is of kind NoSuchFile or Refused if the peer says no, Unavailable
// if it cannot be reached or the connection breaks, LocalFile if the target
// cannot be written, and Canceled if ctx ended.
func FetchFile(ctx context.Context, holder lonja.Holder, target string, opts Options) (size int64, err error) {
	opts = opts.withDefaults()
	file, err := opts.create(target)
	if err != nil {
		return 0, err
	}
	defer file.Abort()
	dst, err := file.Handle(0)
	if err != nil {
		return 0, err
	}
	defer dst.Close()
	s, err := request(ctx, holder.At, classic.PeerRequest{Name: holder.Name}, opts)
	if err != nil {
		return 0, wholeFailed(holder, target, err)
	}
	defer s.close()
	w, err := receiveWhole(s, dst, opts.Progress)
	if err != nil {
		return 0, wholeFailed(holder, target, err)
	}
	if err := dst.Close(); err != nil {
		return 0, writeFailed(target, err)
	}
	if len(w.prefix) > 0 && w.announced != w.size {
		return w.rewrite(ctx, file, target, opts)
	}
	return w.size, file.Commit()
}

// wholeFailed completes an error of a stream with what it happened to.
func wholeFailed(holder lonja.Holder, target string, err error) error {
	cause := errors.Unwrap(err)
	if errors.Is(err, lonja.LocalFile) {
		return writeFailed(target, cause)
	}
	return &lonja.Error{Kind: lonja.KindOf(err), Op: "fetch from " + holder.At.String(), File: holder.Name, Err: cause}
}

// A whole is what came for a GET_FILE.
type whole struct {
	prefix    []byte // what looks like a size, or nothing
	announced int64  // the number in prefix
	size      int64  // how many bytes came behind prefix
}

// receiveWhole receives a file up to the end of the connection. Whether it
// begins with its size is known only then; until then it is taken to, because
// a file that begins like that by itself is rare.
func receiveWhole(s *stream, dst *os.File, progress func(int64)) (w whole, err error) {
	head, err := readHead(s)
	if err != nil {
		return w, err
	}
	announced, length, ok := classic.SplitSize(head)
	if ok {
		w.prefix, w.announced = head[:length], announced
	}
	if _, err := dst.Write(head[len(w.prefix):]); err != nil {
		return w, s.failed(err)
	}
	w.size = int64(len(head) - len(w.prefix))
	for err == nil {
		progress(w.size)
		var n int64
		n, err = s.receive(dst, stepSize)
		w.size += n
	}
	if err != io.EOF {
		return w, err
	}
	progress(w.size)
	return w, nil
}

// readHead reads as much as it takes to see whether the content begins with a
// size: as long as there are only digits, and no more than a size can have.
func readHead(s *stream) ([]byte, error) {
	head := make([]byte, 0, classic.MaxSizePrefix)
	for len(head) < cap(head) && len(bytes.Trim(head, "0123456789")) == 0 {
		n, err := s.read(head[len(head):cap(head)])
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		head = head[:len(head)+n]
	}
	return head, nil
}

// rewrite puts the file at target with what was taken for its size in front.
func (w whole) rewrite(ctx context.Context, behind *partial.File, target string, opts Options) (int64, error) {
	file, err := opts.create(target)
	if err != nil {
		return 0, err
	}
	defer file.Abort()
	src, err := behind.Handle(0)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	dst, err := file.Handle(0)
	if err != nil {
		return 0, err
	}
	defer dst.Close()
	if _, err := dst.Write(w.prefix); err != nil {
		return 0, writeFailed(target, err)
	}
	if err := copyFile(ctx, target, dst, src, w.size); err != nil {
		return 0, err
	}
	if err := dst.Close(); err != nil {
		return 0, writeFailed(target, err)
	}
	return int64(len(w.prefix)) + w.size, file.Commit()
}
