package apiclient

import (
	"context"
	"errors"
	"net/netip"

	"lonja"
	"lonja/internal/api"
)

func about(op lonja.Operation, method api.Method, user lonja.UserName) subject {
	return subject{op: op.String(), method: method, user: user}
}

// Register implements lonja.Accounts: the account is bound to no key.
func (c *Client) Register(ctx context.Context, user lonja.UserName) error {
	return do(ctx, c, about(lonja.OpRegister, api.Method_METHOD_REGISTER, user),
		&api.RegisterRequest{User: api.Text(user), WithoutKey: true}, (*api.RegisterAnswer)(nil))
}

// Unregister implements lonja.Accounts.
func (c *Client) Unregister(ctx context.Context, user lonja.UserName) error {
	return do(ctx, c, about(lonja.OpUnregister, api.Method_METHOD_UNREGISTER, user),
		&api.UnregisterRequest{User: api.Text(user)}, (*api.UnregisterAnswer)(nil))
}

// Connect implements lonja.Accounts: what is announced is the address that the
// directory sees, with the port of at, as in the classic dialect.
func (c *Client) Connect(ctx context.Context, user lonja.UserName, at lonja.Endpoint) error {
	return do(ctx, c, about(lonja.OpConnect, api.Method_METHOD_CONNECT, user),
		&api.ConnectRequest{User: api.Text(user), Ways: []string{api.EndpointText(at)}, WithoutKey: true}, (*api.ConnectAnswer)(nil))
}

// ConnectWithoutKey implements lonja.Members. The directory takes the key that the
// client proves, so it is Connect.
func (c *Client) ConnectWithoutKey(ctx context.Context, member lonja.Member, at lonja.Endpoint) error {
	if err := c.own(lonja.OpConnect.String(), member); err != nil {
		return err
	}
	return c.Connect(ctx, member.User, at)
}

// Disconnect implements lonja.Accounts.
func (c *Client) Disconnect(ctx context.Context, user lonja.UserName) error {
	return c.disconnect(ctx, lonja.Member{User: user})
}

func (c *Client) disconnect(ctx context.Context, m lonja.Member) error {
	return do(ctx, c, about(lonja.OpDisconnect, api.Method_METHOD_DISCONNECT, m.User),
		&api.DisconnectRequest{User: api.Text(m.User), Node: api.NodeBytes(m.Node)}, (*api.DisconnectAnswer)(nil))
}

// errNotOurs is why the client does not ask for a member.
var errNotOurs = errors.New("this client proves another key")

// own refuses to ask for a member whose key the client does not prove: the
// directory would take it for the member of the key that it does.
func (c *Client) own(op string, member lonja.Member) error {
	if member.Key != c.Key() {
		return &lonja.Error{Kind: lonja.OtherKey, Op: op, User: member.User, Err: errNotOurs}
	}
	return nil
}

// UnregisterMember implements lonja.Members. The directory takes the key that the
// client proves, so it is Unregister.
func (c *Client) UnregisterMember(ctx context.Context, member lonja.Member) error {
	if err := c.own(lonja.OpUnregister.String(), member); err != nil {
		return err
	}
	return c.Unregister(ctx, member.User)
}

// DisconnectMember implements lonja.Members, likewise.
func (c *Client) DisconnectMember(ctx context.Context, member lonja.Member) error {
	if err := c.own(lonja.OpDisconnect.String(), member); err != nil {
		return err
	}
	return c.disconnect(ctx, member)
}

// Authorize implements lonja.Members. It asks the directory, for at most Timeout.
func (c *Client) Authorize(member lonja.Member) error {
	const op = "AUTHORIZE"
	if err := c.own(op, member); err != nil {
		return err
	}
	return do(c.ctx, c, subject{op: op, method: api.Method_METHOD_AUTHORIZE, user: member.User},
		&api.AuthorizeRequest{User: api.Text(member.User)}, (*api.AuthorizeAnswer)(nil))
}

