package oplog

import (
	"bytes"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/oncrpc"
)

// FuzzAnswer: whatever a stranger sends, the answer is to that call, and what
// is printed is one line without anything that a terminal could obey.
func FuzzAnswer(f *testing.F) {
	f.Add(logCall(7, entry(1)))
	f.Add(logCall(7, lonja.OperationRecord{User: "a\nb", Operation: "\x1b[2J"}))
	f.Add(oncrpc.AppendCall(nil, oncrpc.Call{XID: 7, Program: 1}))
	f.Add([]byte("\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x03"))
	f.Fuzz(func(t *testing.T, message []byte) {
		a, err := answerTo(message)
		if err != nil {
			return
		}
		reply, err := oncrpc.DecodeReply(oncrpc.AppendReply(nil, a.reply))
		if err != nil || !bytes.Equal(message[:4], oncrpc.AppendReply(nil, reply)[:4]) {
			t.Errorf("reply %+v, %v", reply, err)
		}
		if a.logs && reply.Status != oncrpc.Success {
			t.Errorf("it is printed, and answered with %v", reply.Status)
		}
		text, ok := strings.CutSuffix(string(appendLine(nil, a.entry)), "\n")
		if !ok || lonja.Printable(text) != text {
			t.Errorf("line %q", text)
		}
	})
}

// FuzzParseTarget: what was parsed means the same when it is written again.
func FuzzParseTarget(f *testing.F) {
	for _, text := range []string{"", "host", "host:1", "::1", "[::1]", "[::1]:1", "[", "a:b:c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		where, err := parseTarget(text)
		if err != nil {
			return
		}
		if again, err := parseTarget(where.String()); err != nil || again != where {
			t.Errorf("%q: got %+v, %v; want %+v", text, again, err, where)
		}
	})
}
