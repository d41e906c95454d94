package apiserver

import (
	"context"
	"errors"

	"lonja"
	"lonja/internal/api"
)

// errNoKey is what a caller without a certificate is told where it needs one.
var errNoKey = errors.New("this needs a key: present a TLS client certificate of an Ed25519 key")

// Register implements the method of lonja.v1.
func (s *Server) Register(ctx context.Context, m *api.RegisterRequest) (*api.RegisterAnswer, error) {
	r := request{method: "Register", user: m.User, operation: lonja.OpRegister.String(), open: true}
	return perform(ctx, s, r, func(c *caller, member lonja.Member) (*api.RegisterAnswer, error) {
		switch {
		case member.User == "":
			_, err := api.UserOf("")
			return nil, err
		case m.WithoutKey:
			return &api.RegisterAnswer{}, s.opts.Directory.Register(ctx, member.User)
		case c.key.IsZero():
			return nil, lonja.E(lonja.Forbidden, r.operation, errNoKey)
		}
		return &api.RegisterAnswer{}, s.opts.Directory.RegisterMember(ctx, member, lonja.Invitation(api.Bytes(m.Invitation)))
	})
}

// Unregister implements the method of lonja.v1.
func (s *Server) Unregister(ctx context.Context, m *api.UnregisterRequest) (*api.UnregisterAnswer, error) {
	r := request{method: "Unregister", user: m.User, operation: lonja.OpUnregister.String()}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.UnregisterAnswer, error) {
		return &api.UnregisterAnswer{}, s.opts.Directory.UnregisterMember(ctx, member)
	})
}

// Claim implements the method of lonja.v1.
func (s *Server) Claim(ctx context.Context, m *api.ClaimRequest) (*api.ClaimAnswer, error) {
	r := request{method: "Claim", user: m.User, operation: "CLAIM"}
	return perform(ctx, s, r, func(c *caller, member lonja.Member) (*api.ClaimAnswer, error) {
		if c.key.IsZero() {
			return nil, lonja.E(lonja.Forbidden, r.operation, errNoKey)
		}
		return &api.ClaimAnswer{}, s.opts.Directory.Claim(ctx, member, c.from.Addr())
	})
}

// Authorize implements the method of lonja.v1.
func (s *Server) Authorize(ctx context.Context, m *api.AuthorizeRequest) (*api.AuthorizeAnswer, error) {
	return perform(ctx, s, request{method: "Authorize", user: m.User}, func(_ *caller, member lonja.Member) (*api.AuthorizeAnswer, error) {
		account, err := s.opts.Directory.Account(ctx, member)
		return &api.AuthorizeAnswer{Account: account}, err
	})
}

// Keys implements the method of lonja.v1.
func (s *Server) Keys(ctx context.Context, m *api.KeysRequest) (*api.KeysAnswer, error) {
	return perform(ctx, s, request{method: "Keys", open: true}, func(*caller, lonja.Member) (*api.KeysAnswer, error) {
		owner, err := api.UserOf(m.Owner)
		if err != nil {
			return nil, err
		}
		keys, err := s.opts.Directory.Keys(ctx, owner)
		if err != nil {
			return nil, err
		}
		answer := &api.KeysAnswer{}
		for i := range keys {
			answer.Keys = append(answer.Keys, api.FromKeyRecord(&keys[i]))
		}
		return answer, nil
	})
}

// AddKey implements the method of lonja.v1.
func (s *Server) AddKey(ctx context.Context, m *api.AddKeyRequest) (*api.AddKeyAnswer, error) {
	r := request{method: "AddKey", user: m.User, operation: "ADD_KEY"}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.AddKeyAnswer, error) {
		endorsement, err := api.EndorsementOf(m.Endorsement)
		if err != nil {
			return nil, err
		}
		return &api.AddKeyAnswer{}, s.opts.Directory.AddKey(ctx, member, endorsement)
	})
}

// RevokeKey implements the method of lonja.v1.
func (s *Server) RevokeKey(ctx context.Context, m *api.RevokeKeyRequest) (*api.RevokeKeyAnswer, error) {
	r := request{method: "RevokeKey", user: m.User, operation: "REVOKE_KEY"}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.RevokeKeyAnswer, error) {
		revocation, err := api.RevocationOf(m.Revocation)
		if err != nil {
			return nil, err
		}
		return &api.RevokeKeyAnswer{}, s.opts.Directory.RevokeKey(ctx, member, revocation)
	})
}
