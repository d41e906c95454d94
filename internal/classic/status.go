package classic

import (
	"errors"
	"fmt"

	"lonja"
)

// StatusOK is the status byte of an operation that was done.
const StatusOK = 0

// unknownOperationStatus answers a request that named no known operation.
const unknownOperationStatus = 2

// failures gives, for each operation, the kinds of failure that have a status
// byte of their own, from firstFailure up. The byte after the last is "any
// other error".
var failures = map[lonja.Operation][]lonja.Kind{
	lonja.OpRegister:    {lonja.NameInUse},
	lonja.OpUnregister:  {lonja.NoSuchUser},
	lonja.OpConnect:     {lonja.NoSuchUser, lonja.AlreadyConnected},
	lonja.OpDisconnect:  {lonja.NoSuchUser, lonja.NotConnected},
	lonja.OpPublish:     {lonja.NoSuchUser, lonja.NotConnected, lonja.AlreadyPublished},
	lonja.OpDelete:      {lonja.NoSuchUser, lonja.NotConnected, lonja.NotPublished},
	lonja.OpListUsers:   {lonja.NoSuchUser, lonja.NotConnected},
	lonja.OpListContent: {lonja.NoSuchUser, lonja.NotConnected, lonja.NoSuchOwner},
	lonja.OpHolders:     {lonja.NoHolder},
	lonja.OpSearch:      {lonja.NoSuchUser, lonja.NotConnected},
}

// firstFailure returns the first status byte that op fails with. SEARCH, which
// is not of the original, leaves those free that a directory answers which
// does not know it.
func firstFailure(op lonja.Operation) byte {
	if op == lonja.OpSearch {
		return unknownOperationStatus + 1
	}
	return 1
}

// errCannotSearch is the cause of a Refused error for a SEARCH that the
// directory does not know.
var errCannotSearch = errors.New("this directory is an older one, which cannot search")

// OtherStatus returns the status byte for a failure of op that has none of its own.
func OtherStatus(op lonja.Operation) byte {
	if op == lonja.NoOperation {
		return unknownOperationStatus
	}
	return firstFailure(op) + byte(len(failures[op]))
}

// Status returns the status byte that answers op when it ended with err.
func Status(op lonja.Operation, err error) byte {
	if err == nil {
		return StatusOK
	}
	kind := lonja.KindOf(err)
	for i, k := range failures[op] {
		if k == kind {
			return firstFailure(op) + byte(i)
		}
	}
	return OtherStatus(op)
}

// Failure is the way back: the error that a directory's status byte stands
// for, nil for StatusOK. A status that says no more than that it failed, or
// that the protocol does not know, is of kind Refused.
func Failure(op lonja.Operation, status byte) error {
	if status == StatusOK {
		return nil
	}
	first, kinds := firstFailure(op), failures[op]
	switch {
	case status < first:
		return lonja.E(lonja.Refused, op.String(), errCannotSearch)
	case int(status-first) < len(kinds):
		return lonja.E(kinds[status-first], op.String(), nil)
	}
	return lonja.E(lonja.Refused, op.String(), fmt.Errorf("the directory answered status %d", status))
}

// The status bytes between peers.
const (
	peerNoSuchFile = 1
	peerOther      = 2
)

// PeerStatus returns the status byte that answers a transfer that failed with
// err before its first byte, or StatusOK.
func PeerStatus(err error) byte {
	switch {
	case err == nil:
		return StatusOK
	case errors.Is(err, lonja.NoSuchFile):
		return peerNoSuchFile
	}
	return peerOther
}

// PeerFailure is the way back: the error that a peer's status byte stands for.
func PeerFailure(status byte) error {
	switch status {
	case StatusOK:
		return nil
	case peerNoSuchFile:
		return lonja.E(lonja.NoSuchFile, "", nil)
	}
	return lonja.E(lonja.Refused, "", fmt.Errorf("the peer answered status %d", status))
}
