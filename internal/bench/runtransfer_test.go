package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lonja/internal/fairshare"
)

// TestRunTransferMeasuresEveryShape with small files, of which nothing is left.
func TestRunTransferMeasuresEveryShape(t *testing.T) {
	var told []int
	o := TransferOptions{
		Dir: t.TempDir(), Shapes: TransferShapes(), Size: 3<<20 + 1, Holders: 3, Downloaders: 3, Rate: 8_000_000,
		Throttled: 200 * time.Millisecond, Rounds: 2, Seed: 1,
		Progress: func(done, total int) { told = append(told, done, total) },
	}
	r, err := RunTransfer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	all := o.Rounds * len(o.Shapes)
	if len(r.Results) != all || len(told) != 2*(all+1) || told[2*all] != all {
		t.Errorf("%d results, told %v", len(r.Results), told)
	}
	for _, x := range r.Results {
		downloaders := map[TransferShape]int{BareTransfer: 0, FlashCrowd: o.Downloaders}
		want, known := downloaders[x.Shape]
		if !known {
			want = 1
		}
		if x.Bytes != o.size(x.Shape) || x.Seconds <= 0 || x.CPU <= 0 || len(x.Done) != want || (len(x.Progress) > 0) != (x.Shape == FlashCrowd) {
			t.Errorf("implausible result: %+v", x)
		}
		if x.Shape == FlashCrowd && x.Progress[len(x.Progress)-1].Share != 1 {
			t.Errorf("the crowd ended at %v", x.Progress[len(x.Progress)-1])
		}
	}
	checkTransferPoints(t, r, &o)
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"bare TLS", "3 holders at 8 MB/s each", "times the ideal time"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
	checkTransferPlots(t, r)
}

// checkTransferPoints also sees that throttled nodes are: more than their rates comes
// from holders only as a burst of each, a tenth of a second's worth and a quantum.
func checkTransferPoints(t *testing.T, r *TransferReport, o *TransferOptions) {
	t.Helper()
	for i, p := range r.Points {
		if p.Shape != o.Shapes[i] || p.Rate <= 0 || p.CPU <= 0 || (p.Ideal > 0) != (p.OfIdeal > 0) {
			t.Errorf("implausible: %+v", p)
		}
		if (p.OfBare > 0) != (p.Shape == OneHolder || p.Shape == SeveralHolders) || (p.OfOne > 0) != (p.Shape == SeveralHolders) {
			t.Errorf("compared with the wrong ones: %+v", p)
		}
		bursts := float64(o.holders(p.Shape)) * (float64(o.Rate)/10 + fairshare.MostQuantum)
		if most := 1 + bursts/float64(p.Bytes); p.OfIdeal > most {
			t.Errorf("%v came at %.2f of the limit, want at most %.2f", p.Shape, p.OfIdeal, most)
		}
	}
}

func checkTransferPlots(t *testing.T, r *TransferReport) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plots")
	files, err := r.WritePlots(dir)
	if err != nil || len(files) != 4 || !slices.Contains(files, filepath.Join(dir, "crowd.svg")) {
		t.Errorf("wrote %v, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() < 1<<10 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}

func TestTransferShapesHaveNames(t *testing.T) {
	for _, s := range TransferShapes() {
		if got, err := ParseTransferShape(s.String()); err != nil || got != s {
			t.Errorf("%v: got %v, %v", s, got, err)
		}
	}
	if _, err := ParseTransferShape("fast"); err == nil || !strings.Contains(err.Error(), "crowd") {
		t.Errorf("got %v, which does not say which there are", err)
	}
}
