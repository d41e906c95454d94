package fileserver

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lonja"
	"lonja/internal/fileapi"
	"lonja/internal/tree"
)

// What is asked for: that part of that content.
type asked struct {
	id   lonja.FileID
	part fileapi.Part
}

// answer gives a member what it asks for, if it may have it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, member lonja.Member, what asked) {
	log := s.opts.Log.With("peer", r.RemoteAddr, "user", member.User, "file", what.id.String()[:16])
	content, err := s.opts.Files.OpenContent(r.Context(), what.id, member)
	if err != nil {
		s.heed(what.id, err)
		refuse(w, log, err)
		return
	}
	defer content.Close()
	out := &sender{ResponseWriter: w, control: http.NewResponseController(w), content: content, stall: s.opts.StallTimeout}
	if err = content.Unchanged(); err == nil {
		err = out.answer(r, what)
	}
	if err != nil {
		s.heed(what.id, err)
		refuse(w, log, err)
		return
	}
	s.heed(what.id, out.err)
	switch {
	case out.err != nil && out.sent == 0 && errors.Is(out.err, lonja.NoHolder):
		log.Debug("transfer refused", "error", out.err)
	case out.err != nil:
		log.Debug("transfer broken off", "error", out.err, "bytes", out.sent)
	case out.sent > 0 && what.part == fileapi.File:
		log.Debug("transfer done", "bytes", out.sent)
	}
}

// heed has a file withdrawn that is not any more what it was.
func (s *Server) heed(id lonja.FileID, err error) {
	if errors.Is(err, lonja.Conflict) {
		s.opts.Changed(id)
	}
}

// answer sends what is asked for. The error is that nothing was sent.
func (s *sender) answer(r *http.Request, what asked) error {
	switch what.part {
	case fileapi.Tree:
		return s.sendTree(r, what.id)
	case fileapi.Have:
		s.sendHave(r)
	default:
		s.sendFile(r, what.id)
	}
	return nil
}

func (s *sender) sendFile(r *http.Request, id lonja.FileID) {
	s.checks, s.size = s.holdsPieces, s.content.Size()
	s.serve(r, id, io.NewSectionReader(s.content, 0, s.content.Size()))
}

func (s *sender) sendTree(r *http.Request, id lonja.FileID) error {
	layout, err := tree.LayoutOf(s.content.Size())
	if err != nil {
		return err
	}
	if layout.Levels() == 0 {
		s.serve(r, id, bytes.NewReader(tree.AppendSize(nil, layout)))
		return nil
	}
	hashes, size, err := s.content.Outboard(r.Context())
	if err != nil {
		return err
	}
	if size != layout.OutboardSize() {
		return lonja.E(lonja.Internal, "serve", errors.New("the hashes are not those of a content of this size"))
	}
	if some, ok := hashes.(someHashes); ok {
		s.checks, s.size = some.Holds, size
	}
	s.serve(r, id, io.NewSectionReader(hashes, 0, size))
	return nil
}

// serve answers with what never changes.
func (s *sender) serve(r *http.Request, id lonja.FileID, content io.ReadSeeker) {
	s.Header().Set("ETag", fileapi.ETag(id))
	s.binary()
	// Who wants several ranges in one answer gets the whole, as RFC 9110
	// section 14.2 allows: to gather many small ones is work for us and for
	// nobody any use.
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range")
	}
	http.ServeContent(s, r, "", time.Time{}, content)
}

// sendHave answers with which pieces are here now.
func (s *sender) sendHave(r *http.Request) {
	body := fileapi.AppendHave(nil, s.content.Have())
	s.binary()
	s.Header().Set("Cache-Control", "no-store")
	s.Header().Set("Content-Length", strconv.Itoa(len(body)))
	s.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		s.err = s.write(body)
	}
}

func (s *sender) binary() {
	s.Header().Set("Content-Type", "application/octet-stream")
	s.Header().Set("X-Content-Type-Options", "nosniff")
}
