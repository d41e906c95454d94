package share

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// What Elsewhere looks at, at most: it is only for advice.
const (
	mostRecords = 1000
	mostHeader  = 1 << 20
)

// Elsewhere returns the other directories, by the names that they were given,
// at which key's user has published something from stateDir. One of them may
// be key's own directory under another name. It takes what it can read.
func Elsewhere(stateDir string, key Key) []string {
	paths, _ := filepath.Glob(filepath.Join(stateDir, "published-*.json"))
	var found []string
	for _, path := range paths[:min(len(paths), mostRecords)] {
		head, err := readHeader(path)
		if err == nil && string(head.User) == string(key.User) && string(head.Directory) != key.Directory {
			found = append(found, string(head.Directory))
		}
	}
	slices.Sort(found)
	return found
}

func readHeader(path string) (head header, err error) {
	f, err := os.Open(path)
	if err != nil {
		return head, err
	}
	defer f.Close()
	err = json.NewDecoder(io.LimitReader(f, mostHeader)).Decode(&head)
	return head, err
}
