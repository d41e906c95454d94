package directory

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lonja"
	"lonja/internal/operator"
	"lonja/internal/store"
)

// invited returns the change that uses an invitation up by one, if registering
// takes any.
func (d *Directory) invited(user lonja.UserName, secret lonja.Invitation) ([]store.Change, error) {
	refuse := func(why string) ([]store.Change, error) {
		return nil, memberFailure(lonja.Forbidden, opRegister, user, errors.New(why))
	}
	switch d.opts.Registration {
	case RegisterAll:
		return nil, nil
	case RegisterNobody:
		return refuse("this directory takes nobody")
	}
	hash := hashInvitation(secret)
	d.mu.RLock()
	i, there := d.ledger.invitations[hash]
	d.mu.RUnlock()
	switch {
	case secret == "":
		return refuse("this directory takes only who is invited")
	case !there:
		return refuse("this directory does not know the invitation")
	case i.Used >= i.Uses:
		return refuse("the invitation is used up")
	case i.Until != 0 && time.Now().Unix() > i.Until:
		return refuse("the invitation is over")
	}
	i.Used++
	return []store.Change{{Key: invitationKey(hash), Value: appendInvitation(nil, i.Invitation), Expect: store.Rev(i.rev)}}, nil
}

const opInvite = "invite"

// CreateInvitation implements operator.Invitations.
func (d *Directory) CreateInvitation(ctx context.Context, uses int, until int64, note string) (lonja.Invitation, error) {
	var err error
	now := time.Now().Unix()
	switch {
	case uses < 1 || uses > operator.MaxUses:
		err = fmt.Errorf("an invitation for %d uses, not 1 to %d", uses, operator.MaxUses)
	case until != 0 && until <= now:
		err = errors.New("the invitation would be over already")
	case len(note) > operator.MaxNote:
		err = fmt.Errorf("the note has %d bytes, at most %d", len(note), operator.MaxNote)
	}
	if err != nil {
		return "", lonja.E(lonja.Invalid, opInvite, err)
	}
	secret := lonja.Invitation(rand.Text())
	i := operator.Invitation{Uses: uses, Until: until, Made: now, Note: operator.Text(note)}
	return secret, d.write(ctx, store.Change{Key: invitationKey(hashInvitation(secret)), Value: appendInvitation(nil, i)})
}

// Invitations implements operator.Invitations.
func (d *Directory) Invitations(context.Context) ([]operator.Invitation, error) {
	d.mu.RLock()
	all := make([]operator.Invitation, 0, len(d.ledger.invitations))
	for _, i := range d.ledger.invitations {
		all = append(all, i.Invitation)
	}
	d.mu.RUnlock()
	slices.SortFunc(all, func(a, b operator.Invitation) int {
		return cmp.Or(cmp.Compare(a.Made, b.Made), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// RevokeInvitation implements operator.Invitations.
func (d *Directory) RevokeInvitation(ctx context.Context, id string) error {
	var hash invitationHash
	if err := parseHex(hash[:], id); err != nil {
		return lonja.E(lonja.Invalid, "revoke invitation", errors.New("an invitation's id has 64 hexadecimal digits"))
	}
	return d.retry(ctx, func() error {
		d.mu.RLock()
		i, there := d.ledger.invitations[hash]
		d.mu.RUnlock()
		if !there {
			return lonja.E(lonja.Invalid, "revoke invitation", errors.New("there is none with this id"))
		}
		return d.write(ctx, store.Change{Key: invitationKey(hash), Expect: store.Rev(i.rev)})
	})
}
