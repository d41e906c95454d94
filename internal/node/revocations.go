package node

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"lonja"
	"lonja/internal/authority"
)

// certificateLife bounds how long a certificate lasts: what was revoked before
// that has run out by itself.
const certificateLife = authority.MaxLifetime

// mostRevoked bounds what is remembered of revocations of either sort.
const mostRevoked = 1 << 16

// revocations are the keys that the directory has taken back, and the accounts that
// have ended, while certificates of theirs may last; by user and key: another user may
// have the same key. Anybody with many accounts can have many of them revoked, so when
// there are too many it matters which are forgotten: first those whose certificates
// have run out, then the oldest of users that matter to nobody here, and of those that
// do only what is left over. The two sorts do not displace each other: to begin and
// end accounts is cheap.
type revocations struct {
	matter func() map[lonja.UserName]bool // asked when there are too many

	mu    sync.Mutex            // guards what follows
	keys  map[lonja.Member]note // that were taken back, for good
	ended map[lonja.Member]note // the last account that has ended
}

// A note is one revocation.
type note struct {
	heard   time.Time
	account uint64 // its number, or 0
}

func newRevocations(matter func() map[lonja.UserName]bool) *revocations {
	return &revocations{matter: matter, keys: make(map[lonja.Member]note), ended: make(map[lonja.Member]note)}
}

// has reports whether what was issued to somebody for that account is good no more.
func (r *revocations) has(who lonja.Member, account uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, revoked := r.keys[who]
	last, ended := r.ended[who]
	return revoked || ended && account <= last.account
}

// add remembers a key that was taken back, or, if account is not 0, that the account
// of that number has ended.
func (r *revocations) add(who lonja.Member, account uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	notes := r.keys
	if account != 0 {
		notes = r.ended
	}
	before, has := notes[who]
	if has && account <= before.account {
		return
	}
	now := time.Now()
	if !has && len(notes) >= mostRevoked {
		r.makeRoom(notes, now)
	}
	notes[who] = note{now, account}
}

// makeRoom forgets what has run out, or, if nothing has, so many that it need not be
// done again for a while. The caller holds mu.
func (r *revocations) makeRoom(notes map[lonja.Member]note, now time.Time) {
	for who, n := range notes {
		if now.Sub(n.heard) > certificateLife {
			delete(notes, who)
		}
	}
	if len(notes) < mostRevoked {
		return
	}
	over := len(notes) - mostRevoked*7/8
	matter := r.matter()
	all := make([]lonja.Member, 0, len(notes))
	for who := range notes {
		all = append(all, who)
	}
	rank := func(who lonja.Member) int {
		if matter[who.User] {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b lonja.Member) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), notes[a].heard.Compare(notes[b].heard))
	})
	for _, who := range all[:over] {
		delete(notes, who)
	}
}

// concerns are the users whose keys matter here: those who may have what not everybody
// may, and those whose keys are known.
func (m *membership) concerns() map[lonja.UserName]bool {
	all := make(map[lonja.UserName]bool)
	for l := range m.files.Offered() {
		for _, user := range l.Proof.Audience {
			all[user] = true
		}
	}
	pinned, err := m.Pins.Users()
	if err != nil {
		m.opts.Log.Warn("it cannot be read whose keys are known", slog.Any("error", err))
	}
	for _, user := range pinned {
		all[user] = true
	}
	return all
}
