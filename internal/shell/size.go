package shell

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"lonja"
)

// units are what sizes are counted in: k is 1000 and Ki is 1024, and so on.
var units = map[string]float64{
	"": 1, "B": 1,
	"K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9, "T": 1e12, "TB": 1e12,
	"KI": 1 << 10, "KIB": 1 << 10, "MI": 1 << 20, "MIB": 1 << 20,
	"GI": 1 << 30, "GIB": 1 << 30, "TI": 1 << 40, "TIB": 1 << 40,
}

// ParseSize reads a size as people write it, "10MB" or "1.5 GiB", in bytes.
// Upper and lower case are the same.
func ParseSize(s string) (int64, error) {
	s = strings.ToUpper(s)
	digits := strings.TrimRight(s, "BKMGTI ")
	unit, known := units[strings.TrimSpace(s[len(digits):])]
	if !known || strings.Trim(digits, "0123456789.") != "" {
		return 0, errNoSize
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && unit == 1 {
		return n, nil // exactly, also where a float is not
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n*unit >= math.MaxInt64 {
		return 0, errNoSize
	}
	return int64(n * unit), nil
}

var errNoSize = errors.New("not a size like 500, 10MB or 1.5GiB")

// FormatListed returns the size of what is listed as people read it; nothing if it
// is unknown.
func FormatListed(l lonja.Listing) string {
	switch f := l.Folder(); {
	case l.Size < 0:
		return ""
	case f != nil && f.Files == 1:
		return FormatSize(l.Size) + " in 1 file"
	case f != nil:
		return fmt.Sprintf("%s in %d files", FormatSize(l.Size), f.Files)
	}
	return FormatSize(l.Size)
}

// FormatSize returns a size in bytes as people read it.
func FormatSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	size, prefixes := float64(n)/1000, "kMGTPE"
	for size >= 999.95 && len(prefixes) > 1 {
		size, prefixes = size/1000, prefixes[1:]
	}
	return fmt.Sprintf("%.1f %cB", size, prefixes[0])
}
