package telemetry

import (
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// barDelay keeps short transfers from flashing a bar.
const barDelay = time.Second

// NewTransferBar returns a function that shows the progress of one transfer of
// unknown size, as NewSizedBar does.
func NewTransferBar(w io.Writer) func(name string) (report func(int64), done func()) {
	return func(name string) (func(int64), func()) { return NewSizedBar(w, name, 0) }
}

// NewSizedBar shows the progress of one transfer on w, a terminal, from the first
// second on: bytes and speed and, if total is above zero, how much of total that
// is and the time that is left. report is told the bytes so far, from any
// goroutine; done takes the bar away.
func NewSizedBar(w io.Writer, name string, total int64) (report func(int64), done func()) {
	delay := make(chan struct{})
	timer := time.AfterFunc(barDelay, func() { close(delay) })
	progress := mpb.New(mpb.WithOutput(w), mpb.WithRenderDelay(delay))
	style, shown := mpb.BarFillerBuilder(mpb.SpinnerStyle()), []decor.Decorator{
		decor.CurrentKibiByte("% .1f "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f"),
	}
	if total > 0 {
		style, shown = mpb.BarStyle(), []decor.Decorator{
			decor.CountersKibiByte("% .1f / % .1f "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f "), decor.AverageETA(decor.ET_STYLE_GO),
		}
	}
	bar := progress.New(total, style, mpb.PrependDecorators(decor.Name(name+" ")), mpb.AppendDecorators(shown...), mpb.BarRemoveOnComplete())
	return bar.SetCurrent, func() {
		if timer.Stop() {
			close(delay)
		}
		bar.Abort(true)
		progress.Wait()
	}
}
