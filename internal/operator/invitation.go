package operator

import (
	"context"

	"lonja"
)

// Bounds of an invitation.
const (
	MaxUses = 1_000_000
	MaxNote = 255 // bytes
)

// An Invitation lets people register at a directory that does not take
// everybody. Its secret is known only to whom it was given.
type Invitation struct {
	ID    string `json:"id"` // tells it from others; not its secret
	Uses  int    `json:"uses"`
	Used  int    `json:"used"`
	Until int64  `json:"until,omitempty"` // when it ends, in seconds since 1970; 0: never
	Made  int64  `json:"made"`
	Note  Text   `json:"note,omitempty"` // for the operator
}

// Invitations are what an operator may ask about invitations.
type Invitations interface {
	// CreateInvitation makes an invitation that so many may register with, until
	// then, in seconds since 1970, or for ever if that is 0. It returns its secret,
	// which is kept nowhere. Invalid for 0 uses, or more than MaxUses, for an end
	// that has passed, or a note longer than MaxNote.
	CreateInvitation(ctx context.Context, uses int, until int64, note string) (lonja.Invitation, error)
	// Invitations returns all of them, the oldest first, those that are used up
	// or over too.
	Invitations(ctx context.Context) ([]Invitation, error)
	// RevokeInvitation forgets the one with that ID. Who has registered with it
	// stays. Invalid if there is none.
	RevokeInvitation(ctx context.Context, id string) error
}
