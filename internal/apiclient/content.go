package apiclient

import (
	"context"
	"fmt"

	"lonja"
	"lonja/internal/api"
)

// Publish implements lonja.Publications.
func (c *Client) Publish(ctx context.Context, user lonja.UserName, listing lonja.Listing) error {
	s := about(lonja.OpPublish, api.Method_METHOD_PUBLISH, user)
	s.file = listing.Name
	return do(ctx, c, s, &api.PublishRequest{User: api.Text(user), Listing: api.FromListing(&listing)}, (*api.PublishAnswer)(nil))
}

// Delete implements lonja.Publications.
func (c *Client) Delete(ctx context.Context, user lonja.UserName, name lonja.FileName) error {
	s := about(lonja.OpDelete, api.Method_METHOD_DELETE, user)
	s.file = name
	return do(ctx, c, s, &api.DeleteRequest{User: api.Text(user), Name: api.Text(name)}, (*api.DeleteAnswer)(nil))
}

// DeleteMember implements lonja.Members. The directory takes the key that the
// client proves, so it is Delete.
func (c *Client) DeleteMember(ctx context.Context, member lonja.Member, name lonja.FileName) error {
	if err := c.own(lonja.OpDelete.String(), member); err != nil {
		return err
	}
	return c.Delete(ctx, member.User, name)
}

// ContentDigest implements lonja.Members.
func (c *Client) ContentDigest(ctx context.Context, owner lonja.UserName) (lonja.ContentDigest, error) {
	return ask(ctx, c, subject{op: "CONTENT_DIGEST", method: api.Method_METHOD_CONTENT_DIGEST, user: owner},
		&api.ContentDigestRequest{User: api.Text(owner)},
		func(a *api.ContentDigestAnswer) (d lonja.ContentDigest, err error) {
			if len(a.Sum) != len(d.Sum) || a.Count < 0 {
				return d, fmt.Errorf("a digest of %d bytes for %d publications", len(a.Sum), a.Count)
			}
			return lonja.ContentDigest{Count: int(a.Count), Sum: lonja.Signature(a.Sum)}, nil
		})
}

// Watch implements lonja.Watcher. A connection that is lost ends it with
// Unavailable: who watches begins anew, and looks at everything.
func (c *Client) Watch(ctx context.Context, member lonja.Member, filter lonja.EventFilter, told func(lonja.Event) error) error {
	s := subject{op: "WATCH", method: api.Method_METHOD_WATCH, user: member.User}
	if err := c.own(s.op, member); err != nil {
		return err
	}
	body, err := api.FromFilter(member, &filter).MarshalVT()
	if err != nil {
		return s.failed(ctx, lonja.E(lonja.Internal, s.op, err))
	}
	var own error // of told
	err = c.onConnection(ctx, func(l *link) error {
		return l.Stream(ctx, uint16(s.method), body, func(b []byte) error {
			var m api.WatchAnswer
			if err := m.UnmarshalVT(b); err != nil {
				return lonja.E(lonja.Malformed, s.op, err)
			}
			event, err := api.EventOf(&m)
			if err != nil {
				return lonja.E(lonja.Malformed, s.op, err)
			}
			if event.Kind != lonja.NoEvent { // what a later version tells
				own = told(event)
			}
			return own
		})
	})
	switch {
	case own != nil:
		return own
	case ctx.Err() != nil:
		return nil
	case err == nil: // only its context ends it
		err = lonja.E(lonja.Unavailable, s.op, nil)
	}
	return s.failed(ctx, err)
}
