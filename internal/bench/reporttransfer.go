package bench

import (
	"slices"
	"time"
)

// A TransferResult is one measurement.
type TransferResult struct {
	Shape   TransferShape `json:"shape"`
	Round   int           `json:"round"`
	Bytes   int64         `json:"bytes"`          // that each downloader fetched
	Seconds Seconds       `json:"seconds"`        // until the last of them was done
	CPU     Seconds       `json:"cpu_seconds"`    // of all sides
	Others  float64       `json:"others"`         // share of the processors that went to other programs
	Done    []Seconds     `json:"done,omitempty"` // when each downloader was
	// Progress is how far the crowd was at which time.
	Progress []CrowdProgress `json:"progress,omitempty"`
}

// A CrowdProgress is the share, from 0 to 1, of all that a crowd wants that it had
// after a time.
type CrowdProgress struct {
	After Seconds `json:"seconds"`
	Share float64 `json:"share"`
}

// rate returns the bytes a second that came to each downloader, at least.
func (r *TransferResult) rate() float64 {
	return ratio(float64(r.Bytes), time.Duration(r.Seconds).Seconds())
}

// A TransferPoint is a shape: medians over the rounds.
type TransferPoint struct {
	Shape TransferShape `json:"shape"`
	Bytes int64         `json:"bytes"`
	Rate  float64       `json:"bytes_per_s"` // to the downloader that was last
	// Ideal is what Rate would be if nothing was lost; 0 where only the machine is
	// the limit.
	Ideal   float64 `json:"ideal_bytes_per_s,omitempty"`
	OfIdeal float64 `json:"of_ideal,omitempty"`
	OfBare  float64 `json:"of_bare,omitempty"` // of the bare transfer in the same round
	OfOne   float64 `json:"of_one,omitempty"`  // of one holder, in the same round
	CPU     Seconds `json:"cpu_seconds_per_gib"`
	Others  float64 `json:"others"`
}

// A TransferReport is what RunTransfer measured.
type TransferReport struct {
	Machine     Machine          `json:"machine"`
	Started     time.Time        `json:"started"`
	Rounds      int              `json:"rounds"`
	InMemory    bool             `json:"in_memory"` // the files were on a tmpfs
	Size        int64            `json:"size"`
	Holders     int              `json:"holders"`
	Downloaders int              `json:"downloaders"`
	Rate        int64            `json:"rate"`    // of a throttled node
	Points      []TransferPoint  `json:"points"`  // by shape
	Results     []TransferResult `json:"results"` // in the order of measurement
}

// of returns the results of a shape, by round.
func (r *TransferReport) of(s TransferShape) []TransferResult {
	of := slices.DeleteFunc(slices.Clone(r.Results), func(x TransferResult) bool { return x.Shape != s })
	slices.SortFunc(of, func(a, b TransferResult) int { return a.Round - b.Round })
	return of
}

// sum makes the points of the results.
func (r *TransferReport) sum(o *TransferOptions) {
	for _, s := range o.Shapes {
		of := r.of(s)
		p := TransferPoint{
			Shape: s, Bytes: o.size(s), Ideal: float64(o.ideal(s)),
			Rate:   medianOver(of, func(x TransferResult) float64 { return x.rate() }),
			CPU:    Seconds(medianOver(of, func(x TransferResult) float64 { return float64(x.CPU) / r.gibibytes(x) })),
			Others: medianOver(of, func(x TransferResult) float64 { return x.Others }),
		}
		p.OfIdeal = ratio(p.Rate, p.Ideal)
		if s == OneHolder || s == SeveralHolders {
			p.OfBare = r.paired(of, BareTransfer)
		}
		if s == SeveralHolders {
			p.OfOne = r.paired(of, OneHolder)
		}
		r.Points = append(r.Points, p)
	}
}

// gibibytes is how much all downloaders together have fetched.
func (r *TransferReport) gibibytes(x TransferResult) float64 {
	return float64(x.Bytes) * float64(max(1, len(x.Done))) / (1 << 30)
}

// paired returns the median of the ratios to another shape in the same round, or
// 0 if that was not measured.
func (r *TransferReport) paired(of []TransferResult, to TransferShape) float64 {
	others := r.of(to)
	if len(others) != len(of) {
		return 0
	}
	ratios := make([]float64, len(of))
	for i := range of {
		ratios[i] = ratio(of[i].rate(), others[i].rate())
	}
	return median(ratios)
}
