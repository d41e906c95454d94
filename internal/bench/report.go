package bench

import (
	"slices"
	"time"

	"lonja"
)

// A Report is what Run measured and on what.
type Report struct {
	Machine  Machine
	Started  time.Time
	Rounds   int
	Duration time.Duration // of each measurement
	Seed     uint64
	Results  []Result // in the order of measurement
}

// A Summary is the results of one target at one point: medians over the
// rounds, but for what must never happen, which is the worst of them.
type Summary struct {
	Rounds     int // 0: not measured
	Throughput float64
	Latency    Latency       // its maximum over all rounds
	WaitP99    time.Duration // with asking for the time
	Failed     int           // in all rounds
	Undated    int           // in all rounds
	ServerCPU  time.Duration // per operation
	PeakMemory int64         // over all rounds, bytes
}

// A Point is one place of the sweep.
type Point struct {
	Services Services
	Clients  int
	Limit    Summary
	Lonja    Summary
	// OfLimit is the median over the rounds of lonja's throughput divided by
	// the limit's right beside it.
	OfLimit float64
	// OfBest is lonja's throughput divided by its best with these services.
	OfBest float64
}

// A LoggerEffect compares a directory with and without an operation log.
type LoggerEffect struct {
	Logger     LoggerState
	Clients    int
	Throughput float64 // median
	OfNone     float64 // median over the rounds of the ratio to no logger
}

// Points returns the sweep in the order in which it was measured, without a
// point that was left half done.
func (r *Report) Points() []Point {
	var points []Point
	for _, result := range r.Results {
		at := func(p Point) bool { return p.Services == result.Services && p.Clients == result.Clients }
		if result.Paired || slices.ContainsFunc(points, at) {
			continue
		}
		points = append(points, r.point(result.Services, result.Clients))
	}
	points = slices.DeleteFunc(points, func(p Point) bool { return p.Limit.Rounds == 0 || p.Lonja.Rounds == 0 })
	best := make(map[Services]float64)
	for _, p := range points {
		best[p.Services] = max(best[p.Services], p.Lonja.Throughput)
	}
	for i, p := range points {
		points[i].OfBest = ratio(p.Lonja.Throughput, best[p.Services])
	}
	return points
}

func (r *Report) point(services Services, clients int) Point {
	all := func(t Target) []Result {
		return r.selected(func(x Trial) bool {
			return !x.Paired && x.Target == t && x.Services == services && x.Clients == clients
		})
	}
	limit, own := all(Limit), all(Lonja)
	return Point{
		Services: services, Clients: clients,
		Limit: summarise(limit), Lonja: summarise(own),
		OfLimit: pairedRatio(own, limit),
	}
}

// LoggerEffects returns the comparison of loggers, none if it was not made.
func (r *Report) LoggerEffects() []LoggerEffect {
	var effects []LoggerEffect
	with := func(state LoggerState) []Result {
		return r.selected(func(t Trial) bool { return t.Paired && t.Services.Logger == state })
	}
	none := with(NoLogger)
	for _, state := range []LoggerState{NoLogger, LoggerRunning, LoggerStopped} {
		results := with(state)
		if len(results) == 0 {
			continue
		}
		effects = append(effects, LoggerEffect{
			Logger: state, Clients: results[0].Clients,
			Throughput: summarise(results).Throughput,
			OfNone:     pairedRatio(results, none),
		})
	}
	return effects
}

// selected returns the results of the trials that fit.
func (r *Report) selected(fits func(Trial) bool) []Result {
	var chosen []Result
	for _, result := range r.Results {
		if fits(result.Trial) {
			chosen = append(chosen, result)
		}
	}
	return chosen
}

func summarise(results []Result) Summary {
	s := Summary{Rounds: len(results)}
	for _, r := range results {
		s.Latency.Max = max(s.Latency.Max, r.Latency.Max)
		s.PeakMemory = max(s.PeakMemory, r.PeakMemory)
		s.Failed += r.Failed()
		s.Undated += r.Undated
	}
	s.Throughput = medianOf(results, func(r Result) float64 { return r.Throughput })
	s.Latency.P50 = medianDuration(results, func(r Result) time.Duration { return r.Latency.P50 })
	s.Latency.P90 = medianDuration(results, func(r Result) time.Duration { return r.Latency.P90 })
	s.Latency.P99 = medianDuration(results, func(r Result) time.Duration { return r.Latency.P99 })
	s.WaitP99 = medianDuration(results, func(r Result) time.Duration { return r.Wait.P99 })
	s.ServerCPU = medianDuration(results, func(r Result) time.Duration { return r.ServerCPU })
	return s
}

func medianOf(results []Result, value func(Result) float64) float64 {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = value(r)
	}
	return median(values)
}

func medianDuration(results []Result, value func(Result) time.Duration) time.Duration {
	return time.Duration(medianOf(results, func(r Result) float64 { return float64(value(r)) }))
}

// pairedRatio returns the median over the rounds of a's throughput divided by
// b's in the same round. Whatever else the machine did then bore on both.
func pairedRatio(a, b []Result) float64 {
	var ratios []float64
	for _, x := range a {
		for _, y := range b {
			if x.Round == y.Round {
				ratios = append(ratios, ratio(x.Throughput, y.Throughput))
			}
		}
	}
	return median(ratios)
}

// ratio returns a/b, or 0 where there is no b.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// disturbance returns the median and the worst of all measurements.
func (r *Report) disturbance() (usual, worst float64) {
	for _, result := range r.Results {
		worst = max(worst, result.Disturbance)
	}
	return medianOf(r.Results, func(r Result) float64 { return r.Disturbance }), worst
}

// statuses adds up how often lonja answered each operation with each status.
func (r *Report) statuses() (sum [operationCount][maxStatus + 1]int) {
	for _, result := range r.Results {
		if result.Target != Lonja {
			continue
		}
		for op := range lonja.Operation(operationCount) {
			for status, n := range result.Statuses[op] {
				sum[op][status] += n
			}
		}
	}
	return sum
}

// failures adds up the failed operations of one target, and gives the first
// cause of each kind.
func (r *Report) failures(t Target) (sum [failureCount]int, causes [failureCount]error) {
	for _, result := range r.Results {
		if result.Target != t {
			continue
		}
		for f, n := range result.Failures {
			sum[f] += n
			if causes[f] == nil {
				causes[f] = result.Causes[f]
			}
		}
	}
	return sum, causes
}
