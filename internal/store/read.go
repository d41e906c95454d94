package store

import "context"

// Read tells what s holds, as Feed does, up to a barrier: at the end everything
// has been told that was acknowledged before the call. Changes that happen
// meanwhile may be told too.
func Read(ctx context.Context, s Store, tell func(Event) error) error {
	return readUntilBarrier(ctx, s, tell)
}
