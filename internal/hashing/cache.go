package hashing

import (
	"cmp"
	"context"
	"os"
	"sync"
	"time"

	"lonja"
)

// CacheOptions bound a Cache. What is zero gets the value in parentheses.
type CacheOptions struct {
	MaxFiles int // files that are remembered (500,000, some 50 MiB of memory)
}

// A Cache remembers the ids of files by their Stamps, so that nothing is hashed
// twice. It is a file of records that any number of processes append to, and is
// all in memory besides. What it loses, in a crash, say, is hashed again; what
// it says was hashed. Its methods may be called by any number of goroutines.
type Cache struct {
	max  int
	disk *cacheFile // nil for a Cache in memory only

	mu    sync.Mutex // guards the rest
	files map[fileKey]entry
	turn  uint64 // counts records, to tell older ones from newer
}

type fileKey struct{ device, inode uint64 }

type entry struct {
	size, modTime int64
	changed       int64
	id            lonja.FileID
	turn          uint64
	used          bool // asked for by this process
}

func (s Stamp) key() fileKey { return fileKey{s.Device, s.Inode} }

// NewCache returns an empty Cache that lives in memory only.
func NewCache(opts CacheOptions) *Cache {
	return &Cache{max: cmp.Or(opts.MaxFiles, 500_000), files: make(map[fileKey]entry)}
}

// OpenCache returns the Cache that is kept in the file at path, which is made if
// need be; its directory must exist. A file that is no such cache, or of which
// nothing is left, is begun anew. The caller closes the Cache.
//
// The error is of kind LocalFile: a Cache in memory can take its place.
func OpenCache(path string, opts CacheOptions) (*Cache, error) {
	c := NewCache(opts)
	c.disk = &cacheFile{path: path}
	if err := c.disk.locked(c.take, func() error { return nil }); err != nil {
		_ = c.disk.close()
		return nil, lonja.E(lonja.LocalFile, "open the cache of hashes", err)
	}
	return c, nil
}

// Close ends the use of the Cache. What was put into it is kept.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.disk == nil {
		return nil
	}
	return c.disk.close()
}

// Len returns how many files are remembered.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.files)
}

// take remembers a record; mu is held, or c is not shared yet.
func (c *Cache) take(r record) {
	c.turn++
	used := c.files[r.stamp.key()].used
	c.files[r.stamp.key()] = entry{r.stamp.Size, r.stamp.ModTime, r.stamp.Changed, r.id, c.turn, used}
}

// Get returns the id of the file that has this Stamp, if it is remembered.
func (c *Cache) Get(s Stamp) (id lonja.FileID, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.files[s.key()]
	if !ok || e.size != s.Size || e.modTime != s.ModTime || e.changed != s.Changed {
		return id, false
	}
	if !e.used {
		e.used = true
		c.files[s.key()] = e
	}
	return e.id, true
}

// Put remembers that the file with this Stamp has the content id: begun is when
// its hashing began. A file that had been changed just before is not remembered,
// since its Stamp might not tell of another change. What other processes have
// put meanwhile is remembered here, too.
//
// The error, of kind LocalFile, says that only this process remembers it.
func (c *Cache) Put(s Stamp, id lonja.FileID, begun time.Time) error {
	if !s.settled(begun) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := record{s, id}
	if c.disk == nil {
		c.take(r)
		c.shrink()
		return nil
	}
	err := c.disk.locked(c.take, func() error {
		c.take(r)
		shrunk := c.shrink()
		if shrunk || c.disk.records > 2*len(c.files)+slack {
			return c.disk.rewrite(c.files)
		}
		return c.disk.append(r)
	})
	if err != nil {
		c.take(r)
		return lonja.E(lonja.LocalFile, "write the cache of hashes", err)
	}
	return nil
}

// slack is how many records more than twice what counts the file may have
// before it is written anew.
const slack = 1024

// shrink forgets files if there are too many, a quarter of them, so that it is
// not done each time: those first that nobody has asked for, and of those the
// ones that were hashed longest ago.
func (c *Cache) shrink() bool {
	if len(c.files) <= c.max {
		return false
	}
	keys := sortedKeys(c.files, func(a, b entry) int {
		if a.used != b.used {
			if a.used {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.turn, b.turn)
	})
	for _, key := range keys[:len(keys)-c.max*3/4] {
		delete(c.files, key)
	}
	return true
}

// ID returns what f holds, from the Cache if f has not changed since, and
// otherwise by hashing it: errors as for File. That the Cache could not be
// written is no error of the file's: it is told to trouble, if that is not nil.
func (c *Cache) ID(ctx context.Context, f *os.File, opts Options, trouble func(error)) (Result, error) {
	stamp, info, err := look(f)
	if err != nil {
		return Result{}, err
	}
	if id, ok := c.Get(stamp); ok && opts.Outboard == nil {
		return Result{id, stamp, info}, nil
	}
	begun := time.Now()
	r, err := File(ctx, f, opts)
	if err != nil {
		return Result{}, err
	}
	if err := c.Put(r.Stamp, r.ID, begun); err != nil && trouble != nil {
		trouble(err)
	}
	return r, nil
}
