package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lonja"
	"lonja/internal/store"
)

// appendAuthority appends the value of the record of the authority: the version,
// then its identity.
func appendAuthority(b []byte, id lonja.PeerID) []byte {
	return append(append(b, memberRecordVersion), id[:]...)
}

// parseAuthority is the way back; the zero identity for a record that is gone.
func parseAuthority(value []byte) (id lonja.PeerID, err error) {
	if value == nil {
		return id, nil
	}
	if version(value) != memberRecordVersion || len(value) != 1+len(id) {
		return id, errors.New("the authority in a form that this lonja does not know")
	}
	return lonja.PeerID(value[1:]), nil
}

// ShareAuthority sees to it that all nodes of a shared store sign with one
// authority. The first node's becomes that of the directory; one into which it was
// rotated takes its place. A node with another one gets an error of kind
// Untrusted that names both. On a store that is not shared it does nothing.
//
// Anew makes this node's the directory's, whatever it was: the records may have
// come from a copy of another directory's.
func (d *Directory) ShareAuthority(ctx context.Context, now lonja.PeerID, earlier []lonja.PeerID, anew bool) error {
	if !d.opts.Shared {
		return nil
	}
	if err := d.catchUp(ctx); err != nil {
		return err
	}
	return d.retry(ctx, func() error {
		d.mu.RLock()
		held := d.ledger.authority
		d.mu.RUnlock()
		switch {
		case held.id == now:
			return nil
		case held.id != (lonja.PeerID{}) && !anew && !slices.Contains(earlier, held.id):
			return lonja.E(lonja.Untrusted, "share authority", fmt.Errorf("that of the directory is %v, and this node's %v", held.id, now))
		}
		return d.write(ctx, store.Change{Key: authorityKey, Value: appendAuthority(nil, now), Expect: store.Rev(held.rev)})
	})
}
