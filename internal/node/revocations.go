package node

import "lonja"

// mostRevoked bounds what is remembered of revocations of either sort.
const mostRevoked = 1 << 16

// Revocations are by user and key: another user may have the same key.
type revocations struct {
	keys  map[lonja.Member]bool   // that were taken back, for good
	ended map[lonja.Member]uint64 // the number of the last account that has ended
}

// add remembers a key that was taken back, or, if account is not 0, that the
// account of that number has ended. The two do not displace each other: to begin
// and end accounts is cheap.
func (r *revocations) add(who lonja.Member, account uint64) {
	if account == 0 {
		if r.keys == nil || len(r.keys) >= mostRevoked {
			r.keys = make(map[lonja.Member]bool)
		}
		r.keys[who] = true
		return
	}
	if r.ended == nil || len(r.ended) >= mostRevoked {
		r.ended = make(map[lonja.Member]uint64)
	}
	r.ended[who] = max(r.ended[who], account)
}

// has reports whether what was issued to somebody for that account is good no more.
func (r *revocations) has(who lonja.Member, account uint64) bool {
	last, ended := r.ended[who]
	return r.keys[who] || ended && account <= last
}
