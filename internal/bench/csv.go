package bench

import (
	"encoding/csv"
	"io"
	"strconv"
	"time"
)

// A column of the CSV file is a name, with its unit, and how to get the value.
type column struct {
	name  string
	value func(*Result) string
}

// columns returns the columns of the CSV file. Further ones are only appended.
func columns() []column {
	ms := func(d time.Duration) string { return decimal(float64(d) / float64(time.Millisecond)) }
	us := func(d time.Duration) string { return decimal(microseconds(d)) }
	list := []column{
		{"services", func(r *Result) string { return r.Services.String() }},
		{"clients", func(r *Result) string { return strconv.Itoa(r.Clients) }},
		{"target", func(r *Result) string { return r.Target.String() }},
		{"round", func(r *Result) string { return strconv.Itoa(r.Round) }},
		{"part", func(r *Result) string { return r.part() }},
		{"operations_per_s", func(r *Result) string { return decimal(r.Throughput) }},
		{"p50_ms", func(r *Result) string { return ms(r.Latency.P50) }},
		{"p90_ms", func(r *Result) string { return ms(r.Latency.P90) }},
		{"p99_ms", func(r *Result) string { return ms(r.Latency.P99) }},
		{"max_ms", func(r *Result) string { return ms(r.Latency.Max) }},
		{"wait_p50_ms", func(r *Result) string { return ms(r.Wait.P50) }},
		{"wait_p99_ms", func(r *Result) string { return ms(r.Wait.P99) }},
		{"wait_max_ms", func(r *Result) string { return ms(r.Wait.Max) }},
		{"errors", func(r *Result) string { return strconv.Itoa(r.Failed()) }},
		{"undated", func(r *Result) string { return strconv.Itoa(r.Undated) }},
		{"server_cpu_us_per_operation", func(r *Result) string { return us(r.ServerCPU) }},
		{"logger_cpu_us_per_operation", func(r *Result) string { return us(r.LoggerCPU) }},
		{"datetime_cpu_us_per_operation", func(r *Result) string { return us(r.DatetimeCPU) }},
		{"clients_cpu_us_per_operation", func(r *Result) string { return us(r.ClientCPU) }},
		{"server_peak_mib", func(r *Result) string { return decimal(mebibytes(r.PeakMemory)) }},
		{"disturbance", func(r *Result) string { return decimal(r.Disturbance) }},
		{"answer_bytes", func(r *Result) string { return decimal(r.AnswerBytes) }},
	}
	for f := range failureCount {
		list = append(list, column{"error: " + f.String(), func(r *Result) string {
			return strconv.Itoa(r.Failures[f])
		}})
	}
	for _, op := range operations {
		for status := range statusCount(op) {
			list = append(list, column{op.String() + " " + strconv.Itoa(status), func(r *Result) string {
				return strconv.Itoa(r.Statuses[op][status])
			}})
		}
	}
	return list
}

// part says which part of the plan the trial belongs to.
func (t Trial) part() string {
	if t.Paired {
		return "logger"
	}
	return "sweep"
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }

// WriteCSV writes a header and a row for each measurement, in their order.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	list := columns()
	row := make([]string, len(list))
	for i, c := range list {
		row[i] = c.name
	}
	if err := out.Write(row); err != nil {
		return err
	}
	for _, result := range r.Results {
		for i, c := range list {
			row[i] = c.value(&result)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
