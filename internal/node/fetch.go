package node

import (
	"context"
	"errors"
	"slices"

	"lonja"
	"lonja/internal/download"
	"lonja/internal/partial"
)

// FetchFile fetches a file that owner published, from its node, to a path of
// this machine; progress, if not nil, is told the bytes so far. A target that
// cannot be written is of kind Invalid, told before anything is sent. A failed
// transfer leaves the target as it was.
func (n *Node) FetchFile(ctx context.Context, owner lonja.UserName, remote lonja.FileName, local string, progress func(int64)) error {
	const op = "GET_FILE"
	s, err := n.connected(lonja.OpListUsers)
	if err != nil {
		return err
	}
	if err := checkTarget(op, local); err != nil {
		return err
	}
	peers, err := n.opts.Directory.ListUsers(ctx, s.user)
	if err := n.heed(s, err); err != nil {
		return err
	}
	i := slices.IndexFunc(peers, func(p lonja.Peer) bool { return p.User == owner })
	if i < 0 {
		return &lonja.Error{Kind: lonja.NoSuchOwner, Op: op, User: owner, Err: errors.New("the user is not connected")}
	}
	holder := lonja.Holder{User: owner, At: peers[i].At, Name: remote}
	_, err = download.FetchFile(ctx, holder, local, n.downloadOptions(progress))
	return err
}

// FetchMulti fetches a file by its base name from all its holders at once;
// otherwise it is like FetchFile.
func (n *Node) FetchMulti(ctx context.Context, remote lonja.FileName, local string, progress func(int64)) error {
	s, err := n.connected(lonja.OpHolders)
	if err != nil {
		return err
	}
	if err := checkTarget(lonja.OpHolders.String(), local); err != nil {
		return err
	}
	holders, err := n.opts.Directory.Holders(ctx, s.user, remote)
	if err := n.heed(s, err); err != nil {
		return err
	}
	_, err = download.FetchMulti(ctx, holders, local, n.downloadOptions(progress))
	return err
}

func (n *Node) downloadOptions(progress func(int64)) download.Options {
	return download.Options{Progress: progress}
}

// checkTarget reports whether a file can be received there at all.
func checkTarget(op, local string) error {
	file, err := partial.Create(local, partial.Options{})
	if err != nil {
		return lonja.E(lonja.Invalid, op, err)
	}
	file.Abort()
	return nil
}
