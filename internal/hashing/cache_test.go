package hashing

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/tree"
)

// stampOf makes up a file, and version of it.
func stampOf(file, version int) Stamp {
	return Stamp{Device: 1, Inode: uint64(file), Size: int64(100 * version), ModTime: int64(version), Changed: int64(1000 + version)}
}

func idOf(s Stamp) lonja.FileID { return tree.Sum(fmt.Append(nil, s)) }

func openCache(t testing.TB, path string, opts CacheOptions) *Cache {
	t.Helper()
	c, err := OpenCache(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func put(t interface{ Fatal(args ...any) }, c *Cache, s Stamp) {
	if err := c.Put(s, idOf(s), time.Now()); err != nil {
		t.Fatal(err)
	}
}

// Two programs share a cache, which is closed, cut, damaged and removed under
// them. What a model says was put and has not been harmed since may be
// forgotten only where damage was done; a wrong id is never given.
func TestCacheModel(t *testing.T) {
	dir := t.TempDir()
	rounds := 0
	rapid.Check(t, func(t *rapid.T) {
		rounds++
		path := filepath.Join(dir, fmt.Sprint(rounds))
		open := func() *Cache {
			c, err := OpenCache(path, CacheOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		caches := []*Cache{open(), open()}
		defer func() { _, _ = caches[0].Close(), caches[1].Close() }()
		latest := make(map[int]Stamp)
		harmed := false
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				s := stampOf(rapid.IntRange(0, 20).Draw(t, "file"), rapid.IntRange(0, 50).Draw(t, "version"))
				put(t, rapid.SampledFrom(caches).Draw(t, "cache"), s)
				latest[int(s.Inode)] = s
			},
			"reopen": func(t *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(t, "cache")
				_ = caches[i].Close()
				caches[i] = open()
				for file, s := range latest {
					if id, ok := caches[i].Get(s); !ok && !harmed {
						t.Fatalf("file %d is forgotten", file)
					} else if ok && id != idOf(s) {
						t.Fatalf("file %d: a wrong id", file)
					}
				}
			},
			"harm": func(t *rapid.T) {
				harmed = true
				harm(t, path)
			},
			"": func(t *rapid.T) {
				for _, c := range caches {
					for file := range 21 {
						for version := range 51 {
							s := stampOf(file, version)
							if id, ok := c.Get(s); ok && id != idOf(s) {
								t.Fatalf("file %d, version %d: a wrong id", file, version)
							}
						}
					}
				}
			},
		})
	})
}

// harm does to the file what crashes and disks do.
func harm(t *rapid.T, path string) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	at := rapid.IntRange(0, max(0, len(b)-1)).Draw(t, "at")
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		err = os.Truncate(path, int64(at))
	case 1:
		if len(b) > 0 {
			b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		err = os.WriteFile(path, b, 0o600)
	case 2:
		err = os.WriteFile(path, append(b, "the beginning of a record"...), 0o600)
	case 3:
		err = os.Remove(path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Damage costs the record that it hit, and no other.
func TestCacheDamagedRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hashes")
	c := openCache(t, path, CacheOptions{})
	for file := range 10 {
		put(t, c, stampOf(file, 1))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[headerLen+4*recordLen+10] ^= 1
	b = append(b, b[:recordLen/2]...) // and a record was cut short
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c = openCache(t, path, CacheOptions{})
	put(t, c, stampOf(10, 1))
	c = openCache(t, path, CacheOptions{})
	for file := range 11 {
		if _, ok := c.Get(stampOf(file, 1)); ok != (file != 4) {
			t.Errorf("file %d: known %v", file, ok)
		}
	}
}

// What is no cache is begun anew; what cannot be one is an error.
func TestCacheOfSomethingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hashes")
	if err := os.WriteFile(path, bytes.Repeat([]byte("something else "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, openCache(t, path, CacheOptions{}), stampOf(1, 1))
	if c := openCache(t, path, CacheOptions{}); c.Len() != 1 {
		t.Errorf("it has %d files, want 1", c.Len())
	}
	for _, bad := range []string{dir, filepath.Join(dir, "none", "hashes"), os.DevNull} {
		if _, err := OpenCache(bad, CacheOptions{}); !errors.Is(err, lonja.LocalFile) {
			t.Errorf("%s: %v, want LocalFile", bad, err)
		}
	}
}

// Many that put at once, each with the file open for itself as a process has
// it, lose nothing of each other, although the file is replaced meanwhile.
func TestCacheSharedByMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hashes")
	const processes, each, versions = 8, 50, 10
	var running sync.WaitGroup
	for p := range processes {
		c := openCache(t, path, CacheOptions{})
		running.Go(func() {
			for version := range versions {
				for i := range each {
					s := stampOf(p*each+i, version+1)
					if err := c.Put(s, idOf(s), time.Now()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	running.Wait()
	c := openCache(t, path, CacheOptions{})
	for file := range processes * each {
		if _, ok := c.Get(stampOf(file, versions)); !ok {
			t.Fatalf("file %d is forgotten", file)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(headerLen + (2*processes*each+slack+2)*recordLen); info.Size() > most {
		t.Errorf("the file has %d bytes, want at most %d", info.Size(), most)
	}
}

// There are never more than MaxFiles. Those that were asked for stay, and of the
// others those that came last.
func TestCacheIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hashes")
	c := openCache(t, path, CacheOptions{MaxFiles: 100})
	put(t, c, stampOf(0, 1))
	for file := 1; file <= 1000; file++ {
		put(t, c, stampOf(file, 1))
		if _, ok := c.Get(stampOf(0, 1)); !ok {
			t.Fatalf("what is in use is forgotten after %d", file)
		}
		if c.Len() > 100 {
			t.Fatalf("%d files are remembered", c.Len())
		}
	}
	again := openCache(t, path, CacheOptions{MaxFiles: 100})
	if !maps.EqualFunc(again.files, c.files, func(a, b entry) bool { return a.id == b.id }) {
		t.Error("what is on disk is not what is in memory")
	}
	if _, ok := again.Get(stampOf(1000, 1)); !ok {
		t.Error("the last file is forgotten")
	}
}

func TestCacheClosed(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "hashes"), CacheOptions{})
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	s := stampOf(1, 1)
	if err := c.Put(s, idOf(s), time.Now()); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("Put: %v, want LocalFile", err)
	}
	if _, ok := c.Get(s); !ok {
		t.Error("what could not be written is not remembered in memory")
	}
}

func FuzzReadRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 3*recordLen))
	one := appendRecord(nil, record{stampOf(1, 2), idOf(stampOf(1, 2))})
	f.Add(append(append(one, "damage"...), one...))
	f.Add(append(bytes.Clone(one), one[:20]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		count, err := readRecords(bytes.NewReader(b), func(r record) {
			if !bytes.Contains(b, appendRecord(nil, r)) {
				t.Errorf("%+v was not in what was read", r)
			}
		})
		if err != nil || count != len(b)/recordLen {
			t.Errorf("%d records of %d bytes (%v)", count, len(b), err)
		}
	})
}

// BenchmarkCache opens a cache of 100,000 files and looks each of them up.
func BenchmarkCache(b *testing.B) {
	const files = 100_000
	path := filepath.Join(b.TempDir(), "hashes")
	c := openCache(b, path, CacheOptions{})
	for file := range files {
		put(b, c, stampOf(file, 1))
	}
	for b.Loop() {
		c, err := OpenCache(path, CacheOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for file := range files {
			if _, ok := c.Get(stampOf(file, 1)); !ok {
				b.Fatal("a file is forgotten")
			}
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
