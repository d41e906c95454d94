package apiserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/directory/directorytest"
)

// BenchmarkHolders is what a read costs the server beside its carrier.
func BenchmarkHolders(b *testing.B) {
	dir := directorytest.New(b)
	ctx := context.Background()
	for i := range 10 {
		user := lonja.UserName(fmt.Sprintf("user%d", i))
		if err := dir.Register(ctx, user); err != nil {
			b.Fatal(err)
		}
		if err := dir.Connect(ctx, user, lonja.EndpointFrom(netip.MustParseAddr("127.0.0.1"), 4445)); err != nil {
			b.Fatal(err)
		}
		if err := dir.Publish(ctx, user, lonja.Listing{Name: "/music/a_song.mp3"}); err != nil {
			b.Fatal(err)
		}
	}
	s := frameService{New(Options{Directory: dir, TLS: &tls.Config{}})}
	body, err := (&api.HoldersRequest{User: "user0", Name: "a_song.mp3"}).MarshalVT()
	if err != nil {
		b.Fatal(err)
	}
	ctx = withCaller(ctx, &caller{})
	out := make([]byte, 0, 4096)
	for b.Loop() {
		if _, err := s.Answer(ctx, uint16(api.Method_METHOD_HOLDERS), body, out); err != nil {
			b.Fatal(err)
		}
	}
}
