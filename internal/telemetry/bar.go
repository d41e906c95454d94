package telemetry

import (
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// barDelay keeps short transfers from flashing a bar.
const barDelay = time.Second

// NewTransferBar returns a function that shows the progress of one transfer
// of unknown size on w, a terminal: bytes and speed, from the first second on.
// report is told the bytes so far, from any goroutine; done takes the bar away.
func NewTransferBar(w io.Writer) func(name string) (report func(int64), done func()) {
	return func(name string) (func(int64), func()) {
		delay := make(chan struct{})
		timer := time.AfterFunc(barDelay, func() { close(delay) })
		progress := mpb.New(mpb.WithOutput(w), mpb.WithRenderDelay(delay))
		bar := progress.New(0, mpb.SpinnerStyle(),
			mpb.PrependDecorators(decor.Name(name+" ")),
			mpb.AppendDecorators(
				decor.CurrentKibiByte("% .1f "),
				decor.AverageSpeed(decor.SizeB1024(0), "% .1f"),
			),
			mpb.BarRemoveOnComplete())
		done := func() {
			if timer.Stop() {
				close(delay)
			}
			bar.Abort(true)
			progress.Wait()
		}
		return bar.SetCurrent, done
	}
}
