package apiserver

import (
	"context"

	"lonja"
	"lonja/internal/api"
)

// watch performs Watch: it has each event sent until that fails, which is the
// caller's affair and no failure of the directory's.
func (s *Server) watch(ctx context.Context, m *api.WatchRequest, send func(*api.WatchAnswer) error) error {
	var broken error
	r := request{method: "Watch", user: m.User}
	_, err := perform(ctx, s, r, func(_ *caller, member lonja.Member) (struct{}, error) {
		filter, err := api.FilterOf(m)
		if err == nil {
			member.Node, err = api.NodeOf(m.Node)
		}
		if err != nil {
			return struct{}{}, err
		}
		err = s.opts.Directory.Watch(ctx, member, filter, func(e lonja.Event) error {
			broken = send(api.FromEvent(&e))
			return broken
		})
		if broken != nil {
			err = nil
		}
		return struct{}{}, err
	})
	if err == nil {
		err = broken
	}
	return err
}
