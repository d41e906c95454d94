package fileserver

import (
	"errors"
	"log/slog"
	"net/http"

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
	id, part, ok := fileapi.ParsePath(r.RequestURI)
	switch {
	case !ok:
		refuse(w, log, lonja.E(lonja.NoSuchFile, "serve", errors.New("no path of a file")))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		hangUp(w, http.StatusMethodNotAllowed, "only GET and HEAD")
	case r.ContentLength != 0:
		refuse(w, log, lonja.E(lonja.Invalid, "serve", errors.New("a request with a body")))
	default:
		s.answer(w, r, member, asked{id, part})
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
	case lonja.NoHolder:
		http.Error(w, errNotHere.Error(), fileapi.Status(kind))
		return
	case lonja.Limited:
		if queued, ok := isQueued(err); ok {
			refuseQueued(w, queued)
			return
		}
		w.Header().Set("Retry-After", "10")
		if !errors.Is(err, errTooMany) {
			http.Error(w, kind.Error(), fileapi.Status(kind))
			return
		}
	}
	hangUp(w, fileapi.Status(kind), kind.Error())
}

func hangUp(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Connection", "close")
	http.Error(w, text, status)
}
