package oncrpc_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/oncrpc"
)

// unhex reads bytes written in groups, for layouts that the eye can check.
func unhex(t testing.TB, groups string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(groups), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	// A call of procedure 1 of the operation log with AUTH_NONE, up to its
	// arguments.
	logCallHeader = `0000002a 00000000 00000002 20000001 00000001 00000001 00000000 00000000 00000000 00000000`
	// The same with AUTH_SYS: stamp 1, machine "pc1", uid 1000, gid 100, one more gid.
	logCallSys = `0000002a 00000000 00000002 20000001 00000001 00000001
		00000001 0000001c 00000001 00000003 70633100 000003e8 00000064 00000001 00000064 00000000 00000000`
)

func TestAppendCall(t *testing.T) {
	got := oncrpc.AppendCall([]byte("x"), oncrpc.Call{
		XID: 42, Program: oncrpc.LoggerProgram, Version: oncrpc.LoggerVersion,
		Procedure: oncrpc.LogOperation, Args: []byte{0, 0, 0, 7},
	})
	want := append([]byte("x"), unhex(t, logCallHeader+"00000007")...)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestDecodeCall(t *testing.T) {
	want := oncrpc.Call{
		XID: 42, Program: oncrpc.LoggerProgram, Version: oncrpc.LoggerVersion,
		Procedure: oncrpc.LogOperation, Args: []byte{0, 0, 0, 7},
	}
	for name, message := range map[string]string{
		"AUTH_NONE":      logCallHeader + "00000007",
		"AUTH_SYS":       logCallSys + "00000007",
		"unknown flavor": logCallHeader[:54] + "0000beef 00000003 aabbcc00 0000cafe 00000001 dd000000 00000007",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := oncrpc.DecodeCall(unhex(t, message))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func TestDecodeCallDenied(t *testing.T) {
	long := "00000000 00000191" + strings.Repeat("00", 404) // one byte over the limit
	for name, c := range map[string]struct {
		message string
		want    oncrpc.Reply
	}{
		"RPC version 3": {
			"0000002a 00000000 00000003 20000001 00000001 00000001 00000000 00000000 00000000 00000000",
			oncrpc.Reply{XID: 42, Status: oncrpc.RPCMismatch, Low: 2, High: 2},
		},
		"credential too long": {
			logCallHeader[:54] + long + "00000000 00000000",
			oncrpc.Reply{XID: 42, Status: oncrpc.AuthError, Auth: oncrpc.AuthBadCredential},
		},
		"credential missing": {
			logCallHeader[:54],
			oncrpc.Reply{XID: 42, Status: oncrpc.AuthError, Auth: oncrpc.AuthBadCredential},
		},
		"verifier too long": {
			logCallHeader[:54] + "00000000 00000000" + long,
			oncrpc.Reply{XID: 42, Status: oncrpc.AuthError, Auth: oncrpc.AuthBadVerifier},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oncrpc.DecodeCall(unhex(t, c.message))
			denied, ok := errors.AsType[*oncrpc.StatusError](err)
			if !ok || !reflect.DeepEqual(denied.Reply, c.want) {
				t.Errorf("got %v, want %+v", err, c.want)
			}
		})
	}
}

func TestDecodeCallMalformed(t *testing.T) {
	for name, message := range map[string]string{
		"empty":             "",
		"short":             "0000002a 00000000",
		"a reply":           "0000002a 00000001 00000000 00000000 00000000 00000000",
		"no procedure":      "0000002a 00000000 00000002 20000001 00000001",
		"part of a version": "0000002a 00000000 0000",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oncrpc.DecodeCall(unhex(t, message))
			if !errors.Is(err, lonja.Malformed) {
				t.Errorf("got %v, want kind %v", err, lonja.Malformed)
			}
		})
	}
}

