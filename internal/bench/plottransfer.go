package bench

import (
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// WritePlots writes what each shape reaches of its limit, and how a crowd came on, if there was
// one, to dir, which it makes, each as PNG and as SVG. It returns the names of
// the files.
func (r *TransferReport) WritePlots(dir string) (files []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	drawings := map[string]func() (*plot.Plot, error){"transfer": r.sharePlot}
	if len(r.of(FlashCrowd)) > 0 {
		drawings["crowd"] = r.crowdPlot
	}
	for name, drawing := range drawings {
		p, err := drawing()
		if err != nil {
			return files, err
		}
		p.BackgroundColor = color.White
		p.Title.Padding, p.Legend.Padding = 3*vg.Millimeter, vg.Millimeter
		for _, format := range plotFormats {
			file := filepath.Join(dir, name+"."+format)
			if err := p.Save(plotWidth, plotHeight, file); err != nil {
				return files, err
			}
			files = append(files, file)
		}
	}
	return files, nil
}

// sharePlot draws a bar for each shape: what was reached of its limit.
func (r *TransferReport) sharePlot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "lonja: transfers, each piece checked"
	p.Y.Label.Text = "of a bare TLS connection, or of what is ideal"
	var shares plotter.Values
	var names []string
	for _, point := range r.Points {
		if share := point.OfBare + point.OfIdeal; share > 0 { // it has one of them
			shares, names = append(shares, share), append(names, point.Shape.String())
		}
	}
	p.Y.Min, p.Y.Max = 0, 1.1
	p.Add(plotter.NewGrid())
	if len(shares) == 0 { // the bare one alone
		return p, nil
	}
	bars, err := plotter.NewBarChart(shares, 15*vg.Millimeter)
	if err != nil {
		return nil, err
	}
	bars.Color, bars.LineStyle.Width = plotColours[0], 0
	p.Add(bars)
	p.NominalX(names...)
	p.Y.Max = max(p.Y.Max, 1.05*slices.Max(shares))
	return p, nil
}

// crowdPlot draws how much a crowd had of all that it wanted, over time, in each
// round, and what would be ideal.
func (r *TransferReport) crowdPlot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "lonja: " + r.words(FlashCrowd)
	p.X.Label.Text, p.Y.Label.Text = "seconds", "share of all that they want"
	p.Y.Min, p.Y.Max = 0, 1
	p.Legend.Left, p.Legend.Top = true, true
	p.Add(plotter.NewGrid())
	rounds := r.of(FlashCrowd)
	ideal := plotter.XYs{{}, {X: float64(rounds[0].Bytes) / float64(r.Rate), Y: 1}}
	for i, round := range rounds {
		points := plotter.XYs{{}}
		for _, at := range round.Progress {
			points = append(points, plotter.XY{X: time.Duration(at.After).Seconds(), Y: at.Share})
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = plotColours[0], vg.Points(1.5)
		p.Add(line)
		if i == 0 {
			p.Legend.Add("each round", line)
		}
	}
	line, err := plotter.NewLine(ideal)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = plotColours[1], vg.Points(1.5)
	p.Add(line)
	p.Legend.Add("ideal", line)
	return p, nil
}
