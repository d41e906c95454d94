package bench

import (
	"io"
	"net"
	"testing"

	"lonja"
	"lonja/internal/classic"
)

// TestLimitReadsWholeRequests sends each operation's fields one by one: no
// answer may come before the last, and after it the one byte and the end.
func TestLimitReadsWholeRequests(t *testing.T) {
	address := serving(t, ServeLimit)
	for _, op := range operations {
		t.Run(op.String(), func(t *testing.T) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			request := classic.AppendRequest(nil, classic.Request{
				Op: op, Timestamp: lonja.NoTimestamp, User: "ana", Port: 2000,
				Name: "/a/b", Description: "d e", Owner: "luis",
			})
			for _, b := range request {
				if _, err := conn.Write([]byte{b}); err != nil {
					t.Fatalf("closed before the end of the request: %v", err)
				}
			}
			answer, err := io.ReadAll(conn)
			if err != nil || len(answer) != 1 || answer[0] != classic.StatusOK {
				t.Errorf("answer %v, error %v, want one 0 and the end", answer, err)
			}
		})
	}
}

func TestFieldsAfterAgreeWithTheProtocol(t *testing.T) {
	for _, op := range operations {
		request := classic.AppendRequest(nil, classic.Request{Op: op, Port: 2000})
		fields := 0
		for _, b := range request {
			if b == 0 {
				fields++
			}
		}
		if got := fieldsAfter([]byte(op.String())) + 1; got != fields {
			t.Errorf("%s: %d strings are read, the request has %d", op, got, fields)
		}
	}
}

func TestLimitSurvivesClientsThatGo(t *testing.T) {
	address := serving(t, ServeLimit)
	for _, sent := range []string{"", "REG", "REGISTER\x00", "REGISTER\x00\x00"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// serving fails the test if ServeLimit does not end.
}
