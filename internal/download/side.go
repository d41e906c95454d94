package download

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"

	"lonja/internal/partial"
)

const (
	// sideLimit is how much of a slice is taken before its place in the file
	// is known. A slice that is larger has the size asked for; until the
	// answer comes, it goes on beside the file.
	sideLimit = 8 << 20

	// sideMost is how much longer than twice another slice one may become
	// while the size of the file is not known.
	sideMost = 1 << 30

	// sizePause is how long a slice waits for that answer.
	sizePause = 100 * time.Millisecond

	// memoryLimit is how much of a slice is kept in memory. Most files are
	// small, and to make a file for each slice takes longer than to fetch it
	// [0.7 ms on ext4].
	memoryLimit = 64 << 10
)

// A side keeps the bytes of a slice while their place in the file is not known:
// a few in memory, more in a file beside it. It belongs to one goroutine.
type side struct {
	target string // for errors
	memory bytes.Buffer
	disk   *os.File // nil while all bytes are in memory
}

// writer returns where the next bytes go, behind the have bytes that are there,
// and how many at most.
func (s *side) writer(beside *partial.File, have int64) (w io.Writer, limit int64, err error) {
	if have < memoryLimit {
		return &s.memory, memoryLimit - have, nil
	}
	if s.disk == nil {
		if s.disk, err = beside.Scratch(); err != nil {
			return nil, 0, err
		}
		if _, err := s.memory.WriteTo(s.disk); err != nil {
			return nil, 0, writeFailed(s.target, err)
		}
		s.memory = bytes.Buffer{}
	}
	return s.disk, stepSize, nil
}

// moveTo writes the first n bytes to dst. The side has no use afterwards.
func (s *side) moveTo(ctx context.Context, dst *os.File, n int64) error {
	if s.disk == nil {
		if _, err := dst.Write(s.memory.Next(int(n))); err != nil {
			return writeFailed(s.target, err)
		}
		return nil
	}
	if _, err := s.disk.Seek(0, io.SeekStart); err != nil {
		return writeFailed(s.target, err)
	}
	return copyFile(ctx, s.target, dst, s.disk, n)
}

func (s *side) close() {
	if s.disk != nil {
		_ = s.disk.Close()
	}
}
