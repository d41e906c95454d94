//go:build !linux

package inode

import "io/fs"

// Of returns nothing here.
func Of(fs.FileInfo) (number uint64, changed int64) { return 0, 0 }