// replies are all forms of a reply, with their bytes.
var replies = map[string]struct {
	reply oncrpc.Reply
	bytes string
	text  string
}{
	"success": {
		oncrpc.Reply{XID: 7, Status: oncrpc.Success, Results: []byte{1, 2, 3, 4}},
		"00000007 00000001 00000000 00000000 00000000 00000000 01020304", "",
	},
	"program unavailable": {
		oncrpc.Reply{XID: 7, Status: oncrpc.ProgUnavailable},
		"00000007 00000001 00000000 00000000 00000000 00000001", "program unavailable",
	},
	"program mismatch": {
		oncrpc.Reply{XID: 7, Status: oncrpc.ProgMismatch, Low: 1, High: 3},
		"00000007 00000001 00000000 00000000 00000000 00000002 00000001 00000003",
		"program version not supported (it has 1 to 3)",
	},
	"procedure unavailable": {
		oncrpc.Reply{XID: 7, Status: oncrpc.ProcUnavailable},
		"00000007 00000001 00000000 00000000 00000000 00000003", "procedure unavailable",
	},
	"garbage arguments": {
		oncrpc.Reply{XID: 7, Status: oncrpc.GarbageArgs},
		"00000007 00000001 00000000 00000000 00000000 00000004", "arguments cannot be decoded",
	},
	"system error": {
		oncrpc.Reply{XID: 7, Status: oncrpc.SystemError},
		"00000007 00000001 00000000 00000000 00000000 00000005", "system error at the service",
	},
	"RPC mismatch": {
		oncrpc.Reply{XID: 7, Status: oncrpc.RPCMismatch, Low: 2, High: 2},
		"00000007 00000001 00000001 00000000 00000002 00000002",
		"RPC version not supported (it has 2 to 2)",
	},
	"auth error": {
		oncrpc.Reply{XID: 7, Status: oncrpc.AuthError, Auth: 5},
		"00000007 00000001 00000001 00000001 00000005", "authentication refused (auth_stat 5)",
	},
}

func TestReplies(t *testing.T) {
	for name, c := range replies {
		t.Run(name, func(t *testing.T) {
			want := unhex(t, c.bytes)
			if got := oncrpc.AppendReply(nil, c.reply); !bytes.Equal(got, want) {
				t.Errorf("AppendReply:\ngot  %x\nwant %x", got, want)
			}
			got, err := oncrpc.DecodeReply(want)
			if err != nil || !reflect.DeepEqual(got, c.reply) {
				t.Errorf("DecodeReply: got %+v, %v; want %+v", got, err, c.reply)
			}
			if err := got.Err(); (err == nil) != (c.text == "") || err != nil && err.Error() != c.text {
				t.Errorf("Err: got %v, want %q", err, c.text)
			}
		})
	}
}

// TestReplyVerifier: a service may put a verifier of its own into the reply.
func TestReplyVerifier(t *testing.T) {
	message := unhex(t, "00000007 00000001 00000000 00000002 00000003 aabbcc00 00000000 0000ffff")
	got, err := oncrpc.DecodeReply(message)
	want := oncrpc.Reply{XID: 7, Results: []byte{0, 0, 0xff, 0xff}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestDecodeReplyMalformed(t *testing.T) {
	for name, message := range map[string]string{
		"empty":               "",
		"a call":              logCallHeader,
		"cut in the status":   "00000007 00000001 00000000 00000000 00000000 0000",
		"unknown reply_stat":  "00000007 00000001 00000002",
		"unknown accept_stat": "00000007 00000001 00000000 00000000 00000000 00000006",
		"unknown reject_stat": "00000007 00000001 00000001 00000002 00000002 00000002",
		"cut in the versions": "00000007 00000001 00000000 00000000 00000000 00000002 00000001",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oncrpc.DecodeReply(unhex(t, message))
			if !errors.Is(err, lonja.Malformed) {
				t.Errorf("got %v, want kind %v", err, lonja.Malformed)
			}
		})
	}
}

// FuzzDecodeCall: what was decoded means the same when it is encoded again.
func FuzzDecodeCall(f *testing.F) {
	f.Add(unhex(f, logCallHeader))
	f.Add(unhex(f, logCallSys+"00000007"))
	f.Add(unhex(f, "0000002a 00000000 00000003"))
	f.Fuzz(func(t *testing.T, message []byte) {
		call, err := oncrpc.DecodeCall(message)
		if err != nil {
			return
		}
		again, err := oncrpc.DecodeCall(oncrpc.AppendCall(nil, call))
		if err != nil || !reflect.DeepEqual(again, call) {
			t.Errorf("got %+v, %v; want %+v", again, err, call)
		}
	})
}

// FuzzDecodeReply: as FuzzDecodeCall.
func FuzzDecodeReply(f *testing.F) {
	for _, c := range replies {
		f.Add(unhex(f, c.bytes))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		reply, err := oncrpc.DecodeReply(message)
		if err != nil {
			return
		}
		again, err := oncrpc.DecodeReply(oncrpc.AppendReply(nil, reply))
		if err != nil || !reflect.DeepEqual(again, reply) {
			t.Errorf("got %+v, %v; want %+v", again, err, reply)
		}
	})
}
