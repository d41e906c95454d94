package bench

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// DiskDir returns a new directory below base, or, if that is empty, where
// temporary files go and a disk is: a sync into memory costs nothing, so nothing
// about durable writes can be measured there. The caller removes it.
func DiskDir(base string) (string, error) {
	if base == "" {
		base = os.TempDir()
		if inMemory(base) {
			base = "/var/tmp" // of which the FHS says that it outlives a reboot
		}
	}
	dir, err := os.MkdirTemp(base, "lonja-bench-")
	if err != nil {
		return "", fmt.Errorf("directory of the measurements: %w", err)
	}
	return dir, nil
}

// inMemory reports whether dir is known to be on no disk.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6 // of statfs(2) on Linux
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return false
	}
	return int64(fs.Type) == tmpfs || int64(fs.Type) == ramfs
}