// Account implements lonja.Members.
func (c *Client) Account(ctx context.Context, member lonja.Member) (uint64, error) {
	const op = "AUTHORIZE"
	if err := c.own(op, member); err != nil {
		return 0, err
	}
	return ask(ctx, c, subject{op: op, method: api.Method_METHOD_AUTHORIZE, user: member.User},
		&api.AuthorizeRequest{User: api.Text(member.User)},
		func(a *api.AuthorizeAnswer) (uint64, error) { return a.Account, nil })
}

// RegisterMember implements lonja.Members.
func (c *Client) RegisterMember(ctx context.Context, member lonja.Member, invitation lonja.Invitation) error {
	if err := c.own(lonja.OpRegister.String(), member); err != nil {
		return err
	}
	return do(ctx, c, about(lonja.OpRegister, api.Method_METHOD_REGISTER, member.User),
		&api.RegisterRequest{User: api.Text(member.User), Invitation: api.Text(invitation)}, (*api.RegisterAnswer)(nil))
}

// Claim implements lonja.Members. From does not go over the network: the
// directory takes the address that it sees.
func (c *Client) Claim(ctx context.Context, member lonja.Member, _ netip.Addr) error {
	const op = "CLAIM"
	if err := c.own(op, member); err != nil {
		return err
	}
	return do(ctx, c, subject{op: op, method: api.Method_METHOD_CLAIM, user: member.User},
		&api.ClaimRequest{User: api.Text(member.User)}, (*api.ClaimAnswer)(nil))
}

// Keys implements lonja.Members.
func (c *Client) Keys(ctx context.Context, of lonja.UserName) ([]lonja.KeyRecord, error) {
	return ask(ctx, c, subject{op: "KEYS", method: api.Method_METHOD_KEYS, user: of}, &api.KeysRequest{Owner: api.Text(of)},
		func(a *api.KeysAnswer) ([]lonja.KeyRecord, error) { return each(a.Keys, api.KeyRecordOf) })
}

// AddKey implements lonja.Members.
func (c *Client) AddKey(ctx context.Context, member lonja.Member, endorsement lonja.Endorsement) error {
	const op = "ADD_KEY"
	if err := c.own(op, member); err != nil {
		return err
	}
	return do(ctx, c, subject{op: op, method: api.Method_METHOD_ADD_KEY, user: member.User},
		&api.AddKeyRequest{User: api.Text(member.User), Endorsement: api.FromEndorsement(&endorsement)}, (*api.AddKeyAnswer)(nil))
}

// RevokeKey implements lonja.Members.
func (c *Client) RevokeKey(ctx context.Context, member lonja.Member, revocation lonja.Revocation) error {
	const op = "REVOKE_KEY"
	if err := c.own(op, member); err != nil {
		return err
	}
	return do(ctx, c, subject{op: op, method: api.Method_METHOD_REVOKE_KEY, user: member.User},
		&api.RevokeKeyRequest{User: api.Text(member.User), Revocation: api.FromRevocation(&revocation)}, (*api.RevokeKeyAnswer)(nil))
}

// Revocations implements lonja.Members.
func (c *Client) Revocations(ctx context.Context, since int64) ([]lonja.Revocation, error) {
	return all(func(after lonja.Cursor) ([]lonja.Revocation, lonja.Cursor, error) {
		return c.RevocationsPage(ctx, since, after, lonja.MaxPage)
	})
}

// RevocationsPage implements lonja.Pages.
func (c *Client) RevocationsPage(ctx context.Context, since int64, after lonja.Cursor, limit int) ([]lonja.Revocation, lonja.Cursor, error) {
	return filled(after, func(after lonja.Cursor) ([]lonja.Revocation, lonja.Cursor, error) {
		return page(ctx, c, subject{op: "REVOCATIONS", method: api.Method_METHOD_REVOCATIONS},
			&api.RevocationsRequest{Since: since, After: api.Text(after), Limit: int32(limit)},
			func(a *api.RevocationsAnswer) ([]lonja.Revocation, string, error) {
				list, err := each(a.Revocations, api.RevocationOf)
				return list, a.Next, err
			})
	})
}
