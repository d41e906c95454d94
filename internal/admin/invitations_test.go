package admin

import (
	"context"
	"errors"
	"testing"

	"lonja"
	"lonja/internal/operator"
)

// An inviting directory makes and lists invitations as a test says.
type inviting struct {
	operator.Directory
	asked operator.Invitation
	all   []operator.Invitation
	err   error
}

func (d *inviting) CreateInvitation(_ context.Context, uses int, until int64, note string) (lonja.Invitation, error) {
	d.asked = operator.Invitation{Uses: uses, Until: until, Note: operator.Text(note)}
	return "the secret", d.err
}

func (d *inviting) Invitations(context.Context) ([]operator.Invitation, error) { return d.all, d.err }

func (d *inviting) RevokeInvitation(_ context.Context, id string) error {
	d.asked = operator.Invitation{ID: id}
	return d.err
}

func TestInvitations(t *testing.T) {
	r := serveLoopback(t)
	d := &inviting{all: []operator.Invitation{{ID: "1f", Uses: 3, Used: 1}, {ID: "2e", Uses: 1}}}
	r.Open(d)
	r.want("POST", "/admin/v1/invite", `{"uses":3,"until":99,"note":"for"}`, 200, `"secret":"the secret"`)
	if want := (operator.Invitation{Uses: 3, Until: 99, Note: "for"}); d.asked != want {
		t.Errorf("asked for %+v, want %+v", d.asked, want)
	}
	r.want("POST", "/admin/v1/invite", `{"uses":"3"}`, 400, "not what it should be")
	r.want("GET", "/admin/v1/invitations", "", 200, `{"id":"1f","uses":3,"used":1,"made":0}`+"\n"+`{"id":"2e"`)
	r.want("POST", "/admin/v1/revoke-invitation", `{"id":"1f"}`, 200, "{}")
	if d.asked.ID != "1f" {
		t.Errorf("revoked %+v", d.asked)
	}
	d.err = lonja.E(lonja.Invalid, "invite", errors.New("too many"))
	r.want("POST", "/admin/v1/invite", `{"uses":3}`, 400, "too many")
	r.want("GET", "/admin/v1/invitations", "", 400, "too many")
	r.want("POST", "/admin/v1/revoke-invitation", `{"id":"1f"}`, 400, "too many")
}
