//go:build !linux

package sqlitestore

import "os"

// forgetCache is for a habit of Linux.
func forgetCache(...*os.File) error { return nil }
