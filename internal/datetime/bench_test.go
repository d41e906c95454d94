package datetime

import (
	"bytes"
	"net/http"
	"testing"

	"lonja/internal/soap"
)

// BenchmarkQuestion is a question and its answer over kept TCP connections,
// client and service in one process.
func BenchmarkQuestion(b *testing.B) {
	service := start(b, "127.0.0.1:0", ServiceOptions{})
	c := client(b, service.url, patience)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := c.Now(b.Context()); len(got) != len(stamp) {
				b.Errorf("got %q", got)
				return
			}
		}
	})
}

// A sink is the least of an http.ResponseWriter.
type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(p []byte) (int, error) { return len(p), nil }
func (s sink) WriteHeader(int)             {}

// BenchmarkHandler is the service's own part of that, without net/http. The
// familiar question comes in the same bytes each time, the other one does not.
func BenchmarkHandler(b *testing.B) {
	for _, bm := range []struct {
		name   string
		bodies [][]byte
	}{
		{"familiar", [][]byte{ourQuestion()}},
		{"unfamiliar", [][]byte{ourQuestion(), soap.AppendRequest(nil, soap.Datetime().Request("x"))}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			s := NewService(ServiceOptions{})
			w := sink{make(http.Header)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				body := bytes.NewReader(bm.bodies[i%len(bm.bodies)])
				request, err := http.NewRequest(http.MethodPost, "/", body)
				if err != nil {
					b.Fatal(err)
				}
				request.Header.Set("Content-Type", contentType)
				s.ServeHTTP(w, request)
			}
		})
	}
}
