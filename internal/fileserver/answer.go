package fileserver

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fairshare"
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
	out := &sender{
		ResponseWriter: w, control: http.NewResponseController(w), content: content, stall: s.opts.StallTimeout,
		request: r, user: member.User, pacer: s.opts.Pacer, near: s.isNear(r), ways: s.opts.Ways,
	}
	defer out.end()
	if err = content.Unchanged(); err == nil {
		err = out.answer(what)
	}
	if err != nil {
		s.heed(what.id, err)
		refuse(w, log, err)
		return
	}
	s.heed(what.id, out.err)
	switch {
	case out.err != nil && out.sent == 0 && (errors.Is(out.err, lonja.NoHolder) || errors.Is(out.err, lonja.Limited)):
		log.Debug("transfer refused", "error", out.err)
	case out.err != nil:
		log.Debug("transfer broken off", "error", out.err, "bytes", out.sent)
	case out.sent > 0 && what.part == fileapi.File:
		log.Debug("transfer done", "bytes", out.sent)
	}
}

// isNear reports whether no rate counts for who asks.
func (s *Server) isNear(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && s.opts.Near(from.Addr().Unmap().WithZone(""))
}

// heed has a file withdrawn that is not any more what it was.
func (s *Server) heed(id lonja.FileID, err error) {
	if errors.Is(err, lonja.Conflict) {
		s.opts.Changed(id)
	}
}

// answer sends what is asked for. The error is that nothing was sent.
func (s *sender) answer(what asked) error {
	switch what.part {
	case fileapi.Tree:
		return s.sendTree(what.id)
	case fileapi.Have:
		return s.sendHave()
	case fileapi.Entries:
		return s.sendEntries()
	default:
		s.sendFile(what.id)
	}
	return nil
}

func (s *sender) sendFile(id lonja.FileID) {
	s.isFile, s.checks, s.size = true, s.holdsPieces, s.content.Size()
	s.serve(id, io.NewSectionReader(s.content, 0, s.content.Size()))
}

func (s *sender) sendTree(id lonja.FileID) error {
	layout, err := tree.LayoutOf(s.content.Size())
	if err != nil {
		return err
	}
	if layout.Levels() == 0 {
		s.serve(id, bytes.NewReader(tree.AppendSize(nil, layout)))
		return nil
	}
	hashes, size, err := s.content.Outboard(s.request.Context())
	if err != nil {
		return err
	}
	if size != layout.OutboardSize() {
		return lonja.E(lonja.Internal, "serve", errors.New("the hashes are not those of a content of this size"))
	}
	if some, ok := hashes.(someHashes); ok {
		s.checks, s.size = some.Holds, size
	}
	s.serve(id, io.NewSectionReader(hashes, 0, size))
	return nil
}

// serve answers with what never changes.
func (s *sender) serve(id lonja.FileID, content io.ReadSeeker) {
	r := s.request
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

// sendHave answers with which pieces are here now. Who wants to wait for its turn
// is answered then, or told its place.
func (s *sender) sendHave() error {
	r := s.request
	if seconds, waits := fileapi.ParseWait(r.Header.Get(fileapi.WaitHeader)); waits {
		place := s.pacer.Wait(r.Context(), s.user, time.Duration(seconds)*time.Second)
		if place == fairshare.NoPlace {
			return limited(&queuedError{place})
		}
		s.Header().Set(fileapi.PlaceHeader, fileapi.FormatPlace(int(place)))
	}
	if ways := s.ways().String(); ways != "" {
		s.Header().Set(fileapi.WaysHeader, ways)
	}
	s.sendNumbers(s.content.Have())
	return nil
}

var errNoFolder = errors.New("it is no folder")

// sendEntries answers with which entries of a folder are here now.
func (s *sender) sendEntries() error {
	folder, ok := s.content.(folderContent)
	if !ok {
		return lonja.E(lonja.NoSuchFile, "serve", errNoFolder)
	}
	s.sendNumbers(folder.Entries())
	return nil
}

// sendNumbers answers with numbers; nil stands for all.
func (s *sender) sendNumbers(numbers *roaring.Bitmap) {
	body := fileapi.AppendHave(nil, numbers)
	s.binary()
	s.Header().Set("Cache-Control", "no-store")
	s.Header().Set("Content-Length", strconv.Itoa(len(body)))
	s.WriteHeader(http.StatusOK)
	if s.request.Method != http.MethodHead {
		s.err = s.write(body)
	}
}

func (s *sender) binary() {
	s.Header().Set("Content-Type", "application/octet-stream")
	s.Header().Set("X-Content-Type-Options", "nosniff")
}
