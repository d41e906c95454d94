package bench

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The size of a plot.
const (
	plotWidth  = 18 * vg.Centimeter
	plotHeight = 11 * vg.Centimeter
)

// plotFormats are the endings of the files that each plot is written to.
var plotFormats = []string{"png", "svg"}

// The colours of the lines, which also the colour-blind tell apart (Okabe and
// Ito, 2008).
var plotColours = []color.Color{
	color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, // blue
	color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}, // vermilion
	color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}, // green
}

// A curve is one line of a plot. A value of 0 or less was not measured.
type curve struct {
	name  string
	value func(Point) float64
}

// WritePlots writes, for each configuration of services, throughput over
// clients and latency over clients to dir, which it makes, each as PNG and as
// SVG. It returns the names of the files.
func (r *Report) WritePlots(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var files []string
	points := r.Points()
	for _, services := range servicesOf(points) {
		own := slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.Services != services })
		for _, k := range plotKinds {
			p, err := k.draw(services, own)
			if err != nil {
				return files, fmt.Errorf("plot of %s: %w", k.name, err)
			}
			for _, format := range plotFormats {
				file := filepath.Join(dir, fmt.Sprintf("%s-%s.%s", k.name, services, format))
				if err := p.Save(plotWidth, plotHeight, file); err != nil {
					return files, err
				}
				files = append(files, file)
			}
		}
	}
	return files, nil
}

// plotKinds are what is drawn for each configuration of services.
var plotKinds = []struct {
	name string
	draw func(Services, []Point) (*plot.Plot, error)
}{
	{"throughput", throughputPlot},
	{"latency", latencyPlot},
}

// servicesOf returns the configurations of the points, in their order.
func servicesOf(points []Point) []Services {
	var list []Services
	for i, p := range points {
		if i == 0 || p.Services != points[i-1].Services {
			list = append(list, p.Services)
		}
	}
	return list
}

func throughputPlot(services Services, points []Point) (*plot.Plot, error) {
	p := newPlot(services, "throughput", points)
	p.Y.Label.Text = "operations per second"
	_, most, err := addCurves(p, points, []curve{
		{"lonja", func(p Point) float64 { return p.Lonja.Throughput }},
		{"limit (bare server)", func(p Point) float64 { return p.Limit.Throughput }},
	})
	p.Y.Min, p.Y.Max = 0, most*1.05
	p.Legend.XOffs, p.Legend.YOffs = -5*vg.Millimeter, 3*vg.Millimeter
	return p, err
}

func latencyPlot(services Services, points []Point) (*plot.Plot, error) {
	p := newPlot(services, "latency", points)
	p.Y.Label.Text = "latency in ms"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs = 5*vg.Millimeter, -3*vg.Millimeter
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	least, most, err := addCurves(p, points, []curve{
		{"p50", func(p Point) float64 { return ms(p.Lonja.Latency.P50) }},
		{"p90", func(p Point) float64 { return ms(p.Lonja.Latency.P90) }},
		{"p99", func(p Point) float64 { return ms(p.Lonja.Latency.P99) }},
	})
	// Whole decades, which the ticks are made for.
	p.Y.Min = math.Pow10(int(math.Floor(math.Log10(least))))
	p.Y.Max = max(math.Pow10(int(math.Ceil(math.Log10(most)))), 10*p.Y.Min)
	return p, err
}

func newPlot(services Services, what string, points []Point) *plot.Plot {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("lonja directory: %s, services: %s", what, services)
	p.X.Label.Text = "clients at once"
	p.X.Scale = plot.LogScale{}
	ticks := make([]plot.Tick, len(points))
	for i, point := range points {
		ticks[i] = plot.Tick{Value: float64(point.Clients), Label: strconv.Itoa(point.Clients)}
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.BackgroundColor = color.White
	p.Title.Padding = 3 * vg.Millimeter
	p.Legend.Padding = vg.Millimeter
	p.Add(plotter.NewGrid())
	p.X.Min = float64(points[0].Clients) / 1.2
	p.X.Max = float64(points[len(points)-1].Clients) * 1.2
	return p
}

// addCurves draws each curve through its points. It returns the least and the
// largest value, 1 and 1 if there are none.
func addCurves(p *plot.Plot, points []Point, curves []curve) (least, most float64, err error) {
	var drawn []float64
	for i, c := range curves {
		var xys plotter.XYs
		for _, point := range points {
			if y := c.value(point); y > 0 {
				xys = append(xys, plotter.XY{X: float64(point.Clients), Y: y})
				drawn = append(drawn, y)
			}
		}
		if len(xys) == 0 {
			continue
		}
		line, marks, err := plotter.NewLinePoints(xys)
		if err != nil {
			return 0, 0, err
		}
		line.Color, marks.Color = plotColours[i], plotColours[i]
		line.Width = vg.Points(1.5)
		marks.Shape = draw.CircleGlyph{}
		p.Add(line, marks)
		p.Legend.Add(c.name, line, marks)
	}
	if len(drawn) == 0 {
		return 1, 1, nil
	}
	return slices.Min(drawn), slices.Max(drawn), nil
}
