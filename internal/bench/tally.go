package bench

import (
	"errors"
	"slices"
	"time"

	"lonja"
)

// A Failure is a way in which an operation ends without a right answer.
type Failure uint8

// The failures.
const (
	FailedDial     Failure = iota // no connection
	FailedExchange                // the connection broke
	FailedTimeout                 // too slow, in any phase
	FailedSilence                 // closed without a status
	FailedAnswer                  // a status that is wrong after what came before
	failureCount
)

var failureNames = [failureCount]string{
	FailedDial:     "no connection",
	FailedExchange: "connection broken",
	FailedTimeout:  "time-out",
	FailedSilence:  "no answer",
	FailedAnswer:   "wrong answer",
}

// String returns the failure in words.
func (f Failure) String() string { return failureNames[f] }

// A Tally is what clients saw during one measurement.
type Tally struct {
	// Done counts the operations whose right answer came within the
	// measurement.
	Done int
	// Latencies are those of the operations that began within the
	// measurement and were answered: from before the connection is made to
	// the end of the answer. Waits have the same operations, but from before
	// the date-time service is asked. Both are unsorted.
	Latencies, Waits []time.Duration
	// Statuses counts the same operations by operation and status.
	Statuses [operationCount][maxStatus + 1]int
	// Failures counts the operations that failed, also while warming up.
	Failures [failureCount]int
	// Causes has the first error of each kind of failure, if there was one.
	Causes [failureCount]error
	// Undated counts the operations begun within the measurement whose client
	// had to do without the time.
	Undated int
	// AnswerBytes is the length of all answers to the operations in Latencies.
	AnswerBytes int64
}

// operationCount is above the largest lonja.Operation, also of those that are
// not in the mix: reports have a line for each.
const operationCount = lonja.OpSearch + 1

// fail counts an operation that ended with err.
func (t *Tally) fail(err error) {
	kind := FailedExchange
	if f, ok := errors.AsType[*failure](err); ok {
		kind, err = f.as, f.cause
	}
	t.Failures[kind]++
	if t.Causes[kind] == nil {
		t.Causes[kind] = err
	}
}

// add counts an operation with a right answer.
func (t *Tally) add(op lonja.Operation, a answer, latency, wait time.Duration) {
	t.Latencies = append(t.Latencies, latency)
	t.Waits = append(t.Waits, wait)
	t.Statuses[op][a.status&maxStatus]++
	t.AnswerBytes += int64(a.size)
}

// merge adds what other clients saw.
func (t *Tally) merge(other *Tally) {
	t.Done += other.Done
	t.Latencies = append(t.Latencies, other.Latencies...)
	t.Waits = append(t.Waits, other.Waits...)
	for op := range t.Statuses {
		for status, n := range other.Statuses[op] {
			t.Statuses[op][status] += n
		}
	}
	for f, n := range other.Failures {
		t.Failures[f] += n
		if t.Causes[f] == nil {
			t.Causes[f] = other.Causes[f]
		}
	}
	t.Undated += other.Undated
	t.AnswerBytes += other.AnswerBytes
}

// quantile returns the smallest value that at least the fraction q of all
// values do not exceed: the nearest-rank definition, no interpolation. sorted
// is ascending; the quantile of nothing is the zero value.
func quantile[T any](sorted []T, q float64) T {
	var none T
	if len(sorted) == 0 {
		return none
	}
	rank := int(q * float64(len(sorted)))
	if float64(rank) < q*float64(len(sorted)) {
		rank++
	}
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median returns the middle value, or the mean of the two in the middle. It
// reorders values. The median of nothing is 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}
