package directory

import "lonja/internal/presence"

// PresenceStats returns figures of the leases of this moment, and of the nodes
// that hold them.
func (d *Directory) PresenceStats() presence.Stats {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.leases.Stats()
}
