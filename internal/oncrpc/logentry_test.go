package oncrpc_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/oncrpc"
)

func TestLogEntry(t *testing.T) {
	record := lonja.OperationRecord{User: "añ", Operation: "LIST_USERS", Timestamp: "x"}
	want := unhex(t, `00000003 61c3b100  0000000a 4c495354 5f555345 52530000  00000000  00000001 78000000`)
	got := oncrpc.AppendLogEntry(nil, record)
	if !bytes.Equal(got, want) {
		t.Errorf("AppendLogEntry:\ngot  %x\nwant %x", got, want)
	}
	for name, tail := range map[string]string{"alone": "", "with more behind": "tail"} {
		decoded, err := oncrpc.DecodeLogEntry(append(bytes.Clone(want), tail...))
		if err != nil || decoded != record {
			t.Errorf("DecodeLogEntry %s: got %+v, %v; want %+v", name, decoded, err, record)
		}
	}
}

// largest is an entry with each field at its limit.
func largest() lonja.OperationRecord {
	return lonja.OperationRecord{
		User: strings.Repeat("u", 255), Operation: strings.Repeat("o", 64),
		File: strings.Repeat("f", 255), Timestamp: strings.Repeat("t", 64),
	}
}

func TestLogEntryLimits(t *testing.T) {
	full := largest()
	got, err := oncrpc.DecodeLogEntry(oncrpc.AppendLogEntry(nil, full))
	if err != nil || got != full || !oncrpc.FitsLogEntry(full) {
		t.Errorf("at the limits: got %+v, %v", got, err)
	}
	for name, lengthen := range map[string]func(*lonja.OperationRecord){
		"username":  func(r *lonja.OperationRecord) { r.User += "x" },
		"operation": func(r *lonja.OperationRecord) { r.Operation += "x" },
		"filename":  func(r *lonja.OperationRecord) { r.File += "x" },
		"timestamp": func(r *lonja.OperationRecord) { r.Timestamp += "x" },
	} {
		t.Run(name, func(t *testing.T) {
			over := largest()
			lengthen(&over)
			if oncrpc.FitsLogEntry(over) {
				t.Error("FitsLogEntry is true")
			}
			if _, err := oncrpc.DecodeLogEntry(oncrpc.AppendLogEntry(nil, over)); !errors.Is(err, lonja.Malformed) {
				t.Errorf("got %v, want kind %v", err, lonja.Malformed)
			}
		})
	}
}

func TestDecodeLogEntryCut(t *testing.T) {
	whole := oncrpc.AppendLogEntry(nil, lonja.OperationRecord{User: "ana", Operation: "CONNECT", Timestamp: "x"})
	for n := range whole {
		if _, err := oncrpc.DecodeLogEntry(whole[:n]); !errors.Is(err, lonja.Malformed) {
			t.Errorf("first %d bytes: got %v, want kind %v", n, err, lonja.Malformed)
		}
	}
}

// FuzzDecodeLogEntry: as FuzzDecodeCall.
func FuzzDecodeLogEntry(f *testing.F) {
	f.Add(oncrpc.AppendLogEntry(nil, lonja.OperationRecord{User: "añ", Operation: "CONNECT", Timestamp: "x"}))
	f.Add(oncrpc.AppendLogEntry(nil, largest()))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, args []byte) {
		record, err := oncrpc.DecodeLogEntry(args)
		if err != nil {
			return
		}
		if !oncrpc.FitsLogEntry(record) {
			t.Errorf("decoded an entry over the limits: %+v", record)
		}
		again, err := oncrpc.DecodeLogEntry(oncrpc.AppendLogEntry(nil, record))
		if err != nil || again != record {
			t.Errorf("got %+v, %v; want %+v", again, err, record)
		}
	})
}
