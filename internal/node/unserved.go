package node

import (
	"context"
	"log/slog"

	"lonja/internal/share"
)

// tellUnserved warns of files that the directory lists for the user and that
// are not served from here, because they were published when the directory was
// called by another name. It asks the directory only where something was
// published under another name at all.
func (n *Node) tellUnserved(ctx context.Context, s *stay) {
	if n.opts.StateDir == "" {
		return
	}
	names := share.Elsewhere(n.opts.StateDir, share.Key{Directory: n.opts.DirectoryName, User: s.user})
	if len(names) == 0 {
		return
	}
	listings, err := n.opts.Directory.ListContent(ctx, s.user, s.user)
	if err != nil {
		return // the user's own next command will tell
	}
	unserved := 0
	for _, l := range listings {
		if !s.files.Contains(l.Name) {
			unserved++
		}
	}
	if unserved > 0 {
		n.opts.Log.Warn("files that the directory lists for the user are not served from here: "+
			"publish them again, or name the directory as when they were published",
			slog.Any("user", s.user), slog.Int("files", unserved), slog.Any("directory now", n.opts.DirectoryName),
			slog.Any("before", names))
	}
}
