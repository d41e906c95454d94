package apiserver

import (
	"context"

	"lonja"
	"lonja/internal/api"
)

// Publish implements the method of lonja.v1.
func (s *Server) Publish(ctx context.Context, m *api.PublishRequest) (*api.PublishAnswer, error) {
	r := request{method: "Publish", user: m.User, operation: lonja.OpPublish.String(), file: api.Bytes(m.Listing.GetName())}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.PublishAnswer, error) {
		if m.Listing == nil {
			return nil, invalid("nothing to publish")
		}
		listing, err := api.ListingOf(m.Listing)
		if err != nil {
			return nil, err
		}
		return &api.PublishAnswer{}, s.opts.Directory.Publish(ctx, member.User, listing)
	})
}

// Delete implements the method of lonja.v1.
func (s *Server) Delete(ctx context.Context, m *api.DeleteRequest) (*api.DeleteAnswer, error) {
	r := request{method: "Delete", user: m.User, operation: lonja.OpDelete.String(), file: api.Bytes(m.Name)}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.DeleteAnswer, error) {
		name, err := api.NameOf(m.Name)
		if err != nil {
			return nil, err
		}
		return &api.DeleteAnswer{}, s.opts.Directory.DeleteMember(ctx, member, name)
	})
}

// ContentDigest implements the method of lonja.v1.
func (s *Server) ContentDigest(ctx context.Context, m *api.ContentDigestRequest) (*api.ContentDigestAnswer, error) {
	r := request{method: "ContentDigest", user: m.User}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.ContentDigestAnswer, error) {
		digest, err := s.opts.Directory.ContentDigest(ctx, member.User)
		if err != nil {
			return nil, err
		}
		return &api.ContentDigestAnswer{Count: int64(digest.Count), Sum: digest.Sum[:]}, nil
	})
}
