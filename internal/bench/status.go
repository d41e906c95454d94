package bench

import (
	"lonja"
	"lonja/internal/classic"
)

// A statusSet is a set of status bytes: bit n stands for status n.
type statusSet uint8

// maxStatus is the largest status byte of any operation, and of a statusSet.
const maxStatus = 7

// statusesOf returns the status that answers op when it ends with err, alone.
func statusesOf(op lonja.Operation, err error) statusSet {
	return 1 << classic.Status(op, err)
}

func (s statusSet) has(status byte) bool {
	return status <= maxStatus && s&(1<<status) != 0
}

// statusCount returns how many statuses answer op: those from 0 to the one for
// any other error.
func statusCount(op lonja.Operation) int { return int(classic.OtherStatus(op)) + 1 }

// anyStatus returns all statuses that answer op.
func anyStatus(op lonja.Operation) statusSet { return 1<<statusCount(op) - 1 }
