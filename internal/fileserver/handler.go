package fileserver

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"lonja"
	"lonja/internal/fileapi"
)

// ServeHTTP answers one request. It is for the server that Serve runs.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	log := s.opts.Log.With("peer", r.RemoteAddr)
	member, err := s.identify(r)
	if err != nil {
		refuse(w, log, err)
		return
	}
	log = log.With("user", member.User)
	id, ok := fileapi.ParsePath(r.RequestURI)
	switch {
	case !ok:
		refuse(w, log, lonja.E(lonja.NoSuchFile, "serve", errors.New("no path of a file")))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		hangUp(w, http.StatusMethodNotAllowed, "only GET and HEAD")
	case r.ContentLength != 0:
		refuse(w, log, lonja.E(lonja.Invalid, "serve", errors.New("a request with a body")))
	default:
		s.sendFile(w, r, member, id)
	}
}

var errTooMany = errors.New("too many connections of one user")

// identify tells whose a request is, and whether there is room for it.
func (s *Server) identify(r *http.Request) (lonja.Member, error) {
	visit := visitOf(r)
	if r.TLS == nil || visit == nil {
		return lonja.Member{}, lonja.E(lonja.Forbidden, "serve", errors.New("not over TLS"))
	}
	member, err := s.opts.Who(r.TLS)
	if err != nil {
		return member, &lonja.Error{Kind: lonja.Forbidden, Op: "serve", Err: err}
	}
	if !s.door.admit(visit, member.User) {
		return member, &lonja.Error{Kind: lonja.Limited, Op: "serve", User: member.User, Err: errTooMany}
	}
	return member, nil
}

// refuse answers with the status that stands for err. The peer learns the kind
// only. The connection is kept if all that is wrong is the file.
func refuse(w http.ResponseWriter, log *slog.Logger, err error) {
	kind := lonja.KindOf(err)
	log.Debug("transfer refused", "error", err)
	switch kind {
	case lonja.NoSuchFile, lonja.Conflict:
		http.Error(w, kind.Error(), fileapi.Status(kind))
		return
	case lonja.Limited:
		w.Header().Set("Retry-After", "10")
	}
	hangUp(w, fileapi.Status(kind), kind.Error())
}

func hangUp(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Connection", "close")
	http.Error(w, text, status)
}

func (s *Server) sendFile(w http.ResponseWriter, r *http.Request, member lonja.Member, id lonja.FileID) {
	log := s.opts.Log.With("peer", r.RemoteAddr, "user", member.User, "file", id.String()[:16])
	f, size, err := s.opts.Files.OpenContent(r.Context(), id, member)
	if err != nil {
		refuse(w, log, err)
		return
	}
	defer f.Close()
	seen, err := f.Stat()
	if err != nil || seen.Size() != size {
		refuse(w, log, lonja.E(lonja.Conflict, "serve", errors.Join(errChanged, err)))
		return
	}
	w.Header().Set("ETag", fileapi.ETag(id))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// Who wants several ranges in one answer gets the whole, as RFC 9110
	// section 14.2 allows: to gather many small ones is work for us and for
	// nobody any use.
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range")
	}
	out := &sender{ResponseWriter: w, control: http.NewResponseController(w), file: f, seen: seen, stall: s.opts.StallTimeout}
	http.ServeContent(out, r, "", time.Time{}, io.NewSectionReader(f, 0, size))
	switch {
	case out.err != nil:
		log.Info("transfer broken off", "error", out.err, "bytes", out.sent)
	case out.sent > 0:
		log.Info("transfer done", "bytes", out.sent)
	}
}

// errChanged is the cause for a file that is not what was published.
var errChanged = errors.New("the file has changed since it was published")

// sameFile reports whether f is still what it was when seen was.
func sameFile(f *os.File, seen os.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if now.Size() != seen.Size() || !now.ModTime().Equal(seen.ModTime()) {
		return errChanged
	}
	return nil
}
