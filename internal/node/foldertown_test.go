package node

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"lonja"
	"lonja/internal/tree"
)

// transfers counts what a node has sent, by the beginning of its id.
type transfers struct {
	slog.Handler
	mu   *sync.Mutex
	sent map[string]int
	file string
}

func countTransfers(o *Options) *transfers {
	t := &transfers{
		Handler: slog.NewTextHandler(new(notebook), &slog.HandlerOptions{Level: slog.LevelDebug}),
		mu:      new(sync.Mutex), sent: make(map[string]int),
	}
	o.Log = slog.New(t)
	return t
}

func (t *transfers) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *t
	for _, a := range attrs {
		if a.Key == "file" {
			with.file = a.Value.String()
		}
	}
	return &with
}

func (t *transfers) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "transfer done" {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.sent[t.file]++
	}
	return nil
}

// of returns how often a content was sent, in whole or a part of it.
func (t *transfers) of(content string) int {
	id := idOf(content)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent[id.String()[:16]]
}

// idOf returns the id of a content of any size.
func idOf(content string) lonja.FileID {
	if len(content) <= tree.PieceSize {
		return tree.Sum([]byte(content))
	}
	var hashes []tree.Hash
	for at := 0; at < len(content); at += tree.PieceSize {
		var h tree.Hasher
		h.Reset(int64(len(hashes)))
		_, _ = h.Write([]byte(content[at:min(len(content), at+tree.PieceSize)])) // no more than a piece
		hashes = append(hashes, h.Sum())
	}
	return lonja.FileID(tree.Join(hashes, true))
}

// all returns how many answers were sent.
func (t *transfers) all() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, each := range t.sent {
		n += each
	}
	return n
}

// bigContent is of more than one piece.
var bigContent = strings.Repeat("0123456789abcdef", (2<<20)/16) + "."

// plant makes a directory: paths that end in '/' are directories, those with '*' at
// the end may be executed.
func (v *town) plant(dir string, files map[string]string) string {
	v.Helper()
	for name, content := range files {
		path := filepath.Join(dir, strings.TrimSuffix(name, "*"))
		if strings.HasSuffix(name, "/") {
			v.ok(os.MkdirAll(path, 0o700))
			continue
		}
		v.ok(os.MkdirAll(filepath.Dir(path), 0o700))
		mode := fs.FileMode(0o600)
		if strings.HasSuffix(name, "*") {
			mode = 0o700
		}
		v.ok(os.WriteFile(path, []byte(content), mode))
	}
	return dir
}

// grown returns what is in a directory, as plant takes it.
func (v *town) grown(dir string) map[string]string {
	v.Helper()
	files := make(map[string]string)
	v.ok(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if e.IsDir() {
			within, err := os.ReadDir(path)
			if len(within) == 0 {
				files[rel+"/"] = ""
			}
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode()&0o111 != 0 {
			rel += "*"
		}
		b, err := os.ReadFile(path)
		files[rel] = string(b)
		return err
	}))
	return files
}

func (v *town) wantGrown(dir string, want map[string]string) {
	v.Helper()
	got := v.grown(dir)
	for name, content := range want {
		if got[name] != content {
			v.Errorf("%q: got %.40q, want %.40q", name, got[name], content)
		}
	}
	for name := range got {
		if _, wanted := want[name]; !wanted {
			v.Errorf("%q is there", name)
		}
	}
	for name := range want {
		if _, there := got[name]; !there {
			v.Errorf("%q is not there", name)
		}
	}
}

// offerFolder publishes a directory as a folder.
func (c *citizen) offerFolder(dir string, name lonja.FileName, audience ...lonja.UserName) lonja.Listing {
	c.town.Helper()
	errand, err := c.Errand(c.user)
	c.town.ok(err)
	l, err := errand.OfferFolder(c.town.Context(), FolderOffer{Offer: Offer{Path: dir, Name: name, Audience: audience}})
	c.town.ok(err)
	return l
}

// getFolder fetches a folder; change may say how.
func (c *citizen) getFolder(name lonja.FileName, dir string, change ...func(*FolderFetching)) (FetchedFolder, error) {
	c.town.Helper()
	errand, err := c.Errand(c.user)
	c.town.ok(err)
	w := lonja.Wanted{Name: name}
	choices, err := errand.Choices(c.town.Context(), w, "")
	if err != nil {
		return FetchedFolder{}, err
	}
	f := FolderFetching{Fetching: Fetching{Wanted: w, Choice: choices[0], Local: dir}}
	for _, ch := range change {
		ch(&f)
	}
	return errand.FetchFolder(c.town.Context(), f)
}

var someFiles = map[string]string{
	"a/one.txt": "first", "a/deep/two.txt": "second", "run*": "#!/bin/sh", "nothing": "", "empty/of all/": "", "film": bigContent,
}
