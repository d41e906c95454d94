package fileserver

import (
	"context"
	"net/http"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileapi"
)

// onItsWay is a folder of which something is here.
type onItsWay struct {
	shelf *shelf
	list  lonja.FileID
	here  *roaring.Bitmap
}

func (o *onItsWay) OpenContent(ctx context.Context, id lonja.FileID) (Content, error) {
	content, err := o.shelf.OpenContent(ctx, id, lonja.Member{})
	if id == o.list {
		return listed{content, o.here}, err
	}
	return content, err
}

type listed struct {
	Content
	here *roaring.Bitmap
}

func (l listed) Entries() *roaring.Bitmap { return l.here }

// TestFolderOnItsWay: it says which entries are here and serves them to those who may
// have it, as long as it is registered; who has all says so.
func TestFolderOnItsWay(t *testing.T) {
	downloads := &Downloads{}
	r := start(t, Options{Files: downloads})
	luis, eva := r.client(t, "luis"), r.client(t, "eva")
	list, file := r.shelf.add(t, content(100)), r.shelf.add(t, content(2000))
	forget := downloads.RegisterFolder(&onItsWay{r.shelf, list, roaring.BitmapOf(0, 3)}, func(_ context.Context, m lonja.Member) bool { return m.User == "luis" })
	resp, body := r.ask(t, luis, http.MethodGet, fileapi.Entries.Path(list))
	have, err := fileapi.ParseHave(body, 5)
	if err != nil || have == nil || !have.Equals(roaring.BitmapOf(0, 3)) || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("ETag") != "" {
		t.Errorf("got %s, %v, %v", resp.Status, have, err)
	}
	if resp, body := r.ask(t, luis, http.MethodGet, fileapi.Path(file)); resp.StatusCode != 200 || len(body) != 2000 {
		t.Errorf("got %s, %d bytes", resp.Status, len(body))
	}
	for path, client := range map[string]*http.Client{fileapi.Entries.Path(list): eva, fileapi.Path(file): eva, fileapi.Path(lonja.FileID{7}): luis} {
		if resp, _ := r.ask(t, client, http.MethodGet, path); resp.StatusCode != 404 {
			t.Errorf("%s: got %s", path, resp.Status)
		}
	}
	whole := content(300)
	g, id := newGrowing(t, whole)
	g.gain(0)
	defer downloads.Register(id, g, nil)()
	if resp, _ := r.ask(t, luis, http.MethodGet, fileapi.Entries.Path(id)); resp.StatusCode != 404 {
		t.Errorf("entries of a file: got %s", resp.Status)
	}
	forget()
	forget() // does no harm
	if resp, _ := r.ask(t, luis, http.MethodGet, fileapi.Entries.Path(list)); resp.StatusCode != 404 {
		t.Errorf("afterwards: got %s", resp.Status)
	}
	all := start(t, Options{})
	if _, body := all.ask(t, all.client(t, "luis"), http.MethodGet, fileapi.Entries.Path(all.shelf.add(t, content(100)))); string(body) != string(fileapi.AppendHave(nil, nil)) {
		t.Errorf("who has all says %x", body)
	}
}
