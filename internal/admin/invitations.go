package admin

import (
	"encoding/json"

	"lonja"
)

// An Invite asks for an invitation: for so many uses, until then, in seconds
// since 1970, or for ever if that is 0.
type Invite struct {
	Uses  int    `json:"uses"`
	Until int64  `json:"until,omitempty"`
	Note  string `json:"note,omitempty"`
}

// An Invited is the invitation that was made. The secret is told this once.
type Invited struct {
	Secret lonja.Invitation `json:"secret"`
	Place
}

// A Place is where people find the directory, and how they know it.
type Place struct {
	Address     string `json:"address,omitempty"`     // host:port
	Fingerprint string `json:"fingerprint,omitempty"` // of its authority, in hexadecimal
}

func (c *call) invite() {
	var request Invite
	if !c.read(&request) {
		return
	}
	secret, err := c.dir.CreateInvitation(c.ctx, request.Uses, request.Until, request.Note)
	c.report(Invited{secret, c.place()}, err)
}

func (c *call) invitations() {
	all, err := c.dir.Invitations(c.ctx)
	c.out.kind = jsonLines
	lines := json.NewEncoder(c.out)
	for _, i := range all {
		if err == nil {
			err = lines.Encode(i)
		}
	}
	c.out.end(err)
}

func (c *call) revokeInvitation() {
	var request struct {
		ID string `json:"id"`
	}
	if c.read(&request) {
		c.report(struct{}{}, c.dir.RevokeInvitation(c.ctx, request.ID))
	}
}
