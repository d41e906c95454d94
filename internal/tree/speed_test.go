package tree

import (
	"testing"
	"time"

	"github.com/zeebo/blake3"
)

// BenchmarkHash compares hashing pieces, 64 KiB at a time, with the bare hash of
// the same bytes, one core each, in turns. What it reports are the speeds of the
// best rounds, which other work on the machine disturbed least, and their ratio.
func BenchmarkHash(b *testing.B) {
	const part = 64 << 10
	content := pattern(PieceSize)
	bare, pieces := blake3.New(), new(Hasher)
	write := func(w interface{ Write(p []byte) (int, error) }) {
		for i := 0; i < len(content); i += part {
			_, _ = w.Write(content[i : i+part])
		}
	}
	best := [2]time.Duration{time.Hour, time.Hour}
	for b.Loop() {
		begun := time.Now()
		bare.Reset()
		write(bare)
		_ = bare.Sum(nil)
		best[0] = min(best[0], time.Since(begun))

		begun = time.Now()
		pieces.Reset(1)
		write(pieces)
		_ = pieces.Sum()
		best[1] = min(best[1], time.Since(begun))
	}
	speed := func(d time.Duration) float64 { return PieceSize / 1e6 / d.Seconds() }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(speed(best[0]), "bare-MB/s")
	b.ReportMetric(speed(best[1]), "pieces-MB/s")
	b.ReportMetric(speed(best[1])/speed(best[0]), "pieces/bare")
}
