package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lonja"
	"lonja/internal/partial"
)

// opFetchFile is what is attempted by FetchFile.
const opFetchFile = "GET_FILE"

// FetchFile fetches a file that owner published, from its node, to a path of
// this machine; progress, if not nil, is told the bytes so far. A target that
// cannot be written is of kind Invalid, told before anything is sent; in the secure
// dialect that is so of a file that is there already, which the classic one replaces
// as it always has. A failed transfer leaves the target as it was.
func (n *Node) FetchFile(ctx context.Context, owner lonja.UserName, remote lonja.FileName, local string, progress func(int64)) error {
	s, err := n.connected(lonja.OpListUsers)
	if err != nil {
		return err
	}
	if err := checkTarget(opFetchFile, local); err != nil {
		return err
	}
	return n.dialect.fetchFile(ctx, s, owner, fetch{remote: remote, local: local, progress: progress})
}

// FetchMulti fetches a file by its base name from whoever has it; otherwise it is
// like FetchFile.
func (n *Node) FetchMulti(ctx context.Context, remote lonja.FileName, local string, progress func(int64)) error {
	s, err := n.connected(lonja.OpHolders)
	if err != nil {
		return err
	}
	if err := checkTarget(lonja.OpHolders.String(), local); err != nil {
		return err
	}
	return n.dialect.fetchMulti(ctx, s, fetch{remote: remote, local: local, progress: progress})
}

// notThere is the error for an owner who is not connected.
func notThere(owner lonja.UserName) error {
	return &lonja.Error{Kind: lonja.NoSuchOwner, Op: opFetchFile, User: owner, Err: errors.New("the user is not connected")}
}

// errThere is why a target is refused.
var errThere = fmt.Errorf("it is there already: take another name, or move it away first (%w)", fs.ErrExist)

// checkFree reports whether nothing is there yet where something is to be received.
// Receiving looks once more; what this is for is to say so first, and what to do.
func checkFree(op, local string) error {
	if _, err := os.Lstat(local); err != nil {
		return nil
	}
	return lonja.E(lonja.Invalid, op, fmt.Errorf("%s: %w", lonja.Printable(local), errThere))
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
