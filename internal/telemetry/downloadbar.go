package telemetry

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A DownloadBar shows the progress of one download on a terminal.
type DownloadBar struct {
	bar      *mpb.Bar
	progress *mpb.Progress
	appear   func()
	once     sync.Once
	total    atomic.Int64
}

// NewDownloadBar shows the progress of a download of so many bytes on w, a terminal,
// from the first second on: the bytes, and what more says, which is called now and
// then from another goroutine until Done returns.
func NewDownloadBar(w io.Writer, name string, total int64, more func() string) *DownloadBar {
	delay := make(chan struct{})
	b := &DownloadBar{appear: sync.OnceFunc(func() { close(delay) })}
	b.total.Store(max(1, total))
	timer := time.AfterFunc(barDelay, b.appear)
	b.progress = mpb.New(mpb.WithOutput(w), mpb.WithRenderDelay(delay))
	b.bar = b.progress.New(max(1, total), mpb.BarStyle(),
		mpb.PrependDecorators(decor.Name(name+" ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f "), decor.Any(func(decor.Statistics) string { return more() })),
		mpb.BarRemoveOnComplete())
	appear := b.appear
	b.appear = func() {
		timer.Stop()
		appear()
	}
	return b
}

// Report is told the bytes that are here and those that there will be, from any
// goroutine.
func (b *DownloadBar) Report(received, total int64) {
	if total = max(1, total); b.total.Swap(total) != total {
		b.bar.SetTotal(total, false)
	}
	b.bar.SetCurrent(received)
}

// Done takes the bar away. It may be called again.
func (b *DownloadBar) Done() {
	b.once.Do(func() {
		b.appear()
		b.bar.Abort(true)
		b.progress.Wait()
	})
}
