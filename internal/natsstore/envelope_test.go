package natsstore

import (
	"bytes"
	"errors"
	"testing"

	"lonja"
	"lonja/internal/store"
)

func FuzzUnseal(f *testing.F) {
	const key = store.Key("k/1")
	whole := record{kind: created, nonce: nonce{1, 2, 3}, replaces: 300, value: []byte("value")}.seal(key)
	for _, seed := range [][]byte{
		nil, whole, whole[:len(whole)-1], whole[:5], store.Seal(nil, key, nil), store.Seal(nil, key, []byte("x")),
		store.Seal(nil, key, append(bytes.Repeat([]byte{deleted}, 17), 0x80)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		r, err := unseal(key, sealed)
		if err != nil {
			if !errors.Is(err, lonja.Damaged) {
				t.Errorf("got error %v, want kind %v", err, lonja.Damaged)
			}
			return
		}
		again, err := unseal(key, r.seal(key))
		if err != nil || again.kind != r.kind || again.nonce != r.nonce || again.replaces != r.replaces || !bytes.Equal(again.value, r.value) {
			t.Errorf("got %v, %v; want %v", again, err, r)
		}
	})
}

func TestUnseal(t *testing.T) {
	for _, value := range [][]byte{{}, []byte("value")} {
		want := record{kind: changed, nonce: nonce{1}, replaces: 1 << 40, value: value}
		got, err := unseal("k", want.seal("k"))
		if err != nil || got.kind != want.kind || got.nonce != want.nonce || got.replaces != want.replaces || string(got.value) != string(value) || got.value == nil {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
		if _, err := unseal("other", want.seal("k")); !errors.Is(err, lonja.Damaged) {
			t.Errorf("another's record: got error %v, want kind %v", err, lonja.Damaged)
		}
	}
}
