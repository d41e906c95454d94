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
// byte of their own, from 1 up. The byte after the last is "any other error".
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
}

// OtherStatus returns the status byte for a failure of op that has none of its own.
func OtherStatus(op lonja.Operation) byte {
	if op == lonja.NoOperation {
		return unknownOperationStatus
	}
	return byte(len(failures[op]) + 1)
}

// Status returns the status byte that answers op when it ended with err.
func Status(op lonja.Operation, err error) byte {
	if err == nil {
		return StatusOK
	}
	kind := lonja.KindOf(err)
	for i, k := range failures[op] {
		if k == kind {
			return byte(i + 1)
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
	if kinds := failures[op]; int(status) <= len(kinds) {
		return lonja.E(kinds[status-1], op.String(), nil)
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
