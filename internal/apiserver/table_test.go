package apiserver

import (
	"testing"

	"connectrpc.com/connect"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/frames"
)

func TestEveryKindHasACode(t *testing.T) {
	if got, want := len(connectCodes), len(lonja.Kinds()); got != want {
		t.Errorf("%d codes for %d kinds", got, want)
	}
	for _, kind := range lonja.Kinds() {
		code := connectCodes[kind]
		if code == 0 {
			t.Errorf("%v has no code", kind)
		}
		e, ok := connectError(lonja.E(kind, "test", nil)).(*connect.Error)
		if !ok || e.Code() != code || len(e.Details()) != 1 {
			t.Errorf("%v: got %v", kind, e)
		}
	}
}

func TestEveryMethodIsServed(t *testing.T) {
	for number := range api.Method_name {
		if number == int32(api.Method_METHOD_NONE) {
			continue
		}
		way := frameService{}.Way(uint16(number))
		if (way == frames.Unknown) || (way == frames.Streaming) != (number == int32(api.Method_METHOD_WATCH)) {
			t.Errorf("%v is served in the way %d", api.Method(number), way)
		}
	}
	for _, number := range []uint16{0, uint16(len(methods)), 65535} {
		if (frameService{}).Way(number) != frames.Unknown {
			t.Errorf("there is a method %d", number)
		}
	}
}
